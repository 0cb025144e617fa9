"""Six small trainings over replicas and workers, held against one device."""
