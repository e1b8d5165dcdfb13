"""`make bench-scale`: how the whole system carries N Plants, on a real API server (docs/performance.md)."""
