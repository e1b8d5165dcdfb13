"""Free TCP ports on 127.0.0.1. Called by whatever is about to start a server."""

import random
import socket

LOWEST, HIGHEST = 15000, 30000
"""Below Linux's ephemeral range (32768 and up): a port handed out here is never taken by some client's outgoing connection, so
a server that dies can come back on its own port. Wide enough that parallel test runs hardly ever draw the same one."""


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on now. A port in use is skipped. Raises `OSError` if none can be found."""
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST), k=min(HIGHEST - LOWEST, 200 + 10 * count)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {LOWEST} and {HIGHEST} on 127.0.0.1")


def free_port() -> int:
    """One port that nothing listens on now."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose old connections still linger in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
