"""Several replicas and workers: one batch shared, one update, one decision."""
