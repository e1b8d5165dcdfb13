"""What is measured: the product and its peers, each as processes that find due plants by themselves. Called by `bench`."""

import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from hack.devstack.ports import free_port
from hack.devstack.program import Program
from integrations.contract import Brand

ROOT = Path(__file__).resolve().parents[1]
BULLMQ = Path(__file__).resolve().parent / "peers" / "bullmq"
_HUEY_ORM = "benchmarks.peers.huey_orm"
_SOLARINVEST = "from controller.cli import main; main()"


class Servers(NamedTuple):
    """Where a subject finds its database, its Redis and the vendors' answers. With passwords: not to be printed."""

    database_url: str
    redis_url: str
    recordings: Path
    """Those of `recordings.py`."""

    @property
    def env(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "INTEGRATION_FIXTURES_DIR": str(self.recordings),
            "PYTHONPATH": str(ROOT),
        }


class Kind(Enum):
    SOLARINVEST = "the product: scheduler and a worker a brand"
    CLAIMS = "the product's scheduler alone: claim and enqueue"
    BULLMQ = "BullMQ and Prisma, one Node process"
    HUEY_ORM = "Huey and SQLAlchemy ORM, a process of four threads a brand"
    SQL = "pgbench: the rows alone, 100 polls a transaction"


class Subject(NamedTuple):
    """One way to poll plants. `plants` is how many of the fleet it gets: all, or as many as it polls in some seconds."""

    name: str
    kind: Kind
    plants: int
    limit_per_minute: int | None = None
    """Jobs a minute of each of the four queues."""

    @property
    def workers(self) -> int:
        """How many of its processes take jobs."""
        return {Kind.SOLARINVEST: 4, Kind.HUEY_ORM: 4, Kind.BULLMQ: 1}.get(self.kind, 0)

    @property
    def burst(self) -> int:
        """Polls that a limiter admits at once, before its pace shows."""
        return 4 * (self.limit_per_minute or 0)

    @property
    def passes(self) -> int:
        """Two: the second is what goes on all day. One where a clock sets the pace, or where nothing is polled."""
        return 1 if self.kind is Kind.CLAIMS or self.limit_per_minute is not None else 2

    def programs(self, servers: Servers, folder: Path) -> list[Program]:
        """Its processes. Raises `FileNotFoundError` where a peer is not installed."""
        match self.kind:
            case Kind.SOLARINVEST:
                return [_scheduler("benchmarks.schedule", servers, folder), *(_worker(brand, servers, folder) for brand in Brand)]
            case Kind.CLAIMS:
                return [_scheduler("benchmarks.schedule", servers, folder)]
            case Kind.HUEY_ORM:
                workers = (
                    _python(f"worker-{brand.slug}", ("-m", f"{_HUEY_ORM}.work", brand.value), servers.env, folder) for brand in Brand
                )
                return [_scheduler(f"{_HUEY_ORM}.schedule", servers, folder), *workers]
            case Kind.BULLMQ:
                return [_node(self.limit_per_minute, servers, folder)]
            case Kind.SQL:
                return []


def subjects(plants: int, peer_plants: int, limited_plants: int) -> list[Subject]:
    """All, in the order in which a round runs them. The limited peer is left out for 0 plants."""
    limited = [Subject("bullmq-prisma-limited", Kind.BULLMQ, limited_plants, limit_per_minute=30)] if limited_plants else []
    return [
        Subject("solarinvest", Kind.SOLARINVEST, plants),
        Subject("bullmq-prisma", Kind.BULLMQ, peer_plants),
        *limited,
        Subject("huey-orm", Kind.HUEY_ORM, peer_plants),
        Subject("sql-limit", Kind.SQL, plants),
        Subject("solarinvest-claims", Kind.CLAIMS, plants),
    ]


def _scheduler(module: str, servers: Servers, folder: Path) -> Program:
    return _python("scheduler", ("-m", module), servers.env, folder)


def _worker(brand: Brand, servers: Servers, folder: Path) -> Program:
    env = {**servers.env, "INTEGRATION_MOCK_MODE": "true", "METRICS_PORT": str(free_port())}
    return _python(f"worker-{brand.slug}", ("-c", _SOLARINVEST, "worker", "--brand", brand.slug), env, folder)


def _python(name: str, arguments: tuple[str, ...], env: Mapping[str, str], folder: Path) -> Program:
    return Program(name, (sys.executable, *arguments), folder=ROOT, log=folder / f"{name}.log", env=env)


def _node(limit_per_minute: int | None, servers: Servers, folder: Path) -> Program:
    if not (BULLMQ / "node_modules").is_dir() or not (BULLMQ / "generated").is_dir():
        raise FileNotFoundError("not installed: make bench-peer (needs Node 20 and npm)")
    limit = {} if limit_per_minute is None else {"LIMIT_PER_MINUTE": str(limit_per_minute)}
    env = {**servers.env, **limit}
    return Program("node", ("node", "main.js"), folder=BULLMQ, log=folder / "node.log", env=env)
