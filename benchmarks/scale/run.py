"""One run: N Plants are declared, polled for the first time, watched for a while, and then the operator is killed and started again."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from benchmarks.machine import Usage, memory_mb
from benchmarks.scale.lags import Poll, Punctuality, polls_between, punctuality, spread
from benchmarks.scale.plants import KubernetesHttp, create_plants
from benchmarks.scale.stack import OPERATOR, Samples, Stack
from benchmarks.scale.watching import StatusWatch, mirror_lags_s
from controller.operator.kubernetes_api import load_configuration
from hack.devstack.waiting import wait_until

WATCHED_MAX = 1_000
LOOK_EVERY_S, LOOK_EVERY_S_A_PLANT = 1.0, 1e-4
"""A look is a pass over all rows: it must not be what is measured."""
LEVEL_S = 10.0
"""A mirror that lags no more than this has caught up with the first polls."""
SAMPLE_EVERY_S = 10.0
RESTART_WITHIN_S = 300.0
RESYNC_WITHIN_S = 900.0
_MIRROR_LAG = ("solarinvest_mirror_lag_seconds", "")
_PATCHES = ("solarinvest_status_patches_total", "")
_RESYNC_S, _RESYNCS = ("solarinvest_loop_turn_seconds_sum", "resync"), ("solarinvest_loop_turn_seconds_count", "resync")

# Declared, a plant is at version 1; its first poll makes it 2.
_PROGRESS = """
SELECT
    count(*),
    count(*) FILTER (WHERE last_success_at IS NOT NULL),
    count(*) FILTER (WHERE mirrored_version >= 2)
FROM plants
"""


class Plan(NamedTuple):
    """What a run is asked for. Seconds."""

    plants: int
    interval_s: int
    observe_s: float
    resync_s: float
    fill_within_s: float


class Run(msgspec.Struct, kw_only=True):
    """What was found. Seconds, cores, MB; `memory_mb` are the greatest proportional set sizes, `Private` and shared pages divided up."""

    plants: int
    at: str
    interval_s: int
    observed_s: float
    accept_s: dict[str, float]
    """Until all were created, had a row, were polled, and showed it, and until the mirror had caught up with what came meanwhile."""
    slots: int
    missed: int
    failed: int
    doubled: int
    schedule_lag_s: dict[str, float]
    mirror_lag_s: dict[str, float]
    patches_per_s: float
    polls_per_s: float
    cores: dict[str, float]
    cores_total: float
    foreign_cores: float
    stolen_cores: float
    memory_mb: dict[str, float]
    operator_peak_mb: float
    """Greatest resident set of the operator, its start over all Plants included."""
    resync_s: float
    restart_s: dict[str, float]
    """From the start of a killed operator's successor to its first claim, to readiness, and to the end of its first resync."""
    sizes_mb: dict[str, float]

    @property
    def is_sound(self) -> bool:
        return self.missed == 0 and self.doubled == 0 and self.slots > 0


def run(plan: Plan, stack: Stack, say: Callable[[str], None]) -> Run:
    """Raises `DevStackError` and `WaitTimeoutError` where the system does not come as far."""
    http = KubernetesHttp(load_configuration(stack.control_plane.kubeconfig))
    watch = StatusWatch(http)
    with psycopg.connect(stack.database_url, autocommit=True) as connection, _Memory(stack) as memory:
        accept_s = _fill(plan, stack, connection, http, say)
        watch.start()
        observed = _observe(plan, stack, connection, say)
        watch.stop()
        sizes_mb = _sizes(stack, connection)
        say("the operator is killed and started again")
        restart_s = _restart(stack, connection)
    polls, lags, lasted = observed.polls, observed.punctuality, observed.lasted_s
    ends = {plant_id: [poll.finished_at for poll in polls[plant_id]] for plant_id in watch.seen() if plant_id in polls}
    return Run(
        plants=plan.plants,
        at=observed.since.isoformat(timespec="seconds"),
        interval_s=plan.interval_s,
        observed_s=round(lasted, 1),
        accept_s=accept_s,
        slots=lags.slots,
        missed=lags.missed,
        failed=lags.failed,
        doubled=lags.doubled,
        schedule_lag_s=spread(lags.lags_s),
        mirror_lag_s=spread(mirror_lags_s(watch.seen(), ends)),
        patches_per_s=round((observed.after[_PATCHES] - observed.before[_PATCHES]) / lasted, 2),
        polls_per_s=round(sum(map(len, polls.values())) / lasted, 2),
        cores={name: round(cpu_s / lasted, 4) for name, cpu_s in observed.usage.parts.items()},
        cores_total=round(sum(observed.usage.parts.values()) / lasted, 3),
        foreign_cores=round(observed.usage.foreign / lasted, 3),
        stolen_cores=round(observed.usage.stolen / lasted, 3),
        memory_mb=memory.greatest(),
        operator_peak_mb=memory.operator_peak_mb,
        resync_s=_mean(observed.before, observed.after),
        restart_s=restart_s,
        sizes_mb=sizes_mb,
    )


class _Observed(NamedTuple):
    since: datetime
    lasted_s: float
    usage: Usage
    before: Samples
    after: Samples
    polls: Mapping[UUID, Sequence[Poll]]
    punctuality: Punctuality


def _fill(
    plan: Plan, stack: Stack, connection: psycopg.Connection[Any], http: KubernetesHttp, say: Callable[[str], None]
) -> dict[str, float]:
    """Declares all, and how many seconds later all were created, accepted, polled and mirrored."""
    began = time.monotonic()
    reached: dict[str, float] = {}
    failure: list[BaseException] = []

    def create() -> None:
        try:
            create_plants(http, plan.plants, plan.interval_s, WATCHED_MAX)
            reached["created"] = round(time.monotonic() - began, 1)
        except BaseException as error:  # noqa: BLE001 raised again below, in the thread that waits
            failure.append(error)

    threading.Thread(target=create, name="create", daemon=True).start()

    def settled() -> bool:
        if failure:
            raise failure[0]
        row = connection.execute(_PROGRESS).fetchone() or (0, 0, 0)
        level = plan.plants * (stack.samples().get(_MIRROR_LAG, 0.0) <= LEVEL_S and "mirrored" in reached)
        for name, count in zip(("accepted", "polled", "mirrored", "level"), (*row, level), strict=True):
            if count >= plan.plants and name not in reached:
                reached[name] = round(time.monotonic() - began, 1)
                say(f"all {name} after {reached[name]:.0f} s")
        return "level" in reached

    wait_until(
        settled, plan.fill_within_s, "all Plants to show their newest poll", every_seconds=LOOK_EVERY_S + LOOK_EVERY_S_A_PLANT * plan.plants
    )
    return reached


def _observe(plan: Plan, stack: Stack, connection: psycopg.Connection[Any], say: Callable[[str], None]) -> _Observed:
    say(f"observing for {plan.observe_s:.0f} s")
    since, began = datetime.now(UTC), time.monotonic()
    before, usage = stack.samples(), Usage.of(stack.parts())
    threading.Event().wait(plan.observe_s)
    usage = Usage.of(stack.parts()).since(usage)
    lasted, until, after = time.monotonic() - began, datetime.now(UTC), stack.samples()
    polls = polls_between(connection, since, until)
    intervals = connection.execute("SELECT plant_id, poll_interval_s FROM plants WHERE deleted_at IS NULL").fetchall()
    return _Observed(since, lasted, usage, before, after, polls, punctuality(polls, intervals, since, until))


def _restart(stack: Stack, connection: psycopg.Connection[Any]) -> dict[str, float]:
    stack.operator.kill()
    began, since = time.monotonic(), datetime.now(UTC)
    stack.operator.start()

    def has_claimed() -> bool:
        row = connection.execute("SELECT count(*) FROM plants WHERE claimed_at > %s", (since,)).fetchone()
        return row is not None and row[0] > 0

    wait_until(has_claimed, RESTART_WITHIN_S, "the operator to claim again", every_seconds=0.1)
    claimed = time.monotonic() - began
    wait_until(lambda: stack.is_ready(OPERATOR), RESTART_WITHIN_S, "the operator to be ready again", every_seconds=0.1)
    ready = time.monotonic() - began
    wait_until(lambda: stack.samples().get(_RESYNCS, 0) >= 1, RESYNC_WITHIN_S, "the operator's first resync", every_seconds=0.5)
    return {"first_claim": round(claimed, 2), "ready": round(ready, 2), "resync": round(time.monotonic() - began, 2)}


def _mean(before: Samples, after: Samples) -> float:
    """Seconds a resync took; 0 where none ended meanwhile."""
    turns = after[_RESYNCS] - before[_RESYNCS]
    return round((after[_RESYNC_S] - before[_RESYNC_S]) / turns, 2) if turns else 0.0


def _sizes(stack: Stack, connection: psycopg.Connection[Any]) -> dict[str, float]:
    row = connection.execute(
        "SELECT pg_database_size(current_database()), pg_total_relation_size('plants'), pg_total_relation_size('metric_snapshots')"
    ).fetchone()
    assert row is not None
    with stack.valkey.client() as client:
        valkey: Any = client.info("memory")
    etcd = sum(file.stat().st_blocks * 512 for file in (stack.control_plane.folder / "etcd" / "member" / "snap").glob("db"))
    found = {
        "postgres": row[0],
        "plants": row[1],
        "metric_snapshots": row[2],
        "valkey": valkey["used_memory"],
        "valkey_peak": valkey["used_memory_peak"],
        "etcd": etcd,
    }
    return {name: round(size / 2**20, 1) for name, size in found.items()}


class _Memory:
    """Looks at the memory of every part once in a while, on a thread of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._greatest: dict[str, float] = {}
        self.operator_peak_mb = 0.0

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def greatest(self) -> dict[str, float]:
        """MB by part."""
        return {name: round(size, 1) for name, size in self._greatest.items()}

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            for name, pid in self._stack.parts().items():
                _, pss = memory_mb([pid])
                self._greatest[name] = max(self._greatest.get(name, 0.0), pss)
            self.operator_peak_mb = max(self.operator_peak_mb, _peak_mb(self._stack.operator.pid))


def _peak_mb(pid: int) -> float:
    """The greatest resident set that the process ever had, as the kernel remembers it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # killed just now
        return 0.0
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM")), 0.0)
