"""The schema has a place for every field of the domain's values, and no field of theirs is forgotten in a statement."""

import re

import msgspec
import pytest
import sqlalchemy as sa

from controller.domain.outcome import PollLog
from controller.domain.plant import Alert, Declaration, LiveState, PlantContext, Snapshot
from controller.storage import queries
from controller.storage.tables import alerts, metric_snapshots, plants, poll_logs

OF_THE_ROW = {
    "plant_id",
    "created_at",
    "deleted_at",
    "resource_version",
    "version",
    "changed_at",
    "mirrored_version",
    "mirrored_resource_version",
    "mirrored_digest",
    "mirror_leased_until",
    "next_poll_at",
    "attempt",
    "done_attempt",
    "claim_kind",
    "claim_job_id",
    "claim_day",
    "claimed_at",
    "clock_scan_at",
    "day_date",
    "day_energy_kwh",
    "open_alerts",
    "open_critical",
    "open_high",
    "open_acked",
    "logged_at",
    "mirrored_alerts",
    "notable_version",
    "mirror_held_until",
}


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct)}


def columns(table: sa.Table) -> set[str]:
    return {column.name for column in table.columns}


def words(statement: str) -> set[str]:
    return set(re.findall(r"\w+", statement))


def test_plants_has_the_declared_and_the_live_fields_and_those_of_the_row() -> None:
    assert columns(plants) == names(Declaration) | names(LiveState) | OF_THE_ROW
    assert not names(Declaration) & names(LiveState)


@pytest.mark.rule("D2.5", "D4.1")
def test_the_other_tables_have_their_values_fields() -> None:
    assert columns(metric_snapshots) == names(Snapshot) | {"plant_id", "raw_source"}
    assert columns(alerts) == names(Alert) | {"plant_id", "owner_customer_id", "plant_deleted"}
    assert columns(poll_logs) == names(PollLog) | {"plant_id", "duration_ms", "previous_at"}


@pytest.mark.parametrize(
    ("statement", "struct"),
    [
        (queries.READ, Declaration),
        (queries.READ, LiveState),
        (queries.READ, PlantContext),
        (queries.READ, Alert),
        (queries.READ, Snapshot),
        (queries.WRITE, LiveState),
        (queries.WRITE, Alert),
        (queries.WRITE, Snapshot),
        (queries.WRITE, PollLog),
        (queries.INSERT_DECLARED, Declaration),
        (queries.UPDATE_DECLARED, Declaration),
    ],
)
def test_a_statement_names_every_field(statement: str, struct: type[msgspec.Struct]) -> None:
    assert names(struct) <= words(statement)


@pytest.mark.parametrize(("table", "fillfactor"), [(plants, 70), (metric_snapshots, 85), (alerts, 85)])
def test_rows_that_are_updated_have_room_on_their_page(table: sa.Table, fillfactor: int) -> None:
    assert table.dialect_options["postgresql"]["with"]["fillfactor"] == fillfactor


def test_no_index_ends_hot_updates_by_a_close() -> None:
    """A close changes these; PROTOCOL 27 forbids an index on `version` for it."""
    changed_by_a_close = {"version", "done_attempt", "clock_due_at", "last_seen_at", "changed_at", "mirrored_version"}
    for index in plants.indexes:
        predicate = str(index.dialect_options["postgresql"]["where"])
        assert not changed_by_a_close & (words(predicate) | {column.name for column in index.columns}), index.name
