"""What is more than a poll's numbers, so that Kubernetes is told of it at once (PROTOCOL 27)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from controller.domain.outcome import Failed, Outcome
from controller.domain.plant import AlertState, Integration, PollError, Reason, Status
from integrations.contract import Severity
from tests.unit.domain.cases import NOON, alert, close, declare, new_plant, plant, reading, sees, stored

FIRST = close(plant(), sees(reading()))
SETTLED = stored(FIRST)


def again(**live: Any) -> Outcome:
    """A second poll that changes only these fields of the live state, beside its instants and numbers."""
    now = NOON + timedelta(minutes=10)
    numbers = {"last_poll_at": now, "last_success_at": now, "last_seen_at": now, "sampled_at": now, "current_power_w": 4321.0}
    assert FIRST.log is not None
    return Outcome(before=SETTLED, live=replace(SETTLED.live, **(numbers | live)), log=FIRST.log)


def test_a_poll_that_brings_numbers_and_instants_is_not_notable() -> None:
    assert not again(total_energy_kwh=99_999.0, explain=("Seen a moment ago.",)).is_notable


@pytest.mark.parametrize(
    "live",
    [
        {"status": Status.YELLOW},
        {"reason": Reason.LOW_GENERATION},
        {"integration": Integration.PAUSED_AUTH_ERROR},
        {"consecutive_failures": 1, "last_error": PollError.NETWORK_TIMEOUT},
        {"refused": ("current_power_w",)},
        {"current_power_w": 0.0},
        {"current_power_w": None},
        {"polled_generation": 99},
        {"handled_poll_request": "please"},
    ],
    ids=lambda live: next(iter(live)),
)
def test_what_a_person_waits_for_is_notable(live: dict[str, Any]) -> None:
    assert again(**live).is_notable


def test_a_second_failure_of_the_same_kind_is_not() -> None:
    failed = stored(close(SETTLED, Failed(PollError.VENDOR_ERROR)))
    assert close(SETTLED, Failed(PollError.VENDOR_ERROR)).is_notable
    assert not close(failed, Failed(PollError.VENDOR_ERROR)).is_notable
    assert close(failed, Failed(PollError.RATE_LIMIT_EXCEEDED)).is_notable


def test_alerts_and_declarations_are() -> None:
    assert replace(again(), alerts=(alert(),)).is_notable
    assert declare(new_plant(), None).is_notable


def test_an_alarm_that_merely_lasts_is_not_notable_and_one_that_changes_is() -> None:
    faulty = replace(again(), before=replace(SETTLED, alerts=(alert(),)))
    lasting = alert(last_seen_at=NOON + timedelta(minutes=10))
    assert not replace(faulty, alerts=(lasting,)).is_notable
    for changed in (
        alert(severity=Severity.CRITICAL),
        alert(message="Grid lost"),
        alert(state=AlertState.ACKED),
        alert(state=AlertState.RESOLVED, resolved_at=NOON),
        alert(id=UUID(int=2)),
    ):
        assert replace(faulty, alerts=(lasting, changed)).is_notable
