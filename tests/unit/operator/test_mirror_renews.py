"""Patches of objects that are not read: they make the same status as with reading, and an object that has changed is read."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.judge import judge_declared
from controller.domain.outcome import Outcome, PollLog
from controller.domain.plant import Alert, AlertType, Integration, JobType, PlantContext, PollError, PollStatus, Reason, Status
from controller.metrics import Metrics
from controller.operator import standings
from controller.operator.conditions import Standing
from controller.operator.echoes import Echoes
from controller.operator.kubernetes_api import Patched, PlantsApi
from controller.operator.mirror import LEASE_S, Mirror
from controller.operator.standings import Standings
from controller.operator.status_document import OPTIONAL, OPTIONAL_WITHIN, renewed_document, replacing_patch, status_document
from controller.storage.changes import ChangeListener
from controller.storage.memory import MemoryStore
from integrations.contract import Severity
from integrations.registry import ADAPTERS
from tests.unit.operator.plants import NOW, day, resource, row
from tests.unit.operator.test_definition import SCHEMA
from tests.unit.operator.test_merge_patch import applied
from tests.unit.operator.test_mirror_events import Cluster, Silent

POWERS = st.none() | st.floats(0, 9_000)
ALERT = Alert(
    id=resource().plant_id, type=AlertType.MOCK_FAULT, severity=Severity.HIGH, opened_at=NOW, last_seen_at=NOW, vendor_alarm_code="7"
)


@st.composite
def plants(draw: st.DrawFn) -> PlantContext:
    """A plant in any of the states that its status tells apart."""
    ago = st.none() | st.integers(0, 10_000).map(lambda minutes: NOW - timedelta(minutes=minutes))
    days = tuple(day(date, draw(st.floats(0, 60)), draw(POWERS)) for date in ("2026-01-15", "2026-01-14", "2026-01-13", "2026-01-12"))
    plant = row(
        declared={
            "capacity_kwp": draw(st.sampled_from([None, 6.6])),
            "longitude": draw(st.sampled_from([None, -46.0])),
            "poll_interval_s": draw(st.sampled_from([600, 900])),
        },
        days=draw(st.sampled_from([days, days[1:], ()])),
        integration=draw(st.sampled_from(list(Integration))),
        status=draw(st.sampled_from(list(Status))),
        reason=draw(st.sampled_from(list(Reason))),
        status_since=draw(ago),
        last_poll_at=draw(ago),
        last_success_at=draw(ago),
        last_seen_at=draw(ago),
        current_power_w=draw(POWERS),
        total_energy_kwh=draw(st.none() | st.floats(0, 90_000)),
        consecutive_failures=draw(st.integers(0, 2)),
        last_error=draw(st.sampled_from([None, *PollError])),
        handled_poll_request=draw(st.sampled_from([None, "now"])),
    )
    return msgspec.structs.replace(plant, alerts=draw(st.sampled_from([(), (ALERT,)])))


@given(plants(), plants(), st.integers(0, 600))
def test_a_status_is_the_same_whether_its_object_is_read_or_remembered(before: PlantContext, after: PlantContext, minutes: int) -> None:
    after = msgspec.structs.replace(after, declaration=before.declaration)
    was = status_document(before, resource(), NOW)
    now = NOW + timedelta(minutes=minutes)
    read = status_document(after, resource(status=was), now)
    standing = Standing.of(241, was)
    assert standing is not None
    renewed = renewed_document(after, standing, now)
    assert renewed == read
    assert applied(replacing_patch(renewed), was) == read, "and the patch makes it of what stood there"


def test_a_patch_of_the_whole_knows_every_field_that_may_be_absent() -> None:
    fields = SCHEMA["properties"]["status"]["properties"]
    always = status_document(row(), resource(), NOW).keys() - set(OPTIONAL)
    assert fields.keys() == {*OPTIONAL, *always}
    nested = {name: set(field["properties"]) - {"date"} for name, field in fields.items() if "properties" in field and name != "openAlerts"}
    assert {name: set(optional) for name, optional in OPTIONAL_WITHIN.items()} == nested


def test_instants_that_somebody_else_spelled_are_not_remembered() -> None:
    ours = status_document(row(), resource(), NOW)
    for strange in ("2026-01-15T15:00:00.5Z", "2026-01-15T12:00:00-03:00", "0001-01-01T00:00:00Z", "yesterday"):
        theirs = {**ours, "conditions": [{**ours["conditions"][0], "lastTransitionTime": strange}, *ours["conditions"][1:]]}
        assert Standing.of(241, theirs) is None
    assert Standing.of(241, ours) is not None


def test_what_is_remembered_is_bounded_and_forgotten_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "KEPT", 2)
    kept, status = Standings(), status_document(row(), resource(), NOW)
    ids = [resource(vendorPlantId=str(number)).plant_id for number in range(3)]
    for plant_id in ids[:2]:
        kept.note(plant_id, 241, status)
    assert kept.at(ids[0], 241) is not None
    assert kept.at(ids[0], 242) is None, "another version"
    kept.forget(ids[0])
    assert kept.at(ids[0], 241) is None
    kept.note(ids[0], 241, status)
    kept.note(ids[2], 241, status)
    assert [kept.at(plant_id, 241) is not None for plant_id in ids] == [False, False, True]


class Counted(Cluster):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.sent: list[Mapping[str, Any]] = []

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        self.reads += 1
        return super().get(namespace, name)

    def patch_status(self, namespace: str, name: str, uid: str, resource_version: str, status: Mapping[str, Any]) -> Patched:
        self.sent.append(status)
        return super().patch_status(namespace, name, uid, resource_version, status)


class World:
    """One plant, its object, and two operators."""

    def __init__(self) -> None:
        self.now = NOW
        self.store, self.cluster, self.metrics = MemoryStore(), Counted(), Metrics()
        self.echoes = Echoes({brand: adapter.capabilities for brand, adapter in ADAPTERS.items()})
        self.events = 0
        self.plant_id = self.cluster.resource.plant_id
        self.declare()
        self.mirror, self.other = self.a_mirror(), self.a_mirror()

    def a_mirror(self) -> Mirror:
        api, changes = cast(PlantsApi, self.cluster), cast(ChangeListener, Silent())
        return Mirror(self.store, changes, api, self.metrics, lambda: self.now, lambda _: None, self._announce, self.echoes)

    def _announce(self, _resource: Any, events: Any) -> None:
        self.events += len(events)

    def declare(self) -> None:
        plant = self.cluster.resource
        self.store.apply(self.plant_id, plant.declaration(60), plant.resource_version, self.now, judge_declared)

    @property
    def row(self) -> PlantContext:
        return self.store.read([self.plant_id])[self.plant_id]

    def poll(self, power_w: float | None) -> None:
        self.now += timedelta(minutes=11)
        (job,) = self.store.claim_polls(self.now, 1)
        before = self.row
        live = msgspec.structs.replace(
            before.live,
            current_power_w=power_w,
            last_poll_at=self.now,
            last_success_at=self.now,
            last_seen_at=self.now,
            polled_generation=before.declaration.generation,
        )
        log = PollLog(
            job_id="-",
            job_type=JobType.POLL,
            attempt=job.attempt,
            claimed_at=self.now,
            started_at=self.now,
            finished_at=self.now,
            status=PollStatus.SUCCESS,
        )
        self.store.write([Outcome(before=before, live=live, log=log)])

    def turn(self, mirror: Mirror | None = None) -> int:
        """How often the object was read."""
        self.now += timedelta(seconds=LEASE_S + 1)
        before = self.cluster.reads
        (mirror or self.mirror).turn()
        return self.cluster.reads - before

    def is_shown(self) -> bool:
        return self.cluster.resource.status == status_document(self.row, self.cluster.resource, self.now) and (
            self.store.mirror_books([self.plant_id])[self.plant_id].mirrored_version == self.row.version
        )

    def conflicts(self) -> float:
        return self.metrics.registry.get_sample_value("solarinvest_status_patch_conflicts_total") or 0.0


@pytest.fixture
def world() -> World:
    """The plant, polled twice and shown."""
    world = World()
    for _ in range(2):
        world.poll(900.0)
        world.turn()
    assert world.is_shown()
    return world


def test_numbers_are_patched_without_a_read(world: World) -> None:
    events = world.events
    for power_w in (1000.0, 1100.0):
        world.poll(power_w)
        assert world.turn() == 0
        assert world.is_shown()
    assert world.cluster.resource.status["currentPowerW"] == 1100.0
    assert world.events == events
    assert world.echoes.is_echo(world.cluster.body)


def test_what_is_notable_is_patched_with_one_and_only_what_differs(world: World) -> None:
    world.poll(None)
    assert world.turn() == 1
    assert world.is_shown()
    assert "health" not in world.cluster.sent[-1]
    assert "currentPowerW" not in world.cluster.resource.status


def test_an_object_that_has_changed_is_read_and_what_was_changed_is_kept(world: World) -> None:
    world.cluster.body["metadata"]["labels"] = {"roof": "south"}
    world.cluster.write(world.cluster.body["status"])
    world.poll(1000.0)
    assert world.turn() == 0
    assert (world.conflicts(), world.is_shown()) == (1, False)
    assert world.turn() == 1
    assert world.is_shown()
    assert world.cluster.body["metadata"]["labels"] == {"roof": "south"}
    world.poll(1100.0)
    assert world.turn() == 0, "remembered again"
    assert world.conflicts() == 1


def test_a_status_that_somebody_else_wrote_is_put_right(world: World) -> None:
    world.cluster.write({**world.cluster.body["status"], "health": "RED", "lastHandledPollRequest": "theirs"})
    world.poll(1000.0)
    world.turn()
    world.turn()
    assert world.is_shown()
    assert world.metrics.registry.get_sample_value("solarinvest_status_repairs_total") == 1


def test_what_another_operator_has_told_since_is_read(world: World) -> None:
    world.poll(1000.0)
    assert world.turn(world.other) == 1
    world.poll(1100.0)
    assert world.turn() == 1, "not our own last patch"
    assert world.conflicts() == 0
    assert world.is_shown()


def test_a_plant_that_was_declared_again_or_is_to_be_put_right_is_read(world: World) -> None:
    version = world.cluster.resource.resource_version
    assert world.store.reset_mirror(world.plant_id, version + 1, "another", world.now)
    assert world.turn() == 1
    world.cluster.body["metadata"]["generation"] += 1
    world.cluster.write(world.cluster.body["status"])
    world.declare()
    assert world.turn() == 1
    assert world.conflicts() == 0


def test_an_object_that_says_something_else_than_its_row_is_not_remembered(world: World) -> None:
    """Its patch is no echo: with the next one, the event of the change may be lost as well."""
    world.cluster.body["spec"]["displayName"] = "Padaria"
    world.cluster.write(world.cluster.body["status"])
    for power_w, reads in ((1000.0, 0), (1100.0, 1)):
        world.poll(power_w)
        assert world.turn() == reads
        world.turn()
    world.poll(1200.0)
    assert world.turn() == 1
    assert not world.echoes.is_echo(world.cluster.body)
