"""Measurements of the product against what others would build: `make bench`, `make bench-quick` (docs/performance.md)."""
