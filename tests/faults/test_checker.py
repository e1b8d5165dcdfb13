"""The checker sees what it is there for: each promise, broken once in a small world of values, is named."""

import math
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.audit import Change
from tests.faults.checker import AlertRow, Kind, LogRow, Observed, Violation, acknowledged_twice, violations
from tests.faults.ledger import Exchange, read

ROOF, BARN = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def change(plant_id: UUID = ROOF, *, attempt: int = 0, done: int = 0, version: int = 1, mirrored: int = 0, **before: int) -> Change:
    return Change(
        plant_id=plant_id,
        at=NOON,
        attempt=attempt,
        attempt_before=before.get("attempt_before", attempt),
        done_attempt=done,
        done_attempt_before=before.get("done_before", done),
        version=version,
        version_before=before.get("version_before", version),
        mirrored_version=mirrored,
        mirrored_version_before=before.get("mirrored_before", mirrored),
        generation=1,
        generation_before=1,
    )


def claim(attempt: int, plant_id: UUID = ROOF, *, after: int = 0) -> Change:
    return change(plant_id, attempt=attempt, attempt_before=after, done=after)


def close(attempt: int, plant_id: UUID = ROOF) -> Change:
    return change(plant_id, attempt=attempt, done=attempt, done_before=0)


def log(attempt: int, plant_id: UUID = ROOF) -> LogRow:
    return LogRow(plant_id, attempt, "POLL", "SUCCESS")


def kinds(found: list[Violation]) -> set[Kind]:
    return {violation.kind for violation in found}


def test_a_life_without_faults_has_no_violation() -> None:
    seen = Observed(
        exchanges=[Exchange(1.0, 2.0, ROOF, 7, 100), Exchange(2.0, 3.0, ROOF, 7, 100), Exchange(1.5, 9.0, BARN, 8, 200)],
        changes=[claim(7), claim(8, BARN), close(7), close(8, BARN), claim(9, after=7), change(attempt=9, done=9, done_before=7)],
        logs=[log(7), log(8, BARN), log(9)],
        alerts=[AlertRow(ROOF, "OFFLINE"), AlertRow(BARN, "OFFLINE"), AlertRow(ROOF, "MOCK_FAULT", "1015")],
    )
    assert violations(seen) == []


def test_two_exchanges_of_a_plant_at_once_are_seen() -> None:
    seen = Observed(exchanges=[Exchange(1.0, 5.0, ROOF, 7, 100), Exchange(4.9, 6.0, ROOF, 8, 200)])
    assert kinds(violations(seen)) == {Kind.TWO_EXCHANGES}


def test_one_attempt_read_twice_at_once_is_seen() -> None:
    seen = Observed(exchanges=[Exchange(1.0, 5.0, ROOF, 7, 100), Exchange(2.0, 3.0, ROOF, 7, 200)])
    assert kinds(violations(seen)) == {Kind.TWO_EXCHANGES}


def test_an_overlap_with_an_earlier_longer_exchange_is_seen() -> None:
    seen = Observed(exchanges=[Exchange(1.0, 9.0, ROOF, 7, 100), Exchange(9.0, 9.5, ROOF, 8, 200), Exchange(8.9, 9.0, ROOF, 9, 300)])
    assert Kind.TWO_EXCHANGES in kinds(violations(seen))


def test_a_claim_that_nobody_logged_is_seen() -> None:
    assert kinds(violations(Observed(changes=[claim(7), close(7)]))) == {Kind.CLAIM_WITHOUT_LOG}


def test_a_claim_logged_twice_is_seen() -> None:
    assert kinds(violations(Observed(changes=[claim(7), close(7)], logs=[log(7), log(7)]))) == {Kind.TWO_LOGS}


def test_a_log_that_no_claim_explains_is_seen() -> None:
    assert kinds(violations(Observed(logs=[log(7)]))) == {Kind.LOG_WITHOUT_CLAIM}


def test_a_claim_that_stays_open_is_seen() -> None:
    assert kinds(violations(Observed(changes=[claim(7)], logs=[log(7)]))) == {Kind.CLAIM_OPEN}


def test_a_claim_of_a_plant_whose_claim_was_open_is_seen() -> None:
    changes = [claim(7), change(attempt=8, attempt_before=7, done=0), change(attempt=8, done=8, done_before=0)]
    assert kinds(violations(Observed(changes=changes, logs=[log(7), log(8)]))) == {Kind.CLAIMED_WHILE_OPEN}


@pytest.mark.parametrize(
    "backwards",
    [
        change(attempt=7, done=7, version=4, version_before=5),
        change(attempt=7, done=7, done_before=8),
        change(attempt=7, done=7, mirrored=3, mirrored_before=4),
    ],
)
def test_a_number_that_goes_back_is_seen(backwards: Change) -> None:
    assert kinds(violations(Observed(changes=[claim(7), close(7), backwards], logs=[log(7)]))) == {Kind.WENT_BACK}


def test_a_mirror_that_is_reset_does_not_go_back() -> None:
    assert violations(Observed(changes=[change(mirrored=0, mirrored_before=4)])) == []


def test_two_active_alerts_of_one_key_are_seen() -> None:
    seen = Observed(alerts=[AlertRow(ROOF, "MOCK_FAULT", "1015", None), AlertRow(ROOF, "MOCK_FAULT", "1015", None)])
    assert kinds(violations(seen)) == {Kind.TWO_ALERTS}


def test_keys_left_at_rest_are_seen() -> None:
    assert kinds(violations(Observed(keys_left=["lock:plant:x"]))) == {Kind.NOT_AT_REST}


def test_a_version_acknowledged_twice_is_seen() -> None:
    noted = [change(mirrored=3, mirrored_before=2), change(mirrored=0, mirrored_before=3), change(mirrored=3, mirrored_before=0)]
    assert kinds(list(acknowledged_twice(noted))) == {Kind.MIRRORED_TWICE}


def line(event: str, at: float, *, tag: str = f"{ROOF}|7", pid: int = 100) -> str:
    return f'{{"event":"{event}","tag":"{tag}","pid":{pid},"thread":1,"boottime":{at}}}\n'


def test_the_ledger_pairs_begin_and_end(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text(line("begin", 1.0) + line("begin", 1.5, tag=f"{BARN}|8") + line("end", 2.0) + line("end", 2.5, tag=f"{BARN}|8"))
    assert read(file, {}) == [Exchange(1.0, 2.0, ROOF, 7, 100), Exchange(1.5, 2.5, BARN, 8, 100)]


def test_an_exchange_without_end_runs_until_its_process_died(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text(line("begin", 1.0) + line("begin", 2.0, tag=f"{BARN}|8", pid=200))
    assert read(file, {100: 4.0}) == [Exchange(1.0, 4.0, ROOF, 7, 100), Exchange(2.0, math.inf, BARN, 8, 200)]


def test_a_ledger_that_cannot_be_read_is_no_proof(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text(line("begin", 1.0) + '{"event":')
    with pytest.raises(ValueError):
        read(file, {})
