"""With whom a pod speaks, as the kernel of its node sees it, whatever opened the socket."""

import ipaddress
import sys

TABLES = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6")
"""To be read inside the pod, and handed to `remotes`."""
LISTENS = "0A"


def remotes(tables: str) -> set[str]:
    """host:port of the other ends of all sockets in the tables' text, without those who called at a port that is listened on."""
    rows = [words for line in tables.splitlines() if (words := line.split()) and words[0].endswith(":") and words[0] != "sl"]
    listening = {_port(row[1]) for row in rows if row[3] == LISTENS}
    return {_address(row[2]) for row in rows if _port(row[2]) and _port(row[1]) not in listening}


def _port(text: str) -> int:
    return int(text.rpartition(":")[2], 16)


def _address(text: str) -> str:
    """`0100007F:1538` ▶ `127.0.0.1:5432`: the kernel prints words of 32 bits in the machine's own order."""
    words = text.partition(":")[0]
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    host = ipaddress.ip_address(packed)
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    return f"{mapped or host}:{_port(text)}"
