"""`python -m benchmarks.api`: the read API over a large fleet, under a steady load and under forged tokens."""
