"""`make e2e`: the image, a kind cluster of our own, the chart installed as README says, tests/e2e in it; nothing is left behind.

`__main__` is the run, `tools` finds docker, kind, helm and kubectl, `cluster` is the cluster and the guard that keeps us out of any other,
`install` reads the README's commands, `evidence` collects what a failed run leaves to read.
"""
