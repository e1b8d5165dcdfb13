"""A small fleet polled each minute, and the audit of its polls: which slot of which plant had none, or two."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID

import psycopg

from controller.domain.schedule import next_slot
from hack.devstack.waiting import wait_until
from hack.fleet import plants
from tests.e2e.product import Left, Product
from tests.faults.audit import changes
from tests.faults.checker import LogRow, Observed, Violation, violations

FLEET = "fleet"
SIZE = 40
MINUTE = 60
GREEN_S = 90
AT_REST_S = 90
"""Until everything that was claimed has its PollLog: what a killed worker had begun is found lost after 30 s and a sweep."""
PLANTS: LiteralString = "SELECT plant_id FROM plants WHERE namespace = %(namespace)s AND deleted_at IS NULL"
POLLS: LiteralString = (
    "SELECT plant_id, l.claimed_at, l.adapter_error_type FROM poll_logs l JOIN plants p USING (plant_id)"
    " WHERE p.namespace = %(namespace)s AND l.job_type = 'POLL' AND l.claimed_at >= %(since)s"
)
LOGS: LiteralString = """
SELECT plant_id, attempt, job_type, status, adapter_error_type FROM poll_logs
WHERE attempt >= (SELECT min(attempt) FROM fault_audit WHERE attempt <> attempt_before)
"""
"""Of all claims since the audit began."""
Poll = tuple[UUID, datetime, str | None]
"""Plant, instant of the claim, error."""
UNDER_WAY: LiteralString = (
    "SELECT attempt FROM plants WHERE done_attempt < attempt AND claimed_at > now() - make_interval(secs => %(seconds)s)"
)


@dataclass(frozen=True)
class Fleet:
    """Its Plants, and since when all of them are GREEN: from then on each is polled in its own slots only."""

    names: tuple[str, ...]
    green_at: datetime


def declare(product: Product) -> Fleet:
    """Creates the Plants in a namespace of their own; returns when all are GREEN."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLEET}}
    members = [{**plant, "metadata": {**plant["metadata"], "namespace": FLEET}} for plant in plants(SIZE)]
    product.cluster.apply(namespace, *members)
    product.wait_shown(FLEET, {"GREEN Reporting"}, GREEN_S, at_least=SIZE)
    return Fleet(tuple(str(plant["metadata"]["name"]) for plant in members), datetime.now(UTC))


class Slots:
    """The slots of every plant of the fleet that fall due after `since`, and the polls each had. Call `settle` before you ask."""

    def __init__(self, product: Product, since: datetime | None = None) -> None:
        self._product = product
        self.since = since or datetime.now(UTC)
        self.until = self.since

    def settle(self, minutes: float = 0) -> None:
        """Ends the audited time: now, or when that many minutes have passed since its beginning. Returns when all that fell due is polled.

        A slot that was missed does not hold it up for long: the plant's next poll is after it, too.
        """
        enough = self.since + timedelta(minutes=minutes)
        if minutes:
            wait_until(lambda: self._newest() >= enough, MINUTE * minutes + AT_REST_S, f"polls after {enough:%H:%M:%S}", every_seconds=1)
        self.until = datetime.now(UTC)
        due = {plant: slot for plant in self._plants() if (slot := _slot(plant, self.until)) > self.since}

        def unpolled() -> Left:
            last = _last(self._polls())
            return Left(f"{plant} at {slot:%H:%M:%S}" for plant, slot in due.items() if last.get(plant, self.since) < slot)

        wait_until(unpolled, MINUTE + AT_REST_S, f"what fell due by {self.until:%H:%M:%S} is polled", every_seconds=1)

    def missed(self) -> list[str]:
        """Slots without a poll."""
        return [f"plant {plant} had none at {slot:%H:%M:%S}" for plant, slot, count in self._counted() if count == 0]

    def repeated(self) -> list[str]:
        """Slots with more polls than one."""
        return [f"plant {plant} had {count} at {slot:%H:%M:%S}" for plant, slot, count in self._counted() if count > 1]

    def lost(self) -> int:
        """Polls that were found lost."""
        return sum(error == "WORKER_LOST" for *_, error in self._polls())

    def assert_each_once(self) -> None:
        """No slot was missed, none had two polls, none was lost."""
        told = {"missed": self.missed(), "repeated": self.repeated(), "lost": self.lost()}
        print(f"{self.polls()} polls, {told}")
        assert told == {"missed": [], "repeated": [], "lost": 0}

    def polls(self) -> int:
        """How many there were so far."""
        return len(self._polls())

    def latest_start_s(self) -> float:
        """The longest time in seconds from a slot's begin to the claim of its poll."""
        return max((at - _slot(plant, at)).total_seconds() for plant, at, _ in self._polls())

    def _counted(self) -> Iterator[tuple[UUID, datetime, int]]:
        """Each plant's slots that fell due after `since` and by `until`."""
        polls = self._polls()
        counts = Counter((plant, _slot(plant, at)) for plant, at, _ in polls)
        for plant in self._plants():
            slot = next_slot(plant, MINUTE, self.since)
            while slot <= self.until:
                yield plant, slot, counts[plant, slot]
                slot += timedelta(seconds=MINUTE)

    def _newest(self) -> datetime:
        return max(_last(self._polls()).values(), default=self.since)

    def _plants(self) -> list[UUID]:
        return [row[0] for row in self._product.rows(PLANTS, namespace=FLEET)]

    def _polls(self) -> list[Poll]:
        return [(row[0], row[1], row[2]) for row in self._product.rows(POLLS, namespace=FLEET, since=self.since)]


def _last(polls: Iterable[Poll]) -> dict[UUID, datetime]:
    """When each plant was polled last."""
    return {plant: at for plant, at, _ in sorted(polls, key=lambda poll: poll[1])}


def _slot(plant: UUID, at: datetime) -> datetime:
    """The instant of the plant's grid that is the last one not after `at`."""
    return next_slot(plant, MINUTE, at - timedelta(seconds=MINUTE))


def assert_promises_kept(product: Product) -> None:
    """Each claim that is not under way has exactly one PollLog, and no number of a row went back."""
    wait_until(lambda: Left(_violations(product)), AT_REST_S, "every promise of the protocol is kept", every_seconds=1)


def _violations(product: Product) -> list[Violation]:
    with product.database() as url, psycopg.connect(url, connect_timeout=5) as connection:
        # One snapshot for both, or a claim could fall between them.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        logs = [LogRow(*row) for row in connection.execute(LOGS)]
        under_way = {attempt for (attempt,) in connection.execute(UNDER_WAY, {"seconds": AT_REST_S})}
        ended = [change for change in changes(connection) if not (change.is_claim and change.attempt in under_way)]
        return violations(Observed(changes=ended, logs=logs))
