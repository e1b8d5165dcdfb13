"""Posting: bounded, at most once, and never in the way of whoever announces."""

import re
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from controller.metrics import Metrics
from controller.operator.event_poster import PER_TURN, TURN_S, WAITING_MAX, EventPoster, event_body, event_name
from controller.operator.events import EventReason, PlantEvent
from controller.operator.kubernetes_api import EventsApi, KubernetesRefused, KubernetesUnavailable
from controller.operator.resource import SILENCE_UNTIL
from tests.unit.operator.plants import NOW, body, resource

RED = PlantEvent(EventReason.HEALTH_CHANGED, "GREEN to RED: silent", is_warning=True, key="RED|1")


class Server:
    """The events of an API server, which can be away, lose its answer, or refuse."""

    def __init__(self) -> None:
        self.events: dict[str, Mapping[str, Any]] = {}
        self.errors: list[Exception | None] = []
        self.loses_answers = 0
        self.answers_after_s = 0.0

    def create(self, namespace: str, body: Mapping[str, Any]) -> bool:
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        threading.Event().wait(self.answers_after_s)
        name = str(body["metadata"]["name"])
        is_new = name not in self.events
        self.events[name] = body
        if self.loses_answers:
            self.loses_answers -= 1
            raise KubernetesUnavailable("ReadTimeoutError")
        return is_new


class Posting:
    def __init__(self) -> None:
        self.server, self.metrics = Server(), Metrics()
        self.now = NOW
        self.poster = EventPoster(cast(EventsApi, self.server), self.metrics, lambda: self.now)

    def count(self, result: str, reason: EventReason = EventReason.HEALTH_CHANGED) -> float:
        labels = {"reason": reason.value, "result": result}
        return self.metrics.registry.get_sample_value("solarinvest_events_total", labels) or 0.0

    def waits(self) -> float:
        return self.metrics.registry.get_sample_value("solarinvest_event_waits_total") or 0.0


@pytest.fixture
def posting() -> Posting:
    return Posting()


def numbered(number: int) -> PlantEvent:
    return PlantEvent(EventReason.HEALTH_CHANGED, "GREEN to RED: silent", is_warning=True, key=str(number))


def test_an_event_is_about_the_object_itself_and_has_its_instant() -> None:
    about = event_body(resource(), RED, NOW)
    uid = resource().uid
    assert about["involvedObject"] == {
        "apiVersion": "monitor.solarinvest.info/v1alpha1",
        "kind": "Plant",
        "namespace": "default",
        "name": "roof",
        "uid": uid,
        "resourceVersion": "240",
    }
    assert (about["type"], about["reason"], about["message"]) == ("Warning", "HealthChanged", "GREEN to RED: silent")
    assert about["firstTimestamp"] == about["lastTimestamp"] == "2026-01-15T15:00:00Z"
    assert about["metadata"]["namespace"] == "default"


def test_a_name_follows_from_what_the_event_tells_and_of_which_object() -> None:
    assert event_name(resource(), RED) == event_name(resource(), RED)
    other = body()
    other["metadata"]["uid"] = "13d08596-2999-4861-b7df-324373078bdc"
    names = {
        event_name(resource(), RED),
        event_name(resource(), numbered(1)),
        event_name(resource(), PlantEvent(EventReason.REJECTED, RED.message, True, RED.key)),
        event_name(resource().parse(other), RED),
    }
    assert len(names) == 4


@pytest.mark.parametrize("name", ["roof", "a" * 253, "a" * 199 + "." + "b" * 53, "a" * 198 + "--" + "b" * 53])
def test_a_name_is_one_that_kubernetes_takes(name: str) -> None:
    object_ = body()
    object_["metadata"]["name"] = name
    made = event_name(resource().parse(object_), RED)
    assert len(made) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", made)


def test_what_is_announced_is_posted_in_its_order(posting: Posting) -> None:
    posting.poster.announce(resource(), [numbered(1), numbered(2)])
    posting.poster.announce(resource(), [numbered(3)])
    assert posting.server.events == {}, "not by the one who announces"
    posting.poster.turn()
    assert list(posting.server.events) == [event_name(resource(), numbered(number)) for number in (1, 2, 3)]
    assert posting.count("posted") == 3


def test_after_a_lost_answer_it_is_not_posted_again(posting: Posting) -> None:
    posting.server.loses_answers = 1
    posting.poster.announce(resource(), [RED])
    posting.poster.turn()
    posting.poster.turn()
    posting.poster.turn()
    assert len(posting.server.events) == 1
    assert (posting.count("posted"), posting.count("duplicate"), posting.waits()) == (0, 1, 1)


def test_while_the_server_is_away_events_wait_in_their_order(posting: Posting) -> None:
    posting.poster.announce(resource(), [numbered(1), numbered(2)])
    posting.server.errors = [KubernetesUnavailable("HTTP 429 Too Many Requests"), KubernetesUnavailable("away")]
    posting.poster.turn()
    posting.poster.turn()
    assert posting.server.events == {}
    posting.poster.turn()
    assert list(posting.server.events) == [event_name(resource(), numbered(number)) for number in (1, 2)]
    assert (posting.waits(), posting.count("posted")) == (2, 2)


def test_an_event_that_is_refused_holds_up_no_other(posting: Posting) -> None:
    posting.poster.announce(resource(), [numbered(1), numbered(2)])
    posting.server.errors = [KubernetesRefused("HTTP 403 Forbidden")]
    posting.poster.turn()
    assert list(posting.server.events) == [event_name(resource(), numbered(2))]
    assert (posting.count("refused"), posting.count("posted")) == (1, 1)


def test_a_burst_is_taken_as_far_as_there_is_room_and_posted_at_a_pace(posting: Posting) -> None:
    for number in range(WAITING_MAX + 50):
        posting.poster.announce(resource(), [numbered(number)])
    assert posting.count("dropped") == 50
    posting.poster.turn()
    assert len(posting.server.events) == PER_TURN
    posting.poster.announce(resource(), [numbered(10**6)])
    assert posting.count("dropped") == 50, "there is room again"


def test_a_slow_server_makes_turns_smaller_not_longer(posting: Posting) -> None:
    """Each answer takes a third of what a turn may take; one is always posted, so that a slower one starves nobody."""
    posting.server.answers_after_s = TURN_S / 3
    posting.poster.announce(resource(), [numbered(number) for number in range(20)])
    posting.poster.turn()
    assert 1 <= len(posting.server.events) <= 3
    posting.server.answers_after_s = 2 * TURN_S
    before = len(posting.server.events)
    posting.poster.turn()
    assert len(posting.server.events) == before + 1


def test_at_the_end_what_can_be_posted_is_and_the_rest_is_counted(posting: Posting) -> None:
    posting.poster.announce(resource(), [numbered(number) for number in range(3)])
    posting.server.errors = [None, KubernetesUnavailable("away")]
    posting.poster.close(1.0)
    assert (posting.count("posted"), posting.count("dropped")) == (1, 2)
    posting.poster.close(1.0)
    assert posting.count("dropped") == 2


def until(at: datetime) -> dict[str, str]:
    return {SILENCE_UNTIL: at.isoformat()}


@pytest.mark.rule("D6.24")
def test_no_event_of_a_silenced_plant_is_posted_until_its_instant_nor_afterwards(posting: Posting) -> None:
    silent = resource(annotations=until(NOW + timedelta(hours=1)))
    posting.poster.announce(silent, [numbered(1)])
    posting.now = NOW + timedelta(hours=1)
    posting.poster.announce(silent, [numbered(2)])
    posting.poster.turn()
    assert list(posting.server.events) == [event_name(silent, numbered(2))], "a silence that has passed silences nothing"
    assert (posting.count("silenced"), posting.count("posted")) == (1, 1)
