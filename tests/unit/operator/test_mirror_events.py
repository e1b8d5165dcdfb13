"""Two mirrors over one store and one API server, in any interleaving, with crashes and hands that write statuses: each transition is told
at most once, and where nobody interferes exactly once. The store is in memory, and so is the API server: thousands of runs."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid5

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from controller.domain.errors import StoreUnavailable
from controller.domain.judge import judge_declared
from controller.domain.outcome import Outcome
from controller.domain.plant import Alert, AlertState, AlertType, Integration, Reason, Status
from controller.metrics import Metrics
from controller.operator.event_poster import event_name
from controller.operator.events import EventReason, PlantEvent
from controller.operator.kubernetes_api import ObjectChanged, Patched, PlantsApi
from controller.operator.mirror import LEASE_S, Mirror
from controller.operator.resource import PlantResource
from controller.storage.changes import ChangeListener
from controller.storage.memory import MemoryStore
from controller.storage.ports import MirrorAck
from integrations.contract import Severity
from tests.unit.operator.plants import NOW, body
from tests.unit.operator.test_merge_patch import applied

REASONS = {
    Status.GREEN: Reason.REPORTING,
    Status.YELLOW: Reason.STALE,
    Status.RED: Reason.CRITICAL_ALERT,
    Status.GREY: Reason.PAUSED_AUTH_ERROR,
}


class Cluster:
    """One Plant, as an API server keeps it."""

    def __init__(self) -> None:
        self.body = body()
        self.body.pop("status")

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        return deepcopy(self.body)

    def patch_status(self, namespace: str, name: str, uid: str, resource_version: str, status: Mapping[str, Any]) -> Patched:
        if resource_version != self.body["metadata"]["resourceVersion"]:
            raise ObjectChanged(name)
        self.write(applied(status, self.body.get("status", {})))
        return Patched(self.resource.resource_version, deepcopy(self.body["status"]))

    def write(self, status: Mapping[str, Any]) -> None:
        self.body["status"] = deepcopy(dict(status))
        self.body["metadata"]["resourceVersion"] = str(int(self.body["metadata"]["resourceVersion"]) + 1)

    @property
    def resource(self) -> PlantResource:
        return PlantResource.parse(self.body)


class Forgetful(MemoryStore):
    """Loses an acknowledgement where it is told to, as a killed operator does."""

    def __init__(self) -> None:
        super().__init__()
        self.loses = False

    def acknowledge(self, acks: Sequence[MirrorAck], now: datetime) -> None:
        if self.loses:
            self.loses = False
            raise StoreUnavailable("killed")
        super().acknowledge(acks, now)


class Silent:
    """No hints: every turn scans."""

    def wait_for_changes(self, timeout_s: float) -> set[UUID] | None:
        return None


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.store, self.cluster, self.metrics = Forgetful(), Cluster(), Metrics()
        self.told: list[tuple[PlantResource, PlantEvent]] = []
        self.between: Callable[[], None] = lambda: None
        self.mirrors = [self.a_mirror(), self.a_mirror()]
        self.alerts: dict[int, Alert] = {}
        self.declare()

    @property
    def plant_id(self) -> UUID:
        return self.cluster.resource.plant_id

    def a_mirror(self) -> Mirror:
        api, changes = cast(PlantsApi, self.cluster), cast(ChangeListener, Silent())
        return Mirror(self.store, changes, api, self.metrics, lambda: self.now, self._stop, self._announce)

    def _stop(self, _where: str) -> None:
        between, self.between = self.between, lambda: None
        between()

    def _announce(self, resource: PlantResource, events: Sequence[PlantEvent]) -> None:
        self.told += [(resource, event) for event in events]

    def declare(self) -> None:
        resource = self.cluster.resource
        self.store.apply(self.plant_id, resource.declaration(60), resource.resource_version, self.now, judge_declared)

    def change(self, status: Status, active: Collection[int] = (), failures: int = 0) -> None:
        """The plant as a judgement leaves it, at a later instant."""
        self.now += timedelta(seconds=7)
        before = self.store.read([self.plant_id])[self.plant_id]
        integration = Integration.PAUSED_AUTH_ERROR if status is Status.GREY else Integration.ACTIVE
        live = msgspec.structs.replace(
            before.live,
            integration=integration,
            status=status,
            reason=REASONS[status],
            status_since=before.live.status_since if status is before.live.status else self.now,
            explain=(f"{status}: as judged at {self.now}.",),
            consecutive_failures=failures,
            last_success_at=before.live.last_success_at if failures else self.now,
            last_poll_at=self.now,
        )
        self.store.write([Outcome(before=before, live=live, alerts=self._changed(active))])

    def _changed(self, active: Collection[int]) -> tuple[Alert, ...]:
        ended = [replaced(alert, self.now) for number, alert in self.alerts.items() if number not in active]
        opened = {number: self._opened(number) for number in active if number not in self.alerts}
        self.alerts = {number: alert for number, alert in self.alerts.items() if number in active} | opened
        return (*ended, *opened.values())

    def _opened(self, number: int) -> Alert:
        """A new one, with a new id, as often as its key comes back (DOMAIN 6)."""
        return Alert(
            id=uuid5(self.plant_id, f"{number}|{self.now}"),
            type=AlertType.MOCK_FAULT,
            severity=Severity.HIGH,
            vendor_alarm_code=str(number),
            opened_at=self.now,
            last_seen_at=self.now,
        )

    def turn(self, number: int, between: Callable[[], None] = lambda: None) -> None:
        """A turn of one mirror, `between` its reading of the row and its patch. Whatever a former one had leased is free again."""
        self.now += timedelta(seconds=LEASE_S + 1)
        self.between = between
        with suppress(StoreUnavailable):
            self.mirrors[number].turn()
        self.between = lambda: None

    def settle(self) -> None:
        for number in (0, 1, 0):
            self.turn(number)
        assert self.cluster.resource.status["health"] == self.store.read([self.plant_id])[self.plant_id].live.status

    def names(self) -> list[str]:
        return [event_name(resource, event) for resource, event in self.told]

    def said(self, reason: EventReason) -> list[str]:
        return [event.message for _, event in self.told if event.reason is reason]


def replaced(alert: Alert, now: datetime) -> Alert:
    return msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=now)


JUDGED = st.tuples(st.just("judged"), st.sampled_from(list(Status)), st.frozensets(st.integers(1, 14), max_size=14), st.integers(0, 2))
TURN = st.tuples(st.just("turn"), st.integers(0, 1))
NESTED = st.tuples(st.just("nested"), st.integers(0, 1), st.one_of(st.none(), JUDGED))
KILL, HAND = st.just(("kill",)), st.just(("hand",))
FAIR = st.lists(st.one_of(JUDGED, TURN, NESTED), max_size=14)
FOUL = st.lists(st.one_of(JUDGED, TURN, NESTED, KILL, HAND), max_size=14)


def play(world: World, step: tuple[Any, ...]) -> None:
    match step:
        case ("judged", status, active, failures):
            world.change(status, active, failures)
        case ("turn", number):
            world.turn(number)
        case ("nested", number, judged):

            def between() -> None:
                """The other mirror takes the plant over, its lease being long past, after another judgement perhaps."""
                if judged is not None:
                    play(world, judged)
                world.turn(1 - number)

            world.turn(number, between)
        case ("kill",):
            world.store.loses = True
        case ("hand",):
            world.cluster.write({**world.cluster.body.get("status", {}), "health": "RED", "alerts": [], "conditions": []})
            resource = world.cluster.resource
            world.store.reset_mirror(world.plant_id, resource.resource_version, "by hand", world.now)


@given(FOUL)
@example([("kill",), ("judged", Status.GREY, frozenset(), 0), ("turn", 0), ("hand",)])
@example([("judged", Status.RED, frozenset({1}), 1), ("kill",), ("turn", 0), ("judged", Status.GREEN, frozenset(), 0), ("turn", 1)])
def test_nothing_is_told_twice_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    for step in steps:
        play(world, step)
    world.store.loses = False
    world.settle()
    assert [name for name, times in Counter(world.names()).items() if times > 1] == []


@given(FAIR)
def test_each_transition_that_is_shown_is_told_once_by_one_of_two(steps: list[tuple[Any, ...]]) -> None:
    """What Kubernetes shows, from one patch to the next, is what events tell: the healths chain, and every alert has both its ends."""
    world = World()
    for step in steps:
        play(world, step)
    world.change(Status.GREEN)
    world.settle()
    told = [message.split(" ")[:3:2] for message in world.said(EventReason.HEALTH_CHANGED)]
    assert [was for was, _ in told] == ["GREY", *(became.strip(":") for _, became in told)][: len(told)]
    assert not told or told[-1][1] == "GREEN:"
    # The first ten of a change are named, the others are counted.
    counts = {reason: len(world.said(reason)) for reason in (EventReason.ALERT_OPENED, EventReason.ALERT_RESOLVED)}
    assert told_of(world.said(EventReason.ALERT_OPENED)) == told_of(world.said(EventReason.ALERT_RESOLVED)), counts
    assert len(world.said(EventReason.POLL_RECOVERED)) <= len(world.said(EventReason.POLL_FAILED))


def told_of(messages: list[str]) -> int:
    return sum(int(message.split(" ")[0]) if " more alerts " in message else 1 for message in messages)


def test_a_status_put_right_is_told_by_nobody_and_what_comes_after_is() -> None:
    world = World()
    world.change(Status.GREEN)
    world.settle()
    world.told.clear()
    play(world, ("hand",))
    world.settle()
    assert world.told == []
    assert world.metrics.registry.get_sample_value("solarinvest_status_repairs_total") == 1
    world.change(Status.RED, [1])
    world.settle()
    assert [event.reason for _, event in world.told] == [EventReason.HEALTH_CHANGED, EventReason.ALERT_OPENED]


def test_an_operator_that_starts_again_tells_nothing() -> None:
    world = World()
    world.change(Status.RED, range(1, 15), failures=2)
    world.settle()
    world.told.clear()
    world.mirrors = [world.a_mirror(), world.a_mirror()]
    version = world.cluster.resource.resource_version
    world.declare()
    world.settle()
    assert (world.told, world.cluster.resource.resource_version) == ([], version)
