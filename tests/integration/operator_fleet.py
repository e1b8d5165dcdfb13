"""A running system with two operators and a worker, and the words of a person with kubectl: for the tests of the operator."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.domain.plant import plant_id_for
from hack.devstack.control_plane import ControlPlane
from hack.devstack.postgres import Postgres
from hack.devstack.valkey import Valkey
from integrations.contract import Brand
from tests.stack import SolarProcess, wait_until

API = "/apis/monitor.solarinvest.info/v1alpha1/namespaces/default/plants"
RESYNC_S = 3
START_S = 60.0
"""Until roles are up and have polled for the first time, on a busy machine."""
SOON_S = 10.0
"""From an edit to what it brings. On an idle machine it takes a second or two."""
NEXT_RESYNC_S = RESYNC_S + 2 * SOON_S
"""A resync that takes a second on a busy machine rests for nine."""
ANNOTATION = "monitor.solarinvest.info/"


class Fleet:
    """A running system, with two operators and a worker for SOLIS, and the words of a person with kubectl."""

    def __init__(self, cluster: ControlPlane, database: str, operators: list[SolarProcess], worker: SolarProcess) -> None:
        self.cluster = cluster
        self.operators = operators
        self.worker = worker
        self.declared: set[str] = set()
        self._database = database

    def declare(self, name: str, vendor_plant_id: str | None = None, annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
        self.declared.add(name)
        declared = {"brand": "SOLIS", "vendorPlantId": vendor_plant_id or name, **spec}
        metadata = {"name": name, "namespace": "default", "annotations": dict(annotations or {})}
        body = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": metadata, "spec": declared}
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def declare_pending(self, name: str) -> None:
        """A Plant whose vendor id is not known yet."""
        self.declared.add(name)
        metadata, spec = {"name": name, "namespace": "default"}, {"brand": "SOLIS"}
        body = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": metadata, "spec": spec}
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def edit(self, name: str, **spec: Any) -> None:
        self.cluster.kubectl("patch", "plant", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def annotate(self, name: str, **annotations: str) -> None:
        pairs = [f"{ANNOTATION}{key.replace('_', '-')}={value}" for key, value in annotations.items()]
        self.cluster.kubectl("annotate", "--overwrite", "plant", name, *pairs)

    def write_status(self, name: str, status: Mapping[str, Any] | None) -> None:
        patch = f"--patch={json.dumps({'status': status})}"
        self.cluster.kubectl("patch", "plant", name, "--subresource=status", "--type=merge", patch)

    def delete(self, name: str) -> None:
        self.cluster.request("DELETE", f"{API}/{name}")

    def resource(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.request("GET", f"{API}/{name}")
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resource(name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> tuple[str, str] | None:
        """Its status and reason."""
        conditions = {c["type"]: (c["status"], c["reason"]) for c in self.status(name).get("conditions", [])}
        return conditions.get(kind)

    def becomes(self, name: str, health: str, bound_s: float = SOON_S) -> dict[str, Any]:
        """The status once it shows `health`."""

        def shown() -> dict[str, Any] | None:
            status = self.status(name)
            return status if status.get("health") == health else None

        return wait_until(shown, bound_s, f"{name} to become {health}") or {}

    def green(self, name: str, **spec: Any) -> dict[str, Any]:
        self.declare(name, **spec)
        return self.becomes(name, "GREEN")

    def accepted(self, name: str, reason: str, bound_s: float = SOON_S) -> None:
        wait_until(lambda: (self.condition(name, "Accepted") or ("", ""))[1] == reason, bound_s, f"{name} to be {reason}")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._database, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def polls(self, plant_id: UUID) -> int:
        return int(self.value("SELECT count(*) FROM poll_logs WHERE plant_id = %s", plant_id))

    def is_deleted(self, plant_id: UUID) -> bool:
        return bool(self.value("SELECT deleted_at IS NOT NULL AND next_poll_at IS NULL FROM plants WHERE plant_id = %s", plant_id))

    def make_due(self, plant_id: UUID) -> None:
        """As if its next slot had begun."""
        query = "UPDATE plants SET next_poll_at = now(), mirror_held_until = now() WHERE plant_id = %s RETURNING 1"
        self.rows(query, plant_id)

    def poll_again(self, plant_id: UUID) -> None:
        """A second time in its slot, which nobody has asked for."""
        self.rows("UPDATE plants SET next_poll_at = now() WHERE plant_id = %s RETURNING 1", plant_id)

    def level(self, plant_id: UUID) -> bool:
        """Whether Kubernetes has been told all, and no job is under way."""
        query = "SELECT version = mirrored_version AND attempt = done_attempt FROM plants WHERE plant_id = %s"
        return bool(self.value(query, plant_id))

    def events(self, name: str, reason: str | None = None) -> list[dict[str, Any]]:
        """Those of the Plant that has this name now, oldest first."""
        query = f"fieldSelector=involvedObject.uid={self.resource(name)['metadata']['uid']}"
        found = self.cluster.request("GET", f"/api/v1/namespaces/default/events?{query}")["items"]
        return [event for event in sorted(found, key=lambda event: str(event["lastTimestamp"])) if reason in (None, event["reason"])]

    def told(self, name: str, reason: str, count: int = 1) -> list[str]:
        """The messages of its events of this reason, once there are that many."""
        wait_until(lambda: len(self.events(name, reason)) >= count, START_S, f"{count} {reason} of {name}")
        return [event["message"] for event in self.events(name, reason)]

    def metric(self, name: str, **labels: str) -> float:
        """Over all operators."""
        return sum(self.metric_of(operator, name, **labels) for operator in self.operators)

    def metric_of(self, operator: SolarProcess, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(operator.get("/metrics") or "")
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def id_of(vendor_plant_id: str) -> UUID:
    return plant_id_for("default", Brand.SOLIS, vendor_plant_id)


@pytest.fixture(scope="module")
def fleet(
    control_plane: ControlPlane,
    operator_kubeconfig: Path,
    postgres_server: Postgres,
    migrated_template: str,
    valkey_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    control_plane.revive()
    folder = tmp_path_factory.mktemp("operator")
    with valkey_server.client() as client:
        client.flushall()
    name = f"test_{uuid4().hex}"
    database = postgres_server.create_database(name, template=migrated_template)
    common = {"DATABASE_URL": database, "REDIS_URL": valkey_server.url}
    operator_env = {**common, "KUBECONFIG": str(operator_kubeconfig), "RESYNC_SECONDS": str(RESYNC_S)}
    with ExitStack() as running:
        operators = [
            running.enter_context(SolarProcess(["operator"], operator_env, folder, name=f"operator-{number}")) for number in (1, 2)
        ]
        worker_env = {**common, "INTEGRATION_MOCK_MODE": "true"}
        worker = running.enter_context(SolarProcess(["worker", "--brand", "solis"], worker_env, folder))
        for process in (*operators, worker):
            process.wait_ready(START_S)
        yield Fleet(control_plane, database, operators, worker)
    control_plane.revive()
    control_plane.request("DELETE", API)
    postgres_server.drop_database(name)
