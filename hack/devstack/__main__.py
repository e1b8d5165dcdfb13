"""`python -m hack.devstack`: gets etcd and kube-apiserver ready, with progress, and says where they are.

Run before the tests, which would otherwise build them silently the first time.
"""

import sys

from rich.console import Console

from hack.devstack.program import DevStackError
from hack.devstack.progress import shown_binaries


def main() -> int:
    console = Console(highlight=False)
    try:
        binaries = shown_binaries(console)
    except DevStackError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    console.print(f"etcd: {binaries.etcd}\nkube-apiserver: {binaries.kube_apiserver}", soft_wrap=True, markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
