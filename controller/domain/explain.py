"""Why a plant has its status, in one to three sentences for people: the rule with its inputs, what comes next, what is to be known besides.

Instants are in the plant's local time and absolute, so that the sentences stay true until the next judgement. Each rule has a golden file
under tests/unit/domain/golden.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.domain.generation import LOW_BELOW, GenerationVerdict
from controller.domain.plant import Alert, AlertState, AlertType, Declaration, LiveState, Reason, StatusPolicy
from controller.domain.status import OFFLINE_AFTER, StatusDecision, fresh_until
from integrations.contract import Severity

MESSAGE_MAX = 200
KEY_MAX = 60
"""Characters of a vendor's text, and of its codes and serials, within a sentence of ours."""
_LOW = f"{LOW_BELOW * 100:.0f} %"


def explain(decision: StatusDecision, declaration: Declaration, live: LiveState, alerts: Iterable[Alert]) -> tuple[str, ...]:
    """The rule that gave the status, when silence changes it, and remarks, as far as there is something to say. `alerts`: active."""
    active = sorted([alert for alert in alerts if alert.is_active], key=lambda alert: (alert.opened_at, alert.id))
    rule = f"{decision.status}: {_rule(decision, declaration, live, active)}."
    following = _next(decision, declaration, live)
    remarks = _remarks(declaration, live)
    if not remarks:
        return (rule,) if following is None else (rule, following)
    remark = f"{'; '.join(remarks)}."
    return (rule, remark) if following is None else (rule, following, remark)


def low_generation_message(verdict: GenerationVerdict, zone: ZoneInfo) -> str:
    """What a LOW_GENERATION alert says: the day's energy, the limit, and how that came about."""
    usual = f"the usual {_kwh(verdict.usual.energy_kwh)} (median of {verdict.usual.days} earlier days)"
    if verdict.at is None:
        return f"{_kwh(verdict.energy_kwh)} on {verdict.day}: less than {_kwh(verdict.limit_kwh)}, {_LOW} of {usual}"
    limit = f"{_kwh(verdict.limit_kwh)}, {_LOW} of the {_kwh(verdict.expected_kwh)} to be expected by then"
    made = f"{_kwh(verdict.energy_kwh)} by {_local(verdict.at, zone)}"
    return f"{made}: less than {limit}, {verdict.share * 100:.1f} % (clear sky) of {usual}"


def _rule(decision: StatusDecision, declaration: Declaration, live: LiveState, active: Sequence[Alert]) -> str:
    zone = declaration.zone
    seen = f"the plant last reported at {_local(live.last_seen_at, zone)}"
    age = "2 h of daylight (sun above -0.833 degrees)" if declaration.daylight_site else "2 h"
    match decision.reason:
        # First, for it is what nearly every judgement finds.
        case Reason.REPORTING:
            return f"{seen}, not more than {age} ago, and neither an alert of severity CRITICAL nor LOW_GENERATION is active"
        case Reason.PENDING_DOCS:
            return "the plant is not monitored, for spec.vendorPlantId is not set yet"
        case Reason.DISABLED_BY_OPERATOR:
            return "the plant is not monitored, for spec.suspend is true"
        case Reason.PAUSED_AUTH_ERROR:
            return "the plant is not polled, for the vendor refused our credentials; change the spec or request a poll to try again"
        case Reason.AWAITING_FIRST_READING:
            return f"no report of the plant has been seen since it became active at {_local(live.active_since, zone)}"
        case Reason.NEVER_SEEN:
            return f"no report of the plant has been seen in more than 24 h since it became active at {_local(live.active_since, zone)}"
        case Reason.OFFLINE:
            return f"{seen}, more than 24 h ago"
        case Reason.CRITICAL_ALERT:
            critical = [alert for alert in active if alert.severity is Severity.CRITICAL]
            count = (
                "an alert of severity CRITICAL is active"
                if len(critical) == 1
                else f"{len(critical)} alerts of severity CRITICAL are active, the oldest"
            )
            return f"{count}: {_named(critical[0], zone)}; {seen}"
        case Reason.STALE:
            return f"{seen}, more than {age} ago (limit {_local(_fresh_until(declaration, live), zone)}) and not more than 24 h"
        case Reason.LOW_GENERATION:
            low = next(alert for alert in active if alert.type is AlertType.LOW_GENERATION)
            return f"LOW_GENERATION is active since {_local(low.opened_at, zone)}{_state(low)}: {low.message}; {seen}"


def _named(alert: Alert, zone: ZoneInfo) -> str:
    """The alert by its key and what the vendor says of it."""
    code = f" {alert.vendor_alarm_code[:KEY_MAX]}" if alert.vendor_alarm_code else ""
    device = f" on {alert.device_sn[:KEY_MAX]}" if alert.device_sn else ""
    message = f' "{alert.message[:MESSAGE_MAX].rstrip(". ")}"' if alert.message else ""
    return f"{alert.type}{code}{device}{message} since {_local(alert.opened_at, zone)}{_state(alert)}"


def _state(alert: Alert) -> str:
    # Acknowledging never heals (DOMAIN 5): said here, or it is asked.
    return ", acknowledged" if alert.state is AlertState.ACKED else ""


def _next(decision: StatusDecision, declaration: Declaration, live: LiveState) -> str | None:
    """What silence makes of the plant, for whoever asks whether to wait."""
    zone, at = declaration.zone, decision.next_change
    if at is None:
        return None
    match decision.reason:
        case Reason.REPORTING | Reason.LOW_GENERATION | Reason.STALE:
            assert live.last_seen_at is not None
            offline = at == live.last_seen_at + OFFLINE_AFTER
            if decision.reason is Reason.LOW_GENERATION and not offline:
                return None
            return f"Without another report it turns {'RED' if offline else 'YELLOW'} after {_local(at, zone)}."
        case Reason.AWAITING_FIRST_READING:
            return f"Without a report it turns RED after {_local(at, zone)}."
        case _:
            return None


def _remarks(declaration: Declaration, live: LiveState) -> list[str]:
    remarks = []
    if declaration.status_policy is StatusPolicy.DAYLIGHT and declaration.daylight_site is None:
        remarks.append("statusPolicy Daylight acts as Strict, for spec.location is not set")
    if live.refused:
        remarks.append(f"Refused as implausible in the newest answer: {', '.join(live.refused)}")
    if live.alarms_dropped:
        remarks.append(f"{live.alarms_dropped} more active alarms are not kept (at most 500, the worst and oldest)")
    return remarks


def _fresh_until(declaration: Declaration, live: LiveState) -> datetime | None:
    return None if live.last_seen_at is None else fresh_until(live.last_seen_at, declaration.daylight_site)


def _kwh(value: float) -> str:
    return f"{value:.2f} kWh"


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    if at is None:
        return "never"
    local = at.astimezone(zone)
    # In halves: of an aware instant isoformat would write the offset, too, at twice the price.
    return f"{local.date().isoformat()} {local.time().isoformat('seconds')} {local.tzname()}"
