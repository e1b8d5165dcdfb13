"""The ledger of exchanges: what the fixture transport wrote as each one began and ended, put together again.

The workers append to one file (INTEGRATION_LEDGER_FILE). An exchange whose end is missing ran until its process died, and for ever
where the process is not known to have died.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec


class Exchange(msgspec.Struct, frozen=True, order=True):
    """One exchange with a vendor: from when to when (CLOCK_BOOTTIME, seconds), for which plant and attempt, by which process."""

    begin: float
    end: float
    plant_id: UUID
    attempt: int
    pid: int

    def overlaps(self, other: "Exchange") -> bool:
        return self.begin < other.end and other.begin < self.end


class Line(msgspec.Struct, frozen=True):
    """One line of the file, as the transport writes it."""

    event: str
    tag: str
    pid: int
    thread: int
    boottime: float


_DECODER = msgspec.json.Decoder(Line)


def read(file: Path, died_at: Mapping[int, float]) -> list[Exchange]:
    """Every exchange in the file, in order of its begin. `died_at`: when processes ended, by pid.

    Raises ValueError for a line that is no record: a ledger that cannot be read proves nothing.
    """
    if not file.exists():
        return []
    open_exchanges: dict[tuple[str, int, int], float] = {}
    found: list[Exchange] = []
    for text in file.read_bytes().splitlines():
        line = _DECODER.decode(text)
        key = (line.tag, line.pid, line.thread)
        if line.event == "begin":
            if key in open_exchanges:
                raise ValueError(f"{line.tag} begins twice in process {line.pid}")
            open_exchanges[key] = line.boottime
        elif line.event == "end":
            found.append(_exchange(line.tag, line.pid, open_exchanges.pop(key), line.boottime))
        else:
            raise ValueError(f"unknown event {line.event!r}")
    found += [_exchange(tag, pid, begin, died_at.get(pid, math.inf)) for (tag, pid, _), begin in open_exchanges.items()]
    return sorted(found)


def _exchange(tag: str, pid: int, begin: float, end: float) -> Exchange:
    plant_id, _, attempt = tag.partition("|")
    return Exchange(begin, end, UUID(plant_id), int(attempt), pid)
