"""What happened to `plants`, written down by the test database itself: every committed change of an attempt or a version.

Installed into the template database of the fault tests only. The checker reads it: what the product says of its claims (poll_logs) is
compared with what it really claimed.
"""

from datetime import datetime
from uuid import UUID

import msgspec
import psycopg

INSTALL = """
CREATE TABLE fault_audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  plant_id uuid NOT NULL,
  attempt bigint NOT NULL, attempt_before bigint NOT NULL,
  done_attempt bigint NOT NULL, done_attempt_before bigint NOT NULL,
  version bigint NOT NULL, version_before bigint NOT NULL,
  mirrored_version bigint NOT NULL, mirrored_version_before bigint NOT NULL,
  generation bigint NOT NULL, generation_before bigint NOT NULL
);
CREATE FUNCTION fault_audit_plant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO fault_audit (plant_id, attempt, attempt_before, done_attempt, done_attempt_before,
                           version, version_before, mirrored_version, mirrored_version_before, generation, generation_before)
  VALUES (NEW.plant_id, NEW.attempt, OLD.attempt, NEW.done_attempt, OLD.done_attempt,
          NEW.version, OLD.version, NEW.mirrored_version, OLD.mirrored_version, NEW.generation, OLD.generation);
  RETURN NULL;
END $$;
CREATE TRIGGER fault_audit AFTER UPDATE ON plants FOR EACH ROW
WHEN ((NEW.attempt, NEW.done_attempt, NEW.version, NEW.mirrored_version, NEW.generation)
      IS DISTINCT FROM (OLD.attempt, OLD.done_attempt, OLD.version, OLD.mirrored_version, OLD.generation))
EXECUTE FUNCTION fault_audit_plant();
"""


class Change(msgspec.Struct, frozen=True):
    """One committed change of a plant's row, in commit order for each plant (the row's lock sees to that)."""

    plant_id: UUID
    at: datetime
    attempt: int
    attempt_before: int
    done_attempt: int
    done_attempt_before: int
    version: int
    version_before: int
    mirrored_version: int
    mirrored_version_before: int
    generation: int
    generation_before: int

    @property
    def is_claim(self) -> bool:
        return self.attempt != self.attempt_before

    @property
    def is_acknowledgement(self) -> bool:
        """A mirrored version was noted; the resets to 0 of PROTOCOL 26 and 27 are none."""
        return self.mirrored_version not in (self.mirrored_version_before, 0)


def install(database_url: str) -> None:
    """Adds the audit to a migrated database."""
    with psycopg.connect(database_url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(INSTALL)


def changes(connection: "psycopg.Connection[tuple[object, ...]]") -> list[Change]:
    """Every change so far, oldest first."""
    rows = connection.execute(
        "SELECT plant_id, at, attempt, attempt_before, done_attempt, done_attempt_before,"
        " version, version_before, mirrored_version, mirrored_version_before, generation, generation_before FROM fault_audit ORDER BY seq"
    )
    return [msgspec.convert(dict(zip(Change.__struct_fields__, row, strict=True)), Change) for row in rows]
