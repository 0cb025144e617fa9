"""Benchmarks: real workloads, run by this project's Trainer and by its peers, measured alike."""
