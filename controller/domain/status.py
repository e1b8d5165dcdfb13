"""The status of a plant (DOMAIN 5, locked) from its rows and the clock, and the instant at which the clock alone changes it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.plant import Alert, AlertType, Integration, LiveState, Reason, Status
from controller.domain.sun import Site, after_daylight, is_sun_up
from integrations.contract import Severity

STALE_AFTER = timedelta(hours=2)
"""Exactly 2 h is GREEN (DOMAIN 5)."""
OFFLINE_AFTER = timedelta(hours=24)
"""Exactly 24 h is YELLOW (DOMAIN 5)."""

_INACTIVE = {
    Integration.PENDING_DOCS: Reason.PENDING_DOCS,
    Integration.DISABLED_BY_OPERATOR: Reason.DISABLED_BY_OPERATOR,
    Integration.PAUSED_AUTH_ERROR: Reason.PAUSED_AUTH_ERROR,
}


DAY_HOURS = range(9, 15)
"""Local hours during which the sun is taken as up where a plant's location is not known: it is, between the polar circles, on any day."""


class StatusDecision(msgspec.Struct, frozen=True):
    """A status, the rule that gave it, and the instant after which time alone may give another (None: never)."""

    status: Status
    reason: Reason
    next_change: datetime | None


def is_offline(live: LiveState, now: datetime) -> bool:
    """Whether an ACTIVE plant has been silent, or has never been seen, for more than 24 h: the rule of the OFFLINE alert (DOMAIN 6)."""
    since = live.last_seen_at or live.active_since
    return since is not None and now - since > OFFLINE_AFTER


def fresh_until(last_seen_at: datetime, daylight: Site | None) -> datetime:
    """The last instant at which the report counts as recent: 2 h after it, or 2 h of daylight at `daylight` and at most 24 h (DOMAIN 5)."""
    if daylight is None:
        return last_seen_at + STALE_AFTER
    return after_daylight(daylight, last_seen_at, STALE_AFTER, at_most=OFFLINE_AFTER)


def was_day(site: Site | None, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the sun has been up through the last 2 h, so that a plant that works had reason to report. Not for judging: for metrics."""
    if site is None:
        return now.astimezone(zone).hour in DAY_HOURS
    return is_sun_up(site, now - STALE_AFTER) and is_sun_up(site, now)


def decide_status(live: LiveState, alerts: Iterable[Alert], now: datetime, daylight: Site | None = None) -> StatusDecision:
    """The first rule of DOMAIN 5 that holds. `alerts` are the plant's active ones; `live.integration` and the instants are read.

    `daylight`: where only the time with the sun up counts towards the 2 h (`Declaration.daylight_site`); None: the clock does.
    """
    if live.integration is not Integration.ACTIVE:
        return StatusDecision(Status.GREY, _INACTIVE[live.integration], None)
    if live.last_seen_at is None:
        return _never_seen(live, now)
    active = [alert for alert in alerts if alert.is_active]
    fresh, online = fresh_until(live.last_seen_at, daylight), live.last_seen_at + OFFLINE_AFTER
    next_change = fresh if now <= fresh else online if now <= online else None
    if now > online:
        return StatusDecision(Status.RED, Reason.OFFLINE, next_change)
    if active and any(alert.severity is Severity.CRITICAL for alert in active):
        return StatusDecision(Status.RED, Reason.CRITICAL_ALERT, next_change)
    if now > fresh:
        return StatusDecision(Status.YELLOW, Reason.STALE, next_change)
    if active and any(alert.type is AlertType.LOW_GENERATION for alert in active):
        return StatusDecision(Status.YELLOW, Reason.LOW_GENERATION, next_change)
    return StatusDecision(Status.GREEN, Reason.REPORTING, next_change)


def _never_seen(live: LiveState, now: datetime) -> StatusDecision:
    if is_offline(live, now):
        return StatusDecision(Status.RED, Reason.NEVER_SEEN, None)
    deadline = None if live.active_since is None else live.active_since + OFFLINE_AFTER
    return StatusDecision(Status.GREY, Reason.AWAITING_FIRST_READING, deadline)
