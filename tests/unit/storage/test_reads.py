"""What the read API shows is in its statements, and what its lists need is kept on a plant's row."""

import re
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from controller.domain.outcome import Outcome
from controller.domain.plant import Alert, AlertState, AlertType, Declaration, LiveState, PlantContext, Snapshot
from controller.storage import reads
from controller.storage.shown import shown_alerts, shown_day
from integrations.contract import Brand, Severity

NOW = datetime(2026, 1, 15, 15, tzinfo=UTC)
replace = msgspec.structs.replace


def words(statement: str) -> set[str]:
    return set(re.findall(r"\w+", statement))


@pytest.mark.parametrize(
    ("statement", "struct"),
    [
        (reads.PLANTS, reads.ShownPlant),
        (reads.PLANT, reads.ShownPlantDetail),
        (reads.PLANT, reads.ShownSnapshot),
        (reads.PLANT, reads.ShownAlert),
        (reads.PLANT, reads.ShownPollLog),
        (reads.ALERTS, reads.ShownAlert),
    ],
)
def test_a_statement_names_every_field_that_is_shown(statement: str, struct: type[msgspec.Struct]) -> None:
    assert {field.name for field in msgspec.structs.fields(struct)} <= words(statement)


@pytest.mark.parametrize("statement", [reads.PLANTS, reads.PLANT, reads.ALERTS])
def test_every_statement_asks_whose_row_it_is_and_whether_it_is_deleted(statement: str) -> None:
    assert "owner_customer_id = %(owner)s" in statement
    assert "p.deleted_at IS NULL" in statement or "NOT a.plant_deleted" in statement


# What a row keeps for lists


def outcome(alerts: tuple[Alert, ...] = (), days: tuple[Snapshot, ...] = (), timezone: str = "America/Sao_Paulo") -> Outcome:
    declaration = Declaration(namespace="ns", name="roof", uid="u", generation=1, brand=Brand.SOLIS, timezone=timezone)
    context = PlantContext(plant_id=UUID(int=1), declaration=declaration, live=LiveState())
    return Outcome(before=context, live=LiveState(), alerts=alerts, days=days)


def alert(number: int, severity: Severity = Severity.LOW, state: AlertState = AlertState.NEW) -> Alert:
    return Alert(id=UUID(int=number), type=AlertType.MOCK_FAULT, severity=severity, state=state, opened_at=NOW, last_seen_at=NOW)


def day(back: int, energy_kwh: float = 1.0) -> Snapshot:
    return Snapshot(date=date(2026, 1, 15) - timedelta(days=back), timezone="UTC", today_energy_kwh=energy_kwh)


def counts(of: Outcome) -> tuple[object, ...]:
    fields = shown_alerts(of)
    return tuple(fields[name] for name in ("open_alerts", "open_critical", "open_high", "open_acked"))


def test_open_alerts_are_those_before_with_what_changed() -> None:
    before = (alert(1, Severity.CRITICAL), alert(2, Severity.HIGH), alert(3, state=AlertState.ACKED))
    assert counts(outcome_with((), ())) == (0, 0, 0, 0)
    assert counts(outcome_with(before, ())) == (3, 1, 1, 1)
    changed = (alert(1, Severity.CRITICAL, AlertState.RESOLVED), alert(2, Severity.CRITICAL, AlertState.ACKED), alert(4, Severity.HIGH))
    assert counts(outcome_with(before, changed)) == (3, 1, 1, 2)


def outcome_with(before: tuple[Alert, ...], changed: tuple[Alert, ...]) -> Outcome:
    plain = outcome(alerts=changed)
    return replace(plain, before=replace(plain.before, alerts=before))


def energy(before: tuple[Snapshot, ...], changed: tuple[Snapshot, ...], timezone: str = "America/Sao_Paulo") -> tuple[object, object]:
    plain = outcome(days=changed, timezone=timezone)
    fields = shown_day(replace(plain, before=replace(plain.before, days=before)), NOW)
    return fields["day_date"], fields["day_energy_kwh"]


def test_the_day_is_the_newest_as_it_stands_after_the_judgement() -> None:
    assert energy((), ()) == (None, None)
    assert energy((day(0, 1.0), day(1, 9.0)), ()) == (date(2026, 1, 15), 1.0)
    assert energy((day(0, 1.0), day(1, 9.0)), (day(0, 2.0),)) == (date(2026, 1, 15), 2.0)
    assert energy((day(1, 9.0),), (day(2, 5.0),)) == (date(2026, 1, 14), 9.0)


def test_a_day_ahead_is_not_the_newest_until_it_has_come() -> None:
    assert energy((day(-1, 7.0), day(0, 1.0)), ()) == (date(2026, 1, 15), 1.0)
    assert energy((day(-1, 7.0), day(0, 1.0)), (), "Asia/Tokyo") == (date(2026, 1, 16), 7.0)
