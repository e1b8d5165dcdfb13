"""The whole product over every recorded scenario of every brand: operator, a worker a brand and api, on real servers.

`EveryScenario` starts them with the environment its test gives; `play` declares a Plant a scenario and returns once each has been polled
twice and has closed a day, or has been paused for refused credentials. Called by test_mock_mode.py and test_secrets.py.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg

from hack.devstack.control_plane import ControlPlane
from hack.devstack.ports import free_port
from hack.devstack.waiting import WaitTimeoutError, wait_until
from integrations.contract import Brand
from integrations.transport import FixtureTransport, default_fixtures
from tests.stack import SolarProcess

PLANTS = "/apis/monitor.solarinvest.info/v1alpha1/namespaces/default/plants"
START_S = 60
PLAY_S = 120
"""On a busy machine. An idle one takes a sixth of it."""
DUE: LiteralString = "UPDATE plants SET next_poll_at = now(), mirror_held_until = now() WHERE integration = 'ACTIVE' AND deleted_at IS NULL"
"""As if its next slot had begun: then its numbers are shown at once (PROTOCOL 27)."""
DAYS_DUE: LiteralString = (
    "UPDATE plants SET day_due_at = now(), day_due_date = (now() AT TIME ZONE timezone)::date - 1, version = version + 1,"
    " mirror_held_until = now() WHERE integration = 'ACTIVE' AND deleted_at IS NULL"
)
"""The version tells a worker that has the plant in its hands, or remembers it, that the row has changed."""
LEFT: LiteralString = """
SELECT name FROM plants p WHERE deleted_at IS NULL
    AND (SELECT count(*) FROM poll_logs l WHERE l.plant_id = p.plant_id AND job_type = %(job)s)
        < CASE WHEN integration = 'ACTIVE' THEN %(jobs)s WHEN %(job)s = 'POLL' THEN 1 ELSE 0 END
"""
"""Plants that have not run so many jobs of a kind yet."""


def scenarios() -> list[tuple[Brand, str]]:
    transport = FixtureTransport(default_fixtures(), lambda: datetime.now(UTC))
    return [(brand, scenario) for brand in Brand for scenario in transport.scenarios(brand)]


class EveryScenario:
    """As a context manager the roles are ready on entry, and killed on exit, when the Plants are deleted, too."""

    def __init__(
        self, folder: Path, control_plane: ControlPlane, kubeconfig: Path, database_url: str, environment: Mapping[str, str]
    ) -> None:
        """`environment` is every role's, with DATABASE_URL and REDIS_URL; `database_url` is the test's own way to the same database."""
        self._control_plane = control_plane
        self._database_url = database_url
        roles: dict[tuple[str, ...], Mapping[str, str]] = {("operator",): {"KUBECONFIG": str(kubeconfig)}}
        roles |= {("worker", "--brand", brand.slug): {"INTEGRATION_MOCK_MODE": "true"} for brand in Brand}
        self.api_port = free_port()
        roles["api",] = {"API_HOST": "127.0.0.1", "API_PORT": str(self.api_port)}
        self.roles = [SolarProcess(arguments, {**environment, **env}, folder) for arguments, env in roles.items()]

    def __enter__(self) -> Self:
        try:
            for role in self.roles:
                role.start()
            for role in self.roles:
                role.wait_ready(START_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for role in self.roles:
            role.kill()
        self._control_plane.revive()
        self._control_plane.request("DELETE", PLANTS)

    def play(self, look: Callable[[], None] = lambda: None) -> None:
        """Runs everything. `look` is called again and again meanwhile. Raises `WaitTimeoutError` with the plants that did not come far."""
        self._control_plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _plants()}))
        self._wait_for(lambda: self.rows("SELECT count(*) FROM plants WHERE deleted_at IS NULL") == [(len(scenarios()),)], look, "rows")
        self.done("POLL", 1, look)
        self.execute(DUE)
        self.execute(DAYS_DUE)
        self.done("POLL", 2, look)
        self.done("DAILY", 1, look)

    def done(self, job: str, jobs: int, look: Callable[[], None] = lambda: None) -> None:
        left: list[tuple[Any, ...]] = []

        def all_done() -> bool:
            left[:] = self.rows(LEFT, job=job, jobs=jobs)
            return not left

        try:
            self._wait_for(all_done, look, f"{jobs} {job} of every plant")
        except WaitTimeoutError as error:
            raise WaitTimeoutError(f"{error}; left: {left}") from error

    def rows(self, query: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: LiteralString) -> None:
        with psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def logs(self) -> dict[str, str]:
        return {role.name: role.log_text() for role in self.roles}

    def _wait_for(self, condition: Callable[[], bool], look: Callable[[], None], what: str) -> None:
        def looked() -> bool:
            look()
            return condition()

        wait_until(looked, PLAY_S, what)


def _plants() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "monitor.solarinvest.info/v1alpha1",
            "kind": "Plant",
            "metadata": {
                "name": f"{brand.slug}-{scenario}",
                "namespace": "default",
                "annotations": {"monitor.solarinvest.info/mock-scenario": scenario},
            },
            "spec": {
                "brand": brand.value,
                "vendorPlantId": str(880001 + number),
                "location": {"latitude": -23.55, "longitude": -46.63},
                "capacityKWp": 9.9,
                "pollInterval": "1m",
            },
        }
        for number, (brand, scenario) in enumerate(scenarios())
    ]
