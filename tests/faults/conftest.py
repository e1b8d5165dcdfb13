"""Worlds for the fault tests, and the table of what they measured at the end of the session."""

import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from hack.devstack.postgres import Postgres
from hack.devstack.program import tail
from hack.devstack.valkey import Valkey
from tests.faults import audit
from tests.faults.mutants import CHECKOUT, Mutation, mutant
from tests.faults.world import World

MEASURED = "fault_measured"
TEMPLATE = "migrated_and_audited"


class Measure(Protocol):
    """Notes a measured time for the table at the end and asserts its bound."""

    def __call__(self, what: str, seconds: float, bound_s: float | None = None) -> None: ...


@pytest.fixture
def measure(record_property: Callable[[str, object], None]) -> Measure:
    def note(what: str, seconds: float, bound_s: float | None = None) -> None:
        record_property(MEASURED, [what, round(seconds, 2), bound_s])
        assert bound_s is None or seconds <= bound_s, f"{what}: {seconds:.1f} s, more than {bound_s:g} s"

    return note


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Test, what was measured, seconds, bound: printed always, whatever is captured."""
    rows = [
        (report.nodeid.rpartition("/")[2], *values)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, values in report.user_properties
        if name == MEASURED and report.when == "call"
    ]
    if not rows:
        return
    terminalreporter.section("measured")
    for test, what, seconds, bound_s in sorted(rows):
        bound = "" if bound_s is None else f"  (bound {bound_s:g} s)"
        terminalreporter.write_line(f"{seconds:8.2f} s{bound}  {test}: {what}")


@pytest.fixture(scope="session")
def fault_folder() -> Iterator[Path]:
    """Not below pytest's own temporary folder, which PostgreSQL's user (where we are root) may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-faults-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def fault_postgres(fault_folder: Path) -> Iterator[Postgres]:
    """One server for the tests that leave it alone, with the template of their databases."""
    with Postgres(fault_folder / "postgres", durable=False) as server:
        make_template(server)
        yield server


def make_template(server: Postgres) -> None:
    """A migrated database that writes down what happens to its plants."""
    from controller.storage.migrate import upgrade

    url = server.create_database(TEMPLATE)
    upgrade(url)
    audit.install(url)


WORLDS = pytest.StashKey[list[World]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the last lines of its roles' logs; their files go with the session."""
    report = yield
    if report.failed and call.when == "call":
        for role in (role for world in item.stash.get(WORLDS, []) for role in world.roles):
            report.sections.append((f"log of {role.name} (process {role.pid}, exit code {role.returncode})", tail(role.log, 40)))
    return report


class MakeWorld(Protocol):
    """`make_world()`: a world of the product as it is; with mutations, of the product without those rules.

    `postgres` is a server of the test's own, for one that stops or freezes it.
    """

    def __call__(self, *mutations: Mutation, postgres: Postgres | None = None) -> World: ...


@pytest.fixture
def make_world(request: pytest.FixtureRequest, fault_folder: Path, fault_postgres: Postgres) -> Iterator[MakeWorld]:
    worlds: list[World] = request.node.stash.setdefault(WORLDS, [])
    made: list[tuple[World, Valkey, Postgres, str]] = []

    def make(*mutations: Mutation, postgres: Postgres | None = None) -> World:
        name = f"world_{uuid4().hex}"
        folder = fault_folder / name
        folder.mkdir()
        code = mutant(folder / "mutant", *mutations) if mutations else CHECKOUT
        server = postgres or fault_postgres
        valkey = Valkey(folder / "valkey").start()
        world = World(folder, server.create_database(name, template=TEMPLATE), valkey, code)
        made.append((world, valkey, server, name))
        worlds.append(world)
        return world

    yield make
    for world, valkey, server, name in made:
        world.close()
        valkey.resume()
        valkey.stop()
        if server is fault_postgres:
            server.drop_database(name)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture
def own_postgres(fault_folder: Path) -> Iterator[Postgres]:
    """A server that the test may stop, freeze and kill."""
    with Postgres(fault_folder / f"postgres_{uuid4().hex}", durable=False) as server:
        make_template(server)
        yield server
        server.resume()
