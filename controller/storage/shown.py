"""What lists of the read API show of a plant beside its own columns: kept on its row, for a page must not look into other tables.

Called by `PostgresStore` with every outcome that it stores.
"""

from datetime import datetime

from controller.domain.outcome import Outcome
from controller.domain.plant import Alert, AlertState, Snapshot
from controller.domain.schedule import local_date
from integrations.contract import Severity


def shown_day(outcome: Outcome, now: datetime) -> dict[str, object]:
    """The plant's present local day, by column of `plants`. `now` is the instant of the judgement."""
    day = _day(outcome, now)
    return {"day_date": None if day is None else day.date, "day_energy_kwh": None if day is None else day.today_energy_kwh}


def shown_alerts(outcome: Outcome) -> dict[str, object]:
    """The plant's open alerts by number, by column of `plants`."""
    alerts = _open_alerts(outcome)
    return {
        "open_alerts": len(alerts),
        "open_critical": sum(alert.severity is Severity.CRITICAL for alert in alerts),
        "open_high": sum(alert.severity is Severity.HIGH for alert in alerts),
        "open_acked": sum(alert.state is AlertState.ACKED for alert in alerts),
    }


def _day(outcome: Outcome, now: datetime) -> Snapshot | None:
    """The newest day up to today: days ahead are what a changed timezone left (DOMAIN 4)."""
    today = local_date(now, outcome.before.declaration.zone)
    # Newest first, as they were read.
    newest = None
    for day in outcome.before.days:
        if day.date <= today:
            newest = day
            break
    for day in outcome.days:
        if day.date <= today and (newest is None or day.date >= newest.date):
            newest = day
    return newest


def _open_alerts(outcome: Outcome) -> tuple[Alert, ...]:
    if not outcome.alerts:
        return outcome.before.alerts
    alerts = {alert.id: alert for alert in (*outcome.before.alerts, *outcome.alerts)}
    return tuple(alert for alert in alerts.values() if alert.is_active)
