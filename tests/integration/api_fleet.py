"""A running api role over a few plants of several owners, for the tests that ask it. A test module takes `served` over by name."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from controller.api.roles import Role
from controller.domain.judge import judge_declared, judge_job
from controller.domain.outcome import Seen
from controller.domain.plant import Declaration, plant_id_for
from controller.storage.database import Database
from controller.storage.store import PostgresStore
from hack.devstack.ports import free_port
from hack.devstack.postgres import Postgres
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity
from tests.api_client import Client, environment, token
from tests.stack import SolarProcess, revive

OWNED = {"carla": ["carla-1", "carla-2"], "otto": ["otto-1"], None: ["nobodys"]}
"""Names of plants by owner; each has one open alert."""
SECOND = timedelta(seconds=1)


def id_of(name: str) -> UUID:
    return plant_id_for("ns", Brand.SOLIS, name)


def fill(database: str) -> None:
    """The plants of `OWNED`, declared and polled once."""
    opened = Database(database, "test-api")
    store, now = PostgresStore(opened), datetime.now(UTC)
    for owner, names in OWNED.items():
        for name in names:
            declaration = Declaration(
                namespace="ns", name=name, uid=f"uid-{name}", generation=1, brand=Brand.SOLIS, vendor_plant_id=name, owner_customer_id=owner
            )
            store.apply(id_of(name), declaration, 1, now - timedelta(hours=1), judge_declared)
    for job in store.claim_polls(now, 100):
        context = store.read([job.plant_id])[job.plant_id]
        reading = Reading(sampled_at=now, last_seen_at=now, current_power_w=500.0, today_energy_kwh=3.0, total_energy_kwh=1000.0)
        alarm = Alarm("1015", "SN", Severity.CRITICAL, "Grid lost", None, is_active=True)
        store.write([judge_job(context, context, job, Seen(reading, AlarmList((alarm,), complete=True)), now, now + SECOND)])
    opened.close()


class Served:
    """A running api role, and a client for each kind of caller."""

    def __init__(self, role: SolarProcess, port: int) -> None:
        self.role = role.wait_ready()
        self.port = port
        self.admin = self.client(Role.ADMIN, "ana")
        self.callers: Mapping[str, Client] = {
            "ADMIN": self.admin,
            "OPERATOR": self.client(Role.OPERATOR, "oscar"),
            "carla": self.client(Role.CUSTOMER, "carla"),
            "otto": self.client(Role.CUSTOMER, "otto"),
            "a customer without plants": self.client(Role.CUSTOMER, "nina"),
            # Whoever is named like a role, or like nobody, is a customer all the same.
            "a customer called ADMIN": self.client(Role.CUSTOMER, "ADMIN"),
            "a customer called null": self.client(Role.CUSTOMER, "null"),
            "nobody": Client(port, None),
        }

    def client(self, role: Role, subject: str) -> Client:
        return Client(self.port, token(role, subject))

    def close(self) -> None:
        for client in self.callers.values():
            client.close()


@pytest.fixture(scope="module")
def served(postgres_server: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that leave it running."""
    revive(postgres_server)
    database, port = postgres_server.create_database("read_api", template=migrated_template), free_port()
    fill(database)
    with SolarProcess(["api"], environment(database, port), tmp_path_factory.mktemp("api")) as role:
        api = Served(role, port)
        yield api
        api.close()
    revive(postgres_server)
    postgres_server.drop_database("read_api")
