"""The custom resource definition as data: what the API server cannot tell us of it, and that it fits the code that writes it."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
import yaml

from controller.domain.plant import AlertState, AlertType, HistoryPolicy, Integration, Status, StatusPolicy
from controller.operator import conditions, resource, status_document
from controller.operator.conditions import ConditionStatus
from integrations.contract import Brand, Severity

MANIFESTS = Path(__file__).parents[3] / "manifests"
DEFINITION = yaml.safe_load((MANIFESTS / "crd/plants.monitor.solarinvest.info.yaml").read_text())
SCHEMA = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
FIXED_LENGTH = ("date", "date-time")


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


FIELDS = dict([*nodes(SCHEMA["properties"]["spec"], "spec"), *nodes(SCHEMA["properties"]["status"], "status")])


@pytest.mark.parametrize("path", [path for path in FIELDS if not path.endswith("[]")])
def test_every_field_says_what_it_is(path: str) -> None:
    assert len(FIELDS[path].get("description", "")) > 10


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_bounded(path: str) -> None:
    field = FIELDS[path]
    if field["type"] == "string":
        assert "maxLength" in field or field.get("format") in FIXED_LENGTH
    if field["type"] == "number":
        assert {"minimum", "maximum"} <= field.keys()
    if field["type"] == "array":
        assert "maxItems" in field


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("spec.brand", Brand),
        ("spec.statusPolicy", StatusPolicy),
        ("spec.historyPolicy", HistoryPolicy),
        ("status.health", Status),
        ("status.integrationStatus", Integration),
        ("status.alerts[].type", AlertType),
        ("status.alerts[].severity", Severity),
        ("status.conditions[].status", ConditionStatus),
    ],
)
@pytest.mark.rule("D1.2", "D6.1")
def test_the_definition_takes_exactly_the_values_of_the_domain(path: str, values: type[StrEnum]) -> None:
    assert sorted(FIELDS[path]["enum"]) == sorted(values)


def test_only_active_alerts_are_shown() -> None:
    assert set(FIELDS["status.alerts[].state"]["enum"]) == set(AlertState) - {AlertState.RESOLVED}


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("status.lastHandledPollRequest", resource.POLL_REQUEST_MAX),
        ("status.conditions[].message", conditions.MESSAGE_MAX),
        ("status.alerts[].message", status_document.ALERT_MESSAGE_MAX),
        ("status.alerts[].vendorAlarmCode", status_document.ALERT_TEXT_MAX),
        ("status.alerts[].deviceSn", status_document.ALERT_TEXT_MAX),
        ("status.explain[]", status_document.EXPLAIN_TEXT_MAX),
    ],
)
def test_what_the_operator_writes_is_cut_where_the_definition_ends(path: str, bound: int) -> None:
    assert FIELDS[path]["maxLength"] == bound


def test_lists_end_where_the_definition_ends_them() -> None:
    assert FIELDS["status.alerts"]["maxItems"] == status_document.ALERTS_MAX
    assert FIELDS["status.explain"]["maxItems"] == status_document.EXPLAIN_MAX
    assert FIELDS["status.conditions"]["maxItems"] >= len(conditions.ConditionType)


@pytest.mark.parametrize("reason", conditions.ConditionReason)
def test_every_reason_is_one_that_the_definition_takes(reason: str) -> None:
    field = FIELDS["status.conditions[].reason"]
    assert re.fullmatch(field["pattern"], reason)
    assert len(reason) <= field["maxLength"]


def test_every_time_zone_has_the_shape_that_the_definition_asks_for() -> None:
    (rule,) = FIELDS["spec.timezone"]["x-kubernetes-validations"]
    pattern = re.fullmatch(r"self\.matches\('(.*)'\)", rule["rule"])
    assert pattern is not None
    assert [zone for zone in available_timezones() if not re.fullmatch(pattern[1], zone)] == []


@pytest.mark.parametrize("field", ["timezone", "pollInterval", "suspend", "statusPolicy", "historyPolicy"])
def test_the_definition_and_the_operator_have_the_same_defaults(field: str) -> None:
    spec = resource.PlantSpec(brand=Brand.SOLIS)
    attribute = re.sub(r"(?=[A-Z])", "_", field).lower()
    assert FIELDS[f"spec.{field}"]["default"] == getattr(spec, attribute)
