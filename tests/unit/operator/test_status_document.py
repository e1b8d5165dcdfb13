import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from controller.domain.plant import Alert, AlertState, AlertType, Integration, Reason, Status
from controller.operator.resource import Refusal, RefusalReason
from controller.operator.status_document import display_power, refused_document, status_document
from integrations.contract import Severity
from tests.unit.operator.plants import NOW, day, resource, row

REFUSAL = Refusal(RefusalReason.DUPLICATE_VENDOR_PLANT, "Plant roof already monitors SOLIS plant 1298; delete one of the two")


def alert(severity: Severity, minutes: int = 0, **fields: Any) -> Alert:
    at = NOW - timedelta(minutes=minutes)
    return Alert(id=uuid4(), type=AlertType.MOCK_FAULT, severity=severity, opened_at=at, last_seen_at=at, **fields)


def with_alerts(*alerts: Alert) -> Any:

    return msgspec.structs.replace(row(), alerts=alerts)


def test_a_healthy_plant_is_shown_whole() -> None:
    document = status_document(row(days=(day("2026-01-15", 14.30000001, 4250.04), day("2026-01-14", 32.1))), resource(), NOW)
    assert document.pop("conditions")
    assert document == {
        "observedGeneration": 3,
        "health": "GREEN",
        "reason": "Reporting",
        "since": "2026-01-13T15:00:00Z",
        "integrationStatus": "ACTIVE",
        "lastPollTime": "2026-01-15T15:00:00Z",
        "lastSuccessTime": "2026-01-15T15:00:00Z",
        "nextPollTime": "2026-01-15T15:10:00Z",
        "consecutiveFailures": 0,
        "lastSeenTime": "2026-01-15T14:56:00Z",
        "currentPowerW": 4200.0,
        "today": {"date": "2026-01-15", "energyKWh": 14.3, "peakPowerW": 4250.0, "specificYield": 2.167},
        "totalEnergyKWh": 12543.0,
        "display": {"power": "4.20kW", "today": "14.3kWh"},
        "openAlerts": {"total": 0, "critical": 0, "high": 0, "acked": 0},
        "alerts": [],
        "explain": ["Last seen at 2026-01-15 11:56 -03, within 2 h, and no critical alert is active."],
    }


def test_what_is_usual_by_this_hour_is_shown_where_place_and_a_median_are_known() -> None:
    days = (day("2026-01-15", 14.3), *(day(f"2026-01-{number}", 30.0) for number in (14, 13, 12)))
    assert status_document(row(days=days), resource(), NOW)["today"]["expectedKWh"] == pytest.approx(14.4, abs=0.5)
    assert "expectedKWh" not in status_document(row(days=days[:3]), resource(), NOW)["today"], "two earlier days"
    assert "expectedKWh" not in status_document(row(days=days, declared={"longitude": None}), resource(), NOW)["today"]


def test_what_is_unknown_is_absent_and_not_zero() -> None:
    document = status_document(row(current_power_w=None, total_energy_kwh=None, last_seen_at=None, last_success_at=None), resource(), NOW)
    assert not {"currentPowerW", "totalEnergyKWh", "lastSeenTime", "lastSuccessTime", "today", "display"} & document.keys()


def test_no_power_is_shown_as_zero() -> None:
    document = status_document(row(current_power_w=0.0), resource(), NOW)
    assert document["currentPowerW"] == 0
    assert document["display"]["power"] == "0W"


def test_yesterday_is_not_shown_as_today() -> None:
    document = status_document(row(days=(day("2026-01-14", 32.1),)), resource(), NOW)
    assert "today" not in document
    assert "today" not in document["display"]


def test_today_is_the_local_day() -> None:
    """At 01:30 UTC it is still the day before in São Paulo."""
    document = status_document(row(days=(day("2026-01-15", 32.1),)), resource(), NOW.replace(day=16, hour=1, minute=30))
    assert document["today"]["date"] == "2026-01-15"


def test_there_is_no_yield_without_capacity() -> None:
    document = status_document(row(declared={"capacity_kwp": None}, days=(day("2026-01-15", 3),)), resource(), NOW)
    assert document["today"] == {"date": "2026-01-15", "energyKWh": 3}


@pytest.mark.parametrize("integration", [integration for integration in Integration if integration is not Integration.ACTIVE])
def test_a_plant_that_is_not_polled_has_no_next_poll(integration: Integration) -> None:
    document = status_document(row(integration=integration), resource(), NOW)
    assert "nextPollTime" not in document
    assert document["integrationStatus"] == integration.value


def test_a_handled_poll_request_is_echoed() -> None:
    assert status_document(row(handled_poll_request="by ana"), resource(), NOW)["lastHandledPollRequest"] == "by ana"


def test_alerts_are_counted_all_and_shown_worst_first_up_to_ten() -> None:
    low = [alert(Severity.LOW) for _ in range(9)]
    high = alert(Severity.HIGH, state=AlertState.ACKED)
    old, new = alert(Severity.CRITICAL, minutes=90), alert(Severity.CRITICAL, minutes=5)
    document = status_document(with_alerts(*low, new, high, old), resource(), NOW)
    assert document["openAlerts"] == {"total": 12, "critical": 2, "high": 1, "acked": 1}
    assert [shown["id"] for shown in document["alerts"][:3]] == [str(old.id), str(new.id), str(high.id)]
    assert len(document["alerts"]) == 10


def test_an_alert_is_shown_with_what_identifies_it() -> None:
    fault = alert(Severity.HIGH, vendor_alarm_code="1015", device_sn="10F", message="NO-Grid")
    shown = status_document(with_alerts(fault), resource(), NOW)["alerts"][0]
    assert shown == {
        "id": str(fault.id),
        "type": "MOCK_FAULT",
        "severity": "HIGH",
        "state": "NEW",
        "vendorAlarmCode": "1015",
        "deviceSn": "10F",
        "since": "2026-01-15T15:00:00Z",
        "message": "NO-Grid",
    }


def test_long_texts_are_cut_to_what_the_definition_takes() -> None:
    fault = alert(Severity.HIGH, vendor_alarm_code="1" * 999, device_sn="2" * 999, message="3" * 9999)
    document = status_document(with_alerts(fault), resource(), NOW)
    assert [len(document["alerts"][0][field]) for field in ("vendorAlarmCode", "deviceSn", "message")] == [128, 128, 512]
    explained = status_document(row(explain=("x" * 9999,) * 99), resource(), NOW)
    assert len(explained["explain"]) == 20
    assert {len(sentence) for sentence in explained["explain"]} == {512}


@pytest.mark.parametrize(
    ("power_w", "text"),
    [
        (0, "0W"),
        (0.4, "0W"),
        (840.2, "840W"),
        (999.4, "999W"),
        (999.6, "1.00kW"),
        (4200, "4.20kW"),
        (999_999.7, "1.00MW"),
        (1_250_000, "1.25MW"),
    ],
)
def test_power_is_written_for_people(power_w: float, text: str) -> None:
    assert display_power(power_w) == text
    assert re.fullmatch(r"[0-9.]+[kM]?W", text)


def test_a_refused_plant_is_grey_and_says_why() -> None:
    document = refused_document(REFUSAL, resource(generation=9), NOW)
    assert (document["health"], document["reason"], document["observedGeneration"]) == ("GREY", "DuplicateVendorPlant", 9)
    assert document["explain"] == ["Not monitored: Plant roof already monitors SOLIS plant 1298; delete one of the two."]
    assert "integrationStatus" not in document


def test_a_plant_stays_refused_since_it_first_was() -> None:
    first = refused_document(REFUSAL, resource(), NOW)
    later = NOW + timedelta(hours=3)
    assert refused_document(REFUSAL, resource(status=first), later) == first
    other = Refusal(RefusalReason.INVALID_TIMEZONE, "no")
    assert refused_document(other, resource(status=first), later)["since"] == "2026-01-15T18:00:00Z"


def test_health_and_reason_are_the_row_s() -> None:
    document = status_document(row(status=Status.RED, reason=Reason.OFFLINE), resource(), NOW)
    assert (document["health"], document["reason"]) == ("RED", "Offline")
