"""A month of a fleet on a virtual clock and a real database: `python -m benchmarks.soak`."""
