"""What results files hold, made up."""

MACHINE = {
    "processor": "P",
    "cores": 2,
    "memory_gb": 8,
    "python": "3.11",
    "load": [0.1],
    "date": "2030-01-01T00:00:00+00:00",
}
