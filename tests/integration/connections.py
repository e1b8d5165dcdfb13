"""With whom a process speaks, as the kernel sees it, whatever language opened the socket. Linux."""

import ipaddress
import sys
from pathlib import Path

LISTENS = "0A"


def remotes(pid: int) -> set[str]:
    """host:port of the other ends of a process's TCP and UDP sockets now, without those who called at a port it listens on."""
    inodes = _inodes(pid)
    rows = [row for protocol in ("tcp", "tcp6", "udp", "udp6") for row in _rows(pid, protocol) if row[9] in inodes]
    listening = {_port(row[1]) for row in rows if row[3] == LISTENS}
    return {_address(row[2]) for row in rows if _port(row[2]) and _port(row[1]) not in listening}


def _inodes(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found


def _rows(pid: int, protocol: str) -> list[list[str]]:
    table = Path(f"/proc/{pid}/net/{protocol}")
    return [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []


def _port(text: str) -> int:
    return int(text.rpartition(":")[2], 16)


def _address(text: str) -> str:
    """`0100007F:1538` ▶ `127.0.0.1:5432`: the kernel prints words of 32 bits in the machine's own order."""
    words = text.partition(":")[0]
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    host = ipaddress.ip_address(packed)
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    return f"{mapped or host}:{_port(text)}"
