"""The product in a real cluster: run by `make e2e`, which makes the cluster (hack/e2e)."""
