"""Acknowledging (DOMAIN 6, docs/plant.md): a note for people, recorded once, that heals nothing and is never undone."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from controller.domain.judge import judge_clock
from controller.domain.plant import Alert, AlertState, AlertType, Integration, PlantContext, Status
from integrations.contract import Severity
from tests.unit.domain.cases import HOUR, NOON, active, alarm, alert, close, declare, declared, listed, plant, sees, stored

CRITICAL = alert(severity=Severity.CRITICAL)
OTHER = alert(id=UUID(int=2), vendor_alarm_code="2000")


def acknowledging(*ids: UUID, by: str | None = "ana", **fields: Any) -> PlantContext:
    return plant(active(), declared(acked=ids, acked_by=by), alerts=(CRITICAL, OTHER), **fields)


def state(context: PlantContext, of: Alert = CRITICAL) -> tuple[AlertState, object, str | None]:
    (found,) = (entry for entry in context.alerts if entry.id == of.id)
    return found.state, found.acked_at, found.acked_by


def test_the_named_alert_is_acknowledged_with_time_and_field_manager() -> None:
    outcome = declare(acknowledging(CRITICAL.id), declared())
    assert [entry.id for entry in outcome.alerts] == [CRITICAL.id]
    assert state(stored(outcome)) == (AlertState.ACKED, NOON, "ana")
    assert state(stored(outcome), OTHER) == (AlertState.NEW, None, None)
    assert outcome.next_poll is None, "no reason to poll"


@pytest.mark.rule("D5.3", "D6.26")
def test_acknowledging_never_heals() -> None:
    assert declare(acknowledging(CRITICAL.id), declared()).live.status is Status.RED


def test_it_is_recorded_once() -> None:
    acked = stored(declare(acknowledging(CRITICAL.id), declared()))
    later = msgspec.structs.replace(acked, declaration=declared(acked=(CRITICAL.id,), acked_by="bob"))
    outcome = declare(later, acked.declaration, NOON + HOUR)
    assert outcome.alerts == ()
    assert state(stored(outcome)) == (AlertState.ACKED, NOON, "ana")


def test_removing_the_annotation_undoes_nothing() -> None:
    acked = stored(declare(acknowledging(CRITICAL.id), declared()))
    bare = msgspec.structs.replace(acked, declaration=declared())
    assert state(stored(declare(bare, acked.declaration, NOON + HOUR))) == (AlertState.ACKED, NOON, "ana")


def test_what_is_not_known_is_ignored() -> None:
    assert declare(acknowledging(UUID(int=9), by=None), declared()).alerts == ()


@pytest.mark.rule("D6.26")
def test_an_acknowledged_alert_follows_its_alarm_and_resolves_as_a_new_one_does() -> None:
    acked = stored(declare(acknowledging(CRITICAL.id), declared()))
    followed = stored(close(acked, sees(alarms=listed(alarm(severity=Severity.LOW))), NOON + HOUR))
    assert state(followed) == (AlertState.ACKED, NOON, "ana")
    assert followed.live.status is Status.GREEN
    back = close(stored(close(followed, sees(alarms=listed()))), sees(alarms=listed(alarm())), NOON + 2 * HOUR)
    assert [entry.state for entry in back.alerts] == [AlertState.NEW], "back again it is a new alert, not acknowledged"


def test_an_alert_that_the_same_judgement_changes_is_acknowledged_as_changed() -> None:
    named = acknowledging(CRITICAL.id)
    outcome = close(named, sees(alarms=listed(alarm(severity=Severity.MEDIUM))))
    (changed,) = (entry for entry in outcome.alerts if entry.id == CRITICAL.id)
    assert (changed.state, changed.severity) == (AlertState.ACKED, Severity.MEDIUM)


def test_a_suspended_plant_s_alerts_can_be_acknowledged() -> None:
    suspended = plant(
        active(integration=Integration.DISABLED_BY_OPERATOR), declared(suspend=True, acked=(CRITICAL.id,)), alerts=(CRITICAL,)
    )
    assert state(stored(declare(suspended, declared(suspend=True)))) == (AlertState.ACKED, NOON, None)


@pytest.mark.rule("D6.23")
def test_a_silence_changes_no_judging() -> None:
    loud = plant(active(last_seen_at=NOON - 25 * HOUR), alerts=(OTHER,))
    silent = msgspec.structs.replace(loud, declaration=declared(silence_until=NOON + HOUR))
    one, other = judge_clock(loud, NOON), judge_clock(silent, NOON)
    assert (one.live, one.alerts) == (other.live, other.alerts)
    assert [entry.type for entry in other.alerts] == [AlertType.OFFLINE]
