"""Events as `kubectl describe plant` shows them, with two operators at work: each transition once, and nothing without one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.devstack.valkey import Valkey
from tests.integration import operator_fleet
from tests.integration.operator_fleet import NEXT_RESYNC_S, RESYNC_S, SOON_S, START_S, Fleet, id_of
from tests.stack import wait_until

pytestmark = [pytest.mark.xdist_group("control-plane-operator-events"), pytest.mark.lasts(100)]

fleet = operator_fleet.fleet
RARELY = "24h"
"""Nothing is polled meanwhile but what a test asks for."""


def settled(fleet: Fleet, name: str) -> None:
    """Everything that has happened to the plant is shown, and what is to be told of it is told."""
    wait_until(lambda: fleet.level(id_of(name)), SOON_S, "the mirror to be level")
    wait_for_turns(fleet, "events", 2)


def wait_for_turns(fleet: Fleet, loop: str, more: int) -> None:
    """Until each operator has come round so many times again."""
    before = [fleet.metric_of(operator, "solarinvest_loop_turns_total", loop=loop, result="ok") for operator in fleet.operators]

    def came_round() -> bool:
        now = [fleet.metric_of(operator, "solarinvest_loop_turns_total", loop=loop, result="ok") for operator in fleet.operators]
        return all(turns >= had + more for turns, had in zip(now, before, strict=True))

    wait_until(came_round, START_S, f"{more} more turns of {loop}")


def messages(fleet: Fleet, name: str) -> list[tuple[str, str]]:
    return sorted((event["reason"], event["message"]) for event in fleet.events(name))


def reasons(fleet: Fleet, name: str) -> list[str]:
    return [reason for reason, _ in messages(fleet, name)]


def test_a_fault_is_told_once_from_its_beginning_to_its_end(fleet: Fleet) -> None:
    fleet.green("faulty", pollInterval=RARELY)
    fleet.annotate("faulty", mock_scenario="fault")
    (alert,) = fleet.becomes("faulty", "RED")["alerts"]
    settled(fleet, "faulty")
    assert reasons(fleet, "faulty") == ["AlertOpened", "HealthChanged", "HealthChanged"]
    (opened,) = fleet.told("faulty", "AlertOpened")
    assert all(word in opened for word in ("CRITICAL", alert["vendorAlarmCode"], alert["message"], alert["id"]))
    fleet.annotate("faulty", mock_scenario="healthy")
    fleet.becomes("faulty", "GREEN")
    settled(fleet, "faulty")
    assert reasons(fleet, "faulty") == ["AlertOpened", "AlertResolved", *["HealthChanged"] * 3]
    changes = [message.split(":")[0] for message in fleet.told("faulty", "HealthChanged", 3)]
    assert sorted(changes) == ["GREEN to RED", "GREY to GREEN", "RED to GREEN"]


def test_a_stranger_finds_the_cause_with_describe_alone(fleet: Fleet) -> None:
    fleet.declare("described", annotations={"monitor.solarinvest.info/mock-scenario": "fault"}, pollInterval=RARELY)
    (alert,) = fleet.becomes("described", "RED")["alerts"]
    settled(fleet, "described")
    page = fleet.cluster.kubectl("describe", "plant", "described")
    events = page[page.index("Events:") :]
    assert "Warning  HealthChanged" in events
    assert f"an alert of severity CRITICAL is active: MOCK_FAULT {alert['vendorAlarmCode']}" in " ".join(events.split())
    assert "solarinvest-operator" in events
    listed = fleet.cluster.kubectl("events", "--for", "plant/described", "--types=Warning")
    assert "plant/described" in listed.lower()
    assert "GREY to RED" in listed


def test_failed_polls_are_told_when_a_run_begins_and_when_it_ends(fleet: Fleet) -> None:
    fleet.green("unreadable", pollInterval=RARELY)
    fleet.annotate("unreadable", mock_scenario="malformed")
    wait_until(lambda: fleet.status("unreadable").get("consecutiveFailures") == 1, SOON_S, "a failed poll")
    fleet.annotate("unreadable", poll_requested_at="again")
    wait_until(lambda: fleet.status("unreadable").get("consecutiveFailures") == 2, SOON_S, "another")
    settled(fleet, "unreadable")
    (failed,) = fleet.told("unreadable", "PollFailed")
    assert failed == "The vendor's answer could not be read; 1 in a row"
    (handled,) = fleet.told("unreadable", "PollRequestHandled")
    assert handled == 'Polled: The vendor\'s answer could not be read; 2 in a row (request "again")'
    fleet.annotate("unreadable", mock_scenario="healthy")
    (recovered,) = fleet.told("unreadable", "PollRecovered")
    assert "InvalidDataFormat" in recovered
    assert len(fleet.events("unreadable", "PollFailed")) == 1


@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [("asleep", {"suspend": True}, "spec.suspend is true"), ("undocumented", None, "spec.vendorPlantId is not set yet")],
)
def test_a_request_that_polls_nothing_says_why(fleet: Fleet, name: str, spec: dict[str, Any] | None, why: str) -> None:
    if spec is None:
        fleet.declare_pending(name)
    else:
        fleet.declare(name, **spec)
    fleet.becomes(name, "GREY")
    fleet.annotate(name, poll_requested_at="now-please")
    (handled,) = fleet.told(name, "PollRequestHandled")
    assert handled == f'Nothing was polled, for {why} (request "now-please")'
    assert fleet.status(name)["lastHandledPollRequest"] == "now-please"


def test_a_refused_plant_is_told_once_and_heard_of_again_when_it_is_taken(fleet: Fleet) -> None:
    fleet.declare("astray", timezone="America/Sao_Paolo")
    (rejected,) = fleet.told("astray", "Rejected")
    assert rejected.startswith('Not monitored: spec.timezone "America/Sao_Paolo" is no time zone')
    fleet.write_status("astray", None)
    fleet.accepted("astray", "InvalidTimezone", NEXT_RESYNC_S)
    wait_for_turns(fleet, "resync", 2)
    wait_for_turns(fleet, "events", 2)
    assert reasons(fleet, "astray") == ["Rejected"], "also after its status was wiped"
    fleet.edit("astray", timezone="America/Sao_Paulo")
    fleet.becomes("astray", "GREEN")
    settled(fleet, "astray")
    assert reasons(fleet, "astray") == ["HealthChanged", "Rejected"]


def test_the_second_plant_of_a_vendor_identity_is_told_which_is_the_first(fleet: Fleet) -> None:
    fleet.green("first", vendor_plant_id="both")
    fleet.declare("second", vendor_plant_id="both")
    assert fleet.told("second", "Rejected") == ["Not monitored: Plant first already monitors SOLIS plant both; delete one of the two"]


@pytest.mark.rule("D6.24")
def test_of_a_silenced_plant_nothing_is_posted_and_its_status_says_it_all_the_same(fleet: Fleet) -> None:
    fleet.green("silent", pollInterval=RARELY)
    settled(fleet, "silent")
    before = messages(fleet, "silent")
    until = datetime.now(UTC) + timedelta(hours=1)
    fleet.annotate("silent", silence_until=f"{until:%Y-%m-%dT%H:%M:%SZ}")
    fleet.annotate("silent", mock_scenario="fault")
    fleet.becomes("silent", "RED")
    wait_until(lambda: fleet.metric("solarinvest_events_total", result="silenced", reason="AlertOpened") >= 1, SOON_S, "the count")
    settled(fleet, "silent")
    assert messages(fleet, "silent") == before
    fleet.annotate("silent", silence_until="2020-01-01T00:00:00Z", mock_scenario="healthy")
    fleet.becomes("silent", "GREEN")
    settled(fleet, "silent")
    assert [reason for reason, message in messages(fleet, "silent") if (reason, message) not in before] == [
        "AlertResolved",
        "HealthChanged",
    ]


def test_a_status_written_by_hand_is_put_right_and_told_by_nobody(fleet: Fleet) -> None:
    fleet.green("forged", pollInterval=RARELY)
    settled(fleet, "forged")
    before, status = messages(fleet, "forged"), fleet.status("forged")
    for written in ({"health": "RED", "reason": "Offline", "consecutiveFailures": 9}, None):
        repairs = fleet.metric("solarinvest_status_repairs_total")
        fleet.write_status("forged", written)
        wait_until(lambda: fleet.status("forged").get("health") == "GREEN", NEXT_RESYNC_S, "the status to be right")
        settled(fleet, "forged")
        assert fleet.status("forged").keys() == status.keys()
        assert fleet.metric("solarinvest_status_repairs_total") > repairs
    assert messages(fleet, "forged") == before


def test_a_restart_of_everything_changes_no_status_and_tells_nothing(fleet: Fleet, valkey_server: Valkey) -> None:
    """Byte by byte, with the objects' resourceVersion: not one write."""
    names = ["stays-green", "stays-red", "stays-grey", "stays-refused"]
    fleet.green("stays-green", pollInterval=RARELY)
    fleet.declare("stays-red", annotations={"monitor.solarinvest.info/mock-scenario": "fault"}, pollInterval=RARELY)
    fleet.becomes("stays-red", "RED")
    fleet.declare("stays-grey", suspend=True)
    fleet.becomes("stays-grey", "GREY")
    fleet.declare("stays-refused", timezone="Mars/Base")
    fleet.accepted("stays-refused", "InvalidTimezone")
    for name in names[:3]:
        settled(fleet, name)
    wait_for_turns(fleet, "resync", 1)
    before = {name: json.dumps(fleet.resource(name), sort_keys=True) for name in names}
    told = {name: messages(fleet, name) for name in names}
    for operator in fleet.operators:
        operator.signal_terminate()
    fleet.worker.kill()
    assert [operator.wait(START_S) for operator in fleet.operators] == [0, 0]
    valkey_server.stop()
    valkey_server.start()
    for process in (*fleet.operators, fleet.worker):
        process.start()
    for process in (*fleet.operators, fleet.worker):
        process.wait_ready(START_S)
    # The recovery's comes after its first, which found the queue emptied.
    for loop in ("recovery", "resync", "mirror", "events"):
        wait_for_turns(fleet, loop, 1)
    assert {name: json.dumps(fleet.resource(name), sort_keys=True) for name in names} == before
    assert {name: messages(fleet, name) for name in names} == told
    fleet.annotate("stays-green", poll_requested_at="alive")
    wait_until(lambda: fleet.status("stays-green").get("lastHandledPollRequest") == "alive", SOON_S + RESYNC_S, "a poll after it all")


def test_nothing_was_told_twice_and_nothing_was_lost(fleet: Fleet) -> None:
    found = fleet.cluster.request("GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind=Plant")["items"]
    assert {event["source"]["component"] for event in found} == {"solarinvest-operator"}
    # Of other tests' Plants, one that is GREY and GREEN again within a sample of its vendor is told so twice, and rightly.
    ours = [event for event in found if event["involvedObject"]["name"] in fleet.declared]
    told = [(event["involvedObject"]["uid"], event["reason"], event["message"]) for event in ours]
    assert len(told) == len(set(told)) > 10
    assert fleet.metric("solarinvest_events_total", result="dropped") == 0
    assert fleet.metric("solarinvest_events_total", result="refused") == 0
