"""Python's sockets reach the addresses named by EGRESS_ALLOWED and no other.

test_mock_mode.py puts a copy of this file, named sitecustomize.py, on PYTHONPATH, so that every Python process started there loads it
before anything else. Whatever else a process tries (a connection, a datagram, a look-up of a name) raises `PermissionError` and is a
line of EGRESS_RECORD, also where the caller swallows the error. Code in C (libpq) is out of its sight: connections.py is for that.
"""

import os
import sys
from pathlib import Path
from typing import Any

NAMES = {"socket.getaddrinfo": 2, "socket.gethostbyname": 1, "socket.gethostbyaddr": 1}
"""Events whose arguments begin with a host and, where there are 2, a port."""
ADDRESSES = ("socket.connect", "socket.sendto", "socket.sendmsg")
"""Events whose arguments are a socket and an address."""


def install(allowed: frozenset[str], record: Path) -> None:
    """`allowed` are host:port. For the rest of the process's life: an audit hook cannot be taken away."""
    hosts = {address.rpartition(":")[0] for address in allowed}

    def is_allowed(event: str, arguments: tuple[Any, ...]) -> bool:
        if event in ADDRESSES:
            address = arguments[1]
            # None: a socket that is connected already. Text: a Unix socket, which ends on this machine.
            return not isinstance(address, tuple) or f"{address[0]}:{address[1]}" in allowed
        if event not in NAMES:
            return True
        # Without a port, or with one of their own, the roles look up where they listen: these are addresses, not names.
        return arguments[0] in hosts

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket.") and not is_allowed(event, arguments):
            line = f"{' '.join(getattr(sys, 'argv', []))}: {event} {arguments[1] if event in ADDRESSES else arguments[:2]}"
            with record.open("a") as out:
                out.write(line + "\n")
            raise PermissionError(f"the test's guard refuses {line}")

    sys.addaudithook(hook)


if __name__ == "sitecustomize":
    install(frozenset(os.environ["EGRESS_ALLOWED"].split()), Path(os.environ["EGRESS_RECORD"]))
