"""What processes and the machine have used, read from /proc. Called by `bench` before and after a pass."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from hack.devstack.program import family

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """CPU seconds since some start: of each part, of the whole machine, and what the hypervisor took from it."""

    parts: Mapping[str, float]
    own: float
    busy: float
    stolen: float

    @classmethod
    def of(cls, parts: Mapping[str, int]) -> Self:
        """`parts`: a process a name; its descendants count with it, also those that have ended and been waited for."""
        used = {name: sum(_cpu_s(pid) for pid in family(root)) for name, root in parts.items()}
        own = os.times()
        # The bench's own children among the parts are counted above; here only the bench itself.
        return cls(used, own.user + own.system, *_machine_s())

    def since(self, before: Self) -> Self:
        parts = {name: used - before.parts.get(name, 0.0) for name, used in self.parts.items()}
        return type(self)(parts, self.own - before.own, self.busy - before.busy, self.stolen - before.stolen)

    @property
    def foreign(self) -> float:
        """CPU seconds of everybody else."""
        return max(0.0, self.busy - self.own - sum(self.parts.values()))


def memory_mb(roots: Iterable[int]) -> tuple[float, float]:
    """Resident and proportional set size of processes with their descendants. MB."""
    rss = pss = 0
    for root in roots:
        for pid in family(root):
            sizes = _sizes_kb(pid)
            rss, pss = rss + sizes.get("Rss", 0), pss + sizes.get("Pss", 0)
    return rss / 1024, pss / 1024


def model() -> str:
    """The processor, as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile: its parent has it among its children's
        return 0.0
    # utime, stime, cutime, cstime of proc_pid_stat(5), counted from its third field.
    return sum(int(value) for value in fields[11:15]) * _TICK_S


def _machine_s() -> tuple[float, float]:
    # user nice system idle iowait irq softirq steal, of proc_stat(5); guest time is part of user.
    user, nice, system, _, _, irq, softirq, steal = (int(value) * _TICK_S for value in Path("/proc/stat").read_text().split()[1:9])
    return user + nice + system + irq + softirq, steal


def _sizes_kb(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
