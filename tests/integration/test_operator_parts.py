"""The operator's parts one by one, on a real API server and a real Postgres: what they do with conflicts, refusals and bad objects."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from controller.domain.errors import StoreRejected
from controller.domain.judge import JudgeDeclared
from controller.domain.plant import Declaration
from controller.metrics import Metrics
from controller.operator import kubernetes_api
from controller.operator.events import PlantEvent
from controller.operator.kubernetes_api import (
    KubernetesRefused,
    KubernetesUnavailable,
    ObjectChanged,
    Patched,
    PlantsApi,
    StatusRefused,
    load_configuration,
)
from controller.operator.mirror import AT_ONCE, BATCH, TURN, Mirror
from controller.operator.reconcile import Reconciler, ReconcileResult
from controller.operator.resource import PlantResource
from controller.operator.resync import Resync
from controller.storage.changes import ChangeListener
from controller.storage.database import Database
from controller.storage.memory import MemoryStore
from controller.storage.ports import Applied, Store
from controller.storage.store import PostgresStore
from hack.devstack.control_plane import ControlPlane
from integrations.registry import ADAPTERS

pytestmark = [pytest.mark.xdist_group("control-plane-operator"), pytest.mark.lasts(120)]

PLANTS = "/apis/monitor.solarinvest.info/v1alpha1/namespaces/default/plants"
NAMES = [("default", name) for name in ("gone", "a-rejected", "b-broken", "c-good", "first", "second", "another")]


def now() -> datetime:
    return datetime.now(UTC)


class Plants:
    """Plant objects as a person makes them, and as the operator's account sees them."""

    def __init__(self, cluster: ControlPlane, kubeconfig: Path) -> None:
        self._cluster = cluster
        self.configuration = load_configuration(kubeconfig)
        self.api = PlantsApi(self.configuration)

    def create(self, name: str, **spec: Any) -> dict[str, Any]:
        declared = {"brand": "SOLIS", "vendorPlantId": name, **spec}
        body = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": {"name": name}, "spec": declared}
        created: dict[str, Any] = self._cluster.request("POST", PLANTS, body)
        return created

    def edit(self, name: str, **spec: Any) -> None:
        self._cluster.kubectl("patch", "plant", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def delete(self, name: str) -> None:
        self._cluster.request("DELETE", f"{PLANTS}/{name}")

    def get(self, name: str) -> dict[str, Any]:
        found = self.api.get("default", name)
        assert found is not None
        return found

    def patch(self, body: dict[str, Any], status: dict[str, Any]) -> Patched:
        metadata = body["metadata"]
        return self.api.patch_status("default", metadata["name"], metadata["uid"], metadata["resourceVersion"], status)


@pytest.fixture
def plants(cluster: ControlPlane, operator_kubeconfig: Path) -> Plants:
    return Plants(cluster, operator_kubeconfig)


# What the API server answers


def test_a_status_is_patched_only_into_the_version_that_was_read(plants: Plants) -> None:
    body = plants.create("roof")
    patched = plants.patch(body, {"health": "GREEN"})
    assert patched.status["health"] == "GREEN"
    assert str(patched.resource_version) == plants.get("roof")["metadata"]["resourceVersion"]
    with pytest.raises(ObjectChanged):
        plants.patch(body, {"health": "RED"})
    assert plants.get("roof")["status"]["health"] == "GREEN"


def test_a_status_is_not_patched_into_another_object_of_the_same_name(plants: Plants) -> None:
    former = plants.create("roof")
    plants.delete("roof")
    with pytest.raises(ObjectChanged):
        plants.patch(former, {"health": "RED"})
    plants.create("roof")
    with pytest.raises(ObjectChanged):
        plants.patch(former, {"health": "RED"})
    assert "status" not in plants.get("roof")


def test_a_status_that_the_definition_forbids_is_refused_by_name(plants: Plants) -> None:
    with pytest.raises(StatusRefused, match=r"status\.health"):
        plants.patch(plants.create("roof"), {"health": "PURPLE"})


def test_an_object_that_is_not_there_is_none(plants: Plants) -> None:
    assert plants.api.get("default", "nowhere") is None


def test_refusals_and_outages_are_told_apart(plants: Plants, cluster: ControlPlane, operator_kubeconfig: Path) -> None:
    stranger = load_configuration(operator_kubeconfig)
    stranger.refresh_api_key_hook = None
    stranger.api_key = {"BearerToken": "bearer nonsense"}
    with pytest.raises(KubernetesRefused, match="401"):
        PlantsApi(stranger).assert_served()
    cluster.stop_apiserver()
    with pytest.raises(KubernetesUnavailable):
        list(plants.api.pages())
    with pytest.raises(KubernetesUnavailable):
        plants.api.get("default", "roof")


# Mirror


class Mirroring:
    """A mirror over real rows, with a word in between reading a row and patching its object."""

    def __init__(self, plants: Plants, database: str) -> None:
        self.plants = plants
        self.store = PostgresStore(rows := Database(database, "mirror-test"))
        self.metrics = Metrics()
        self.between: Callable[[], None] = lambda: None
        self.announced: list[tuple[str, PlantEvent]] = []
        self._rows, self._changes = rows, ChangeListener(rows)
        self.mirror = self.with_api(plants.api)

    def with_api(self, api: PlantsApi, clock: Callable[[], datetime] = now) -> Mirror:
        return Mirror(self.store, self._changes, api, self.metrics, clock, lambda _: self.between(), self._note)

    def _note(self, resource: PlantResource, events: Sequence[PlantEvent]) -> None:
        self.announced += [(resource.name, event) for event in events]

    def events(self) -> list[str]:
        """The reasons of what has been announced since last asked."""
        reasons = [event.reason.value for _, event in self.announced]
        self.announced.clear()
        return reasons

    def declare(self, name: str) -> UUID:
        self.plants.create(name)
        return self.reconcile(name)

    def reconcile(self, name: str) -> UUID:
        resource = PlantResource.parse(self.plants.get(name))
        Reconciler(self.store, self.plants.api, capabilities(), now, self._note).reconcile(resource)
        return resource.plant_id

    def health(self, name: str) -> str | None:
        found: str | None = self.plants.get(name).get("status", {}).get("health")
        return found

    def is_level(self, *plant_ids: UUID) -> bool:
        rows, books = self.store.read(plant_ids), self.store.mirror_books(plant_ids)
        return all(books[plant_id].mirrored_version == rows[plant_id].version for plant_id in plant_ids)

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"solarinvest_{name}") or 0.0

    def close(self) -> None:
        self._changes.close()
        self._rows.close()


def capabilities() -> dict[Any, Any]:
    return {brand: adapter.capabilities for brand, adapter in ADAPTERS.items()}


@pytest.fixture
def mirroring(plants: Plants, database: str) -> Iterator[Mirroring]:
    mirroring = Mirroring(plants, database)
    yield mirroring
    mirroring.close()


def test_an_object_edited_between_reading_and_patching_is_read_again(mirroring: Mirroring) -> None:
    plant_id = mirroring.declare("roof")
    edits = iter([lambda: mirroring.plants.edit("roof", displayName="Padaria")])
    mirroring.between = lambda: next(edits, lambda: None)()
    mirroring.mirror.turn()
    assert mirroring.health("roof") is None, "what was read is not what stands there"
    assert mirroring.count("status_patch_conflicts_total") == 1
    mirroring.mirror.turn()
    assert mirroring.health("roof") == "GREY"
    assert mirroring.is_level(plant_id)
    assert mirroring.count("status_patches_total") == 1


def test_an_object_deleted_between_reading_and_patching_is_left_alone(mirroring: Mirroring) -> None:
    mirroring.declare("roof")
    deletions = iter([lambda: mirroring.plants.delete("roof")])
    mirroring.between = lambda: next(deletions, lambda: None)()
    mirroring.mirror.turn()
    mirroring.mirror.turn()
    assert mirroring.count("status_patches_total") == 0


def test_a_status_that_says_nothing_new_is_acknowledged_without_a_patch(mirroring: Mirroring) -> None:
    plant_id = mirroring.declare("roof")
    mirroring.mirror.turn()
    # As after a crash between the patch and its acknowledgement.
    assert mirroring.store.reset_mirror(plant_id, 10**12, "another digest", now())
    version = mirroring.plants.get("roof")["metadata"]["resourceVersion"]
    mirroring.mirror.turn()
    assert mirroring.plants.get("roof")["metadata"]["resourceVersion"] == version
    assert mirroring.count("status_patches_total") == 1
    assert mirroring.is_level(plant_id)


def test_a_change_whose_row_is_locked_when_it_is_announced_is_not_left_to_the_scan(mirroring: Mirroring, database: str) -> None:
    plant_id = mirroring.declare("roof")
    mirroring.mirror.turn()
    assert mirroring.is_level(plant_id)
    mirroring.plants.edit("roof", suspend=True)
    mirroring.reconcile("roof")
    with psycopg.connect(database) as other, other.transaction():
        # As a scheduler does that claims the poll, or another operator that has the same event.
        other.execute("SELECT 1 FROM plants FOR UPDATE")
        mirroring.mirror.turn()
        assert not mirroring.is_level(plant_id)
    mirroring.mirror.turn()
    assert mirroring.is_level(plant_id)


class Picky(PlantsApi):
    """An API server that will not take the status of one plant: such a document cannot be made from the outside."""

    def patch_status(self, namespace: str, name: str, uid: str, resource_version: str, status: Any) -> Patched:
        return super().patch_status(namespace, name, uid, resource_version, {"health": "PURPLE"} if name == "bad" else status)


def test_a_plant_whose_status_is_refused_holds_up_no_other(mirroring: Mirroring) -> None:
    bad, good = mirroring.declare("bad"), mirroring.declare("good")
    mirror = mirroring.with_api(Picky(mirroring.plants.configuration))
    with pytest.raises(StatusRefused, match=r"HTTP 422.*status\.health"):
        mirror.turn()
    assert mirroring.health("good") == "GREY"
    assert mirroring.is_level(good)
    mirror.turn()
    assert not mirroring.is_level(bad), "it waits for its lease to end"


def test_more_plants_than_a_turn_takes_are_all_mirrored(mirroring: Mirroring) -> None:
    ids = [mirroring.declare(f"roof-{number}") for number in range(BATCH + 1)]
    mirroring.mirror.turn()
    assert not mirroring.is_level(*ids), "a turn is short, so that its loop is seen to come round"
    mirroring.mirror.turn()
    assert mirroring.is_level(*ids)
    assert mirroring.count("status_patches_total") == BATCH + 1


def test_a_slow_api_server_makes_turns_smaller_not_longer(mirroring: Mirroring) -> None:
    ids = [mirroring.declare(f"roof-{number}") for number in range(3 * AT_ONCE)]
    instants = count(start=now().timestamp(), step=TURN.total_seconds() / 4)
    mirror = mirroring.with_api(mirroring.plants.api, lambda: datetime.fromtimestamp(next(instants), UTC))
    patched = [0.0]
    while not mirroring.is_level(*ids):
        mirror.turn()
        patched.append(mirroring.count("status_patches_total"))
        assert patched[-1] > patched[-2], "each turn brings something"
    assert len(patched) > 2, "and none brings all"


# Resync


class Rejecting(MemoryStore):
    """Has no room for plants of one name, and a defect with those of another."""

    def apply(self, plant_id: UUID, declaration: Declaration, resource_version: int, now: datetime, judge: JudgeDeclared) -> Applied:
        if declaration.name == "a-rejected":
            raise StoreRejected("DataError")
        if declaration.name == "b-broken":
            raise ZeroDivisionError
        return super().apply(plant_id, declaration, resource_version, now, judge)


def resync(plants: Plants, store: Store, metrics: Metrics, listed: Callable[[int], None] = lambda _: None) -> None:
    reconciler = Reconciler(store, plants.api, capabilities(), now, lambda *_: None)
    Resync(store, plants.api, reconciler, metrics, now, listed).turn()


def reconciled(metrics: Metrics, *results: ReconcileResult) -> Sequence[float | None]:
    return [metrics.registry.get_sample_value("solarinvest_reconciles_total", {"result": result}) for result in results]


def test_one_bad_object_harms_no_other_and_no_deletion(plants: Plants) -> None:
    store, metrics = Rejecting(), Metrics()
    plants.create("gone")
    resync(plants, store, metrics)
    plants.delete("gone")
    for name in ("a-rejected", "b-broken", "c-good"):
        plants.create(name)
    resync(plants, store, metrics)
    assert {row.declaration.name for row in store.live_rows(NAMES).values()} == {"c-good"}
    expected = (ReconcileResult.APPLIED, ReconcileResult.REJECTED, ReconcileResult.BROKEN, ReconcileResult.DELETED)
    assert reconciled(metrics, *expected) == [2, 1, 1, 1]


def test_a_fleet_is_compared_page_by_page_as_of_one_version(plants: Plants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "PAGE", 2)
    store, metrics = MemoryStore(), Metrics()
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        plants.create(name)
    pages = list(plants.api.pages())
    assert [[item["metadata"]["name"] for item in page.items] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert len({page.resource_version for page in pages}) == 1
    resync(plants, store, metrics)
    plants.delete("a")
    plants.delete("e")
    resync(plants, store, metrics)
    live = store.live_rows([("default", name) for name in names])
    assert {row.declaration.name for row in live.values()} == {"b", "c", "d"}
    assert reconciled(metrics, ReconcileResult.APPLIED, ReconcileResult.DELETED) == [5, 2]


def test_a_resync_of_what_has_not_changed_touches_nothing(plants: Plants) -> None:
    store, metrics = MemoryStore(), Metrics()
    told: list[int] = []
    plants.create("roof")
    plants.create("wrong", timezone="America/Sao_Paolo")
    for _ in range(3):
        resync(plants, store, metrics, told.append)
    assert reconciled(metrics, ReconcileResult.APPLIED) == [1]
    versions = [int(plants.get(name)["metadata"]["resourceVersion"]) for name in ("roof", "wrong")]
    assert told[1:] == [max(versions)] * 2, "the watch is told what it must have heard of; a refusal is written once"


def test_a_cluster_without_plants_is_compared_too(plants: Plants) -> None:
    told: list[int] = []
    resync(plants, MemoryStore(), Metrics(), told.append)
    assert told == [0]


def test_an_object_refused_as_a_second_one_is_taken_once_the_first_is_gone(plants: Plants) -> None:
    store, metrics = MemoryStore(), Metrics()
    plants.create("first", vendorPlantId="one")
    resync(plants, store, metrics)
    plants.create("second", vendorPlantId="one")
    resync(plants, store, metrics)
    # Its last change, the refusal, is older than this deletion.
    plants.delete("first")
    resync(plants, store, metrics)
    # In a cluster, something happens all the time.
    plants.create("another")
    resync(plants, store, metrics)
    assert {row.declaration.name for row in store.live_rows(NAMES).values()} == {"second", "another"}
