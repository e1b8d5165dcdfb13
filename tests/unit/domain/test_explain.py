"""What `status.explain` says, one golden file a rule and remark.

After a wanted change, run this file with UPDATE_GOLDEN=1 and read the difference.
"""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from controller.domain.judge import judge_clock
from controller.domain.outcome import SeenDays
from controller.domain.plant import Alert, AlertState, AlertType, Declaration, Integration, LiveState, PlantContext, Reason, StatusPolicy
from integrations.contract import Severity
from tests.unit.domain.cases import DAY, HOUR, ROOF, TICK, active, alert, close, day_job, declared, plant, reading, row, sees, stored

GOLDEN = Path(__file__).parent / "golden"
NOON = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
"""In São Paulo."""
EVENING = datetime(2026, 3, 10, 20, 50, tzinfo=UTC)
HERE = declared(timezone="America/Sao_Paulo", latitude=-23.5, longitude=-46.6)
DAYLIGHT = msgspec.structs.replace(HERE, status_policy=StatusPolicy.DAYLIGHT)
NOWHERE = declared(timezone="America/Sao_Paulo", status_policy=StatusPolicy.DAYLIGHT)
FIRE = alert(severity=Severity.CRITICAL, message="Arc fault on string 3.", opened_at=NOON - 5 * HOUR)
SMOKE = alert(severity=Severity.CRITICAL, id=ROOF, vendor_alarm_code=None, device_sn=None, message="", opened_at=NOON - HOUR)
WEEK = tuple(row(date(2026, 3, day), energy) for day, energy in zip(range(3, 10), (28.1, 30.2, 12.4, 31.0, 29.9, 30.4, 25.0), strict=True))


def seen(at: datetime = NOON, **changes: object) -> LiveState:
    return active(last_seen_at=at, active_since=NOON - 90 * DAY, **changes)


def low(context: PlantContext) -> tuple[str, ...]:
    outcome = close(context, sees(reading(NOON, today_energy_kwh=1.3)), NOON)
    assert outcome.live.reason is Reason.LOW_GENERATION
    return outcome.live.explain


def whole_day_low() -> tuple[str, ...]:
    late = datetime(2026, 3, 11, 2, 55, tzinfo=UTC)
    before = plant(seen(late), declared(timezone="America/Sao_Paulo"), days=(row(date(2026, 3, 10), 7.4), *WEEK))
    return close(before, SeenDays({}), late, day_job(date(2026, 3, 10))).live.explain


def explained(live: LiveState, now: datetime, *alerts: Alert, by: Declaration = HERE) -> tuple[str, ...]:
    return judge_clock(plant(live, by, alerts=alerts), now).live.explain


def acked(entry: Alert) -> Alert:
    return msgspec.structs.replace(entry, state=AlertState.ACKED)


def refused() -> tuple[str, ...]:
    bad = reading(NOON, current_power_w=-4.0, today_energy_kwh=float("nan"))
    outcome = close(plant(seen(), HERE, days=WEEK), sees(bad), NOON)
    assert judge_clock(stored(outcome), NOON + HOUR).live.explain == outcome.live.explain, "also after a judgement by the clock"
    return outcome.live.explain


NOT_ACTIVE = {
    "PendingDocs": declared(vendor_plant_id=None),
    "DisabledByOperator": declared(suspend=True),
}
CASES: dict[str, Callable[[], tuple[str, ...]]] = {
    "PendingDocs": lambda: explained(active(integration=Integration.PENDING_DOCS), NOON, by=NOT_ACTIVE["PendingDocs"]),
    "DisabledByOperator": lambda: explained(
        active(integration=Integration.DISABLED_BY_OPERATOR), NOON, by=NOT_ACTIVE["DisabledByOperator"]
    ),
    "PausedAuthError": lambda: explained(active(integration=Integration.PAUSED_AUTH_ERROR), NOON),
    "AwaitingFirstReading": lambda: explained(active(last_seen_at=None, active_since=NOON - HOUR), NOON),
    "NeverSeen": lambda: explained(active(last_seen_at=None, active_since=NOON - DAY - TICK), NOON),
    "Offline": lambda: explained(seen(NOON - DAY - TICK), NOON),
    "CriticalAlert": lambda: explained(seen(), NOON, FIRE),
    "CriticalAlert-several-acknowledged": lambda: explained(seen(), NOON, SMOKE, acked(FIRE)),
    "Stale": lambda: explained(seen(NOON - 2 * HOUR - TICK), NOON),
    "Stale-Daylight": lambda: explained(seen(EVENING), NOON + DAY - HOUR, by=DAYLIGHT),
    "LowGeneration": lambda: low(plant(seen(), HERE, days=WEEK)),
    "LowGeneration-whole-day": whole_day_low,
    "LowGeneration-silent": lambda: explained(seen(NOON - HOUR), NOON, alert(AlertType.LOW_GENERATION, message="0.10 kWh: low")),
    "Reporting": lambda: explained(seen(), NOON),
    "Reporting-Daylight": lambda: explained(seen(EVENING), EVENING + 8 * HOUR, by=DAYLIGHT),
    "Reporting-Daylight-without-location": lambda: explained(seen(), NOON, by=NOWHERE),
    "Reporting-refused": refused,
    "Reporting-storm": lambda: explained(seen(alarms_dropped=37), NOON),
}


@pytest.mark.parametrize("case", CASES)
def test_an_explanation_reads_as_its_golden_file(case: str) -> None:
    sentences = CASES[case]()
    assert 1 <= len(sentences) <= 3
    text = "".join(f"{sentence}\n" for sentence in sentences)
    file = GOLDEN / f"{case}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_each_rule_has_a_golden_file_and_each_file_a_case() -> None:
    assert {case.split("-")[0] for case in CASES} == {reason.value for reason in Reason}
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_an_explanation_fits_into_the_status(case: str) -> None:
    assert all(0 < len(sentence) <= 512 for sentence in CASES[case]())


def test_a_long_foreign_text_is_cut_and_not_the_sentence_around_it() -> None:
    long = msgspec.structs.replace(FIRE, message="x" * 2000, device_sn="s" * 256)
    (sentence, *_) = explained(seen(), NOON, long)
    assert len(sentence) <= 512
    assert "since 2026-03-10 07:00:00 -03" in sentence


def test_times_are_those_of_the_plant_on_either_side_of_a_change_of_the_clock() -> None:
    berlin = declared(timezone="Europe/Berlin")
    at = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    (rule, after) = explained(seen(at), at + timedelta(minutes=1), by=berlin)
    assert "2026-03-29 01:30:00 CET" in rule
    assert "2026-03-29 04:30:00 CEST" in after
