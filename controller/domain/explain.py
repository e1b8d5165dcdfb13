"""Why a plant has its status, in sentences for people. Fuller explanations only add to this page."""

from datetime import datetime
from zoneinfo import ZoneInfo

from controller.domain.plant import LiveState, Reason
from controller.domain.status import StatusDecision


def explain(decision: StatusDecision, live: LiveState, zone: ZoneInfo) -> tuple[str, ...]:
    """One sentence on the rule that gave the status, with its inputs in the plant's local time."""
    return (_sentence(decision, live, zone),)


def _sentence(decision: StatusDecision, live: LiveState, zone: ZoneInfo) -> str:
    seen = _local(live.last_seen_at, zone)
    match decision.reason:
        case Reason.PENDING_DOCS:
            return "Not monitored: spec.vendorPlantId is not set yet."
        case Reason.DISABLED_BY_OPERATOR:
            return "Not monitored: spec.suspend is true."
        case Reason.PAUSED_AUTH_ERROR:
            return "Not polled: the vendor refused our credentials. Change the spec or request a poll to try again."
        case Reason.AWAITING_FIRST_READING:
            return f"No report of this plant has been seen since it became active at {_local(live.active_since, zone)}."
        case Reason.NEVER_SEEN:
            return f"No report of this plant has been seen in the 24 h since it became active at {_local(live.active_since, zone)}."
        case Reason.OFFLINE:
            return f"Last seen at {seen}, more than 24 h ago."
        case Reason.CRITICAL_ALERT:
            return f"An alert of severity CRITICAL is active; last seen at {seen}."
        case Reason.STALE:
            return f"Last seen at {seen}, more than 2 h ago."
        case Reason.LOW_GENERATION:
            return f"The plant generates less than 30 % of its usual energy; last seen at {seen}."
        case Reason.REPORTING:
            return f"Last seen at {seen}, within 2 h, and no critical alert is active."


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return "never" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
