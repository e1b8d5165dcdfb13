"""Whether each plant was polled in each of its slots, once, and how late. Called by `run`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from controller.domain.schedule import next_slot

GRACE = timedelta(seconds=60)
"""A slot this shortly before the end may still be polled: it is not asked for."""

_POLLS = """
SELECT plant_id, claimed_at, finished_at, status FROM poll_logs
WHERE job_type = 'POLL' AND claimed_at >= %(since)s AND claimed_at < %(until)s
ORDER BY plant_id, claimed_at
"""


class Poll(NamedTuple):
    claimed_at: datetime
    finished_at: datetime
    succeeded: bool


class Punctuality(NamedTuple):
    """Of the slots within a time: how many there were, were polled in vain or not at all, or more than once; and how late, in seconds."""

    slots: int
    missed: int
    failed: int
    doubled: int
    lags_s: Sequence[float]


def polls_between(connection: psycopg.Connection[Any], since: datetime, until: datetime) -> dict[UUID, list[Poll]]:
    """By plant, in the order of their claims."""
    found: dict[UUID, list[Poll]] = {}
    for plant_id, claimed_at, finished_at, status in connection.execute(_POLLS, {"since": since, "until": until}):
        found.setdefault(plant_id, []).append(Poll(claimed_at, finished_at, status == "SUCCESS"))
    return found


def punctuality(
    polls: Mapping[UUID, Sequence[Poll]], intervals_s: Iterable[tuple[UUID, int]], since: datetime, until: datetime
) -> Punctuality:
    """Of each plant (its id and interval) over the slots that begin within since..until, but for the last `GRACE`."""
    slots = missed = failed = doubled = 0
    lags: list[float] = []
    for plant_id, interval_s in intervals_s:
        own = polls.get(plant_id, ())
        slot = next_slot(plant_id, interval_s, since)
        while slot < until - GRACE:
            end = slot + timedelta(seconds=interval_s)
            within = [poll for poll in own if slot <= poll.claimed_at < end]
            slots += 1
            missed += not within
            doubled += len(within) > 1
            failed += bool(within) and not any(poll.succeeded for poll in within)
            lags += [(poll.claimed_at - slot).total_seconds() for poll in within[:1]]
            slot = end
    return Punctuality(slots, missed, failed, doubled, lags)


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, max and how many there were; all 0 where there are none."""
    ordered = sorted(values) or [0.0]
    last = len(ordered) - 1
    figures = {name: ordered[min(last, int(share * len(ordered)))] for name, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0))}
    return {**{name: round(value, 3) for name, value in figures.items()}, "count": len(values)}
