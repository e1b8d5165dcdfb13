"""The checker that runs after each fault test (PROTOCOL, "Checker after each"), over plain values.

`violations` judges what was observed: exchanges from the transport's ledger, claims from the database's audit, logs and alerts from the
product's tables, keys from the queue server. It returns every broken promise with its kind, so that a negative control can say which
one it expects.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from uuid import UUID

import msgspec

from tests.faults.audit import Change
from tests.faults.ledger import Exchange


class Kind(StrEnum):
    """Which promise of the protocol was broken."""

    TWO_EXCHANGES = "two exchanges of a plant at once"
    CLAIM_WITHOUT_LOG = "a claim without a PollLog"
    TWO_LOGS = "a claim with more than one PollLog"
    LOG_WITHOUT_CLAIM = "a PollLog that no claim explains"
    CLAIM_OPEN = "a claim that stays open"
    CLAIMED_WHILE_OPEN = "a claim of a plant whose claim was open"
    WENT_BACK = "a number of a row went back"
    TWO_ALERTS = "two active alerts of one key"
    STALE_ALERT = "an active alert whose condition is gone"
    NOT_AT_REST = "keys left on the queue server at rest"
    MIRRORED_TWICE = "a version acknowledged twice"
    STATUS_WENT_BACK = "a status in Kubernetes older than one before it"
    STATUS_DIFFERS = "a status in Kubernetes that is not the row's"
    JOB_LOST = "a job logged as lost without reason"
    QUEUED_TWICE = "more than one message of a plant"
    EXCHANGE_AFTER_DELETION = "an exchange of a plant that was deleted before"
    NOT_RECOVERED = "not whole again within the bound"
    LOGGED_TOO_OFTEN = "more PollLogs than there is reason for"
    STALE_READING = "a reading kept though the plant it was read of had changed"
    LOCK_TAKEN = "a foreign lock did not survive"


class Violation(msgspec.Struct, frozen=True):
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class PromiseBroken(AssertionError):
    """One or more violations; a negative control expects it and looks at `kinds`."""

    def __init__(self, found: Sequence[Violation]) -> None:
        self.violations = tuple(found)
        shown = "\n".join(map(str, found[:20]))
        super().__init__(f"{len(found)} violations\n{shown}")

    @property
    def kinds(self) -> set[Kind]:
        return {violation.kind for violation in self.violations}


class LogRow(msgspec.Struct, frozen=True):
    """One row of `poll_logs`."""

    plant_id: UUID
    attempt: int
    job_type: str
    status: str
    error: str | None = None


class AlertRow(msgspec.Struct, frozen=True):
    """One active row of `alerts`."""

    plant_id: UUID
    type: str
    vendor_alarm_code: str | None = None
    device_sn: str | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the checker looks at, taken when nothing is claimed any more."""

    exchanges: Sequence[Exchange] = ()
    changes: Sequence[Change] = ()
    logs: Sequence[LogRow] = ()
    alerts: Sequence[AlertRow] = ()
    keys_left: Sequence[str] = ()
    """Waiting entries, lists and locks on the queue server, as text; a foreign lock set by the test is not among them."""


def violations(seen: Observed) -> list[Violation]:
    """Every broken promise; empty where all were kept."""
    return [
        *_overlaps(seen.exchanges),
        *_logs(seen.changes, seen.logs),
        *_rows(seen.changes),
        *_alerts(seen.alerts),
        *(Violation(Kind.NOT_AT_REST, key) for key in seen.keys_left),
    ]


def _overlaps(exchanges: Iterable[Exchange]) -> Iterator[Violation]:
    """[ONE] In order of their begin, each exchange must begin after all earlier ones of its plant have ended."""
    longest: dict[UUID, Exchange] = {}
    for exchange in sorted(exchanges):
        before = longest.get(exchange.plant_id)
        if before is not None and exchange.begin < before.end:
            yield Violation(
                Kind.TWO_EXCHANGES,
                f"plant {exchange.plant_id}: attempt {exchange.attempt} (process {exchange.pid}) began at {exchange.begin:.3f}, while "
                f"attempt {before.attempt} (process {before.pid}) ran from {before.begin:.3f} to {before.end:.3f}",
            )
        if before is None or exchange.end > before.end:
            longest[exchange.plant_id] = exchange


def _logs(changes: Iterable[Change], logs: Iterable[LogRow]) -> Iterator[Violation]:
    """[LOG] Attempts come from one sequence, so each number stands for one claim of one plant."""
    claims = {(change.plant_id, change.attempt) for change in changes if change.is_claim}
    logged = Counter((log.plant_id, log.attempt) for log in logs)
    for plant_id, attempt in sorted(claims - logged.keys(), key=str):
        yield Violation(Kind.CLAIM_WITHOUT_LOG, f"plant {plant_id}, attempt {attempt}")
    for plant_id, attempt in sorted(logged.keys() - claims, key=str):
        yield Violation(Kind.LOG_WITHOUT_CLAIM, f"plant {plant_id}, attempt {attempt}")
    for (plant_id, attempt), count in logged.items():
        if count > 1:
            yield Violation(Kind.TWO_LOGS, f"plant {plant_id}, attempt {attempt}: {count}")


def _rows(changes: Iterable[Change]) -> Iterator[Violation]:
    last: dict[UUID, Change] = {}
    for change in changes:
        last[change.plant_id] = change
        where = f"plant {change.plant_id} at {change.at:%H:%M:%S.%f}"
        for name in ("attempt", "done_attempt", "version"):
            before, after = getattr(change, f"{name}_before"), getattr(change, name)
            if after < before:
                yield Violation(Kind.WENT_BACK, f"{where}: {name} from {before} to {after}")
        if change.mirrored_version < change.mirrored_version_before and change.mirrored_version != 0:
            yield Violation(Kind.WENT_BACK, f"{where}: mirrored_version from {change.mirrored_version_before} to {change.mirrored_version}")
        if change.is_claim and change.done_attempt_before < change.attempt_before:
            yield Violation(Kind.CLAIMED_WHILE_OPEN, f"{where}: {change.attempt} while {change.attempt_before} was open")
    for change in last.values():
        if change.done_attempt < change.attempt:
            yield Violation(Kind.CLAIM_OPEN, f"plant {change.plant_id}, attempt {change.attempt}")


def _alerts(alerts: Iterable[AlertRow]) -> Iterator[Violation]:
    for alert, count in Counter(alerts).items():
        if count > 1:
            yield Violation(Kind.TWO_ALERTS, f"plant {alert.plant_id}, {alert.type}: {count}")


def acknowledged_twice(changes: Iterable[Change]) -> Iterator[Violation]:
    """A version that was noted as mirrored a second time. Only where no status was reset meanwhile."""
    noted: dict[UUID, set[int]] = defaultdict(set)
    for change in changes:
        if not change.is_acknowledgement:
            continue
        if change.mirrored_version in noted[change.plant_id]:
            yield Violation(Kind.MIRRORED_TWICE, f"plant {change.plant_id}, version {change.mirrored_version}")
        noted[change.plant_id].add(change.mirrored_version)
