"""Every field of every recorded payload, deleted or replaced: the answer is values of the right kind or one error of the closed list."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.tools.normalise import normalise_capture
from integrations.contract import Brand, Severity
from integrations.errors import AdapterErrorType
from integrations.transport import default_fixtures

SAME_SHAPE = {"night", "asleep", "stale", "offline", "low-generation", "late-reset"}
"""Scenarios that differ from healthy in values alone."""
RECORDINGS = sorted(path for path in Path(str(default_fixtures())).glob("*/*.json") if path.stem not in SAME_SHAPE)
ERRORS = {error.value for error in AdapterErrorType}
NUMBERS = {"current_power_w", "today_energy_kwh", "total_energy_kwh", "grid_injection_power_w"}
ALARM_FIELDS = {"code", "device_sn", "severity", "message", "occurred_at", "is_active"}


def deep(levels: int) -> Any:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]
    return nested


DELETED = object()
MUTATIONS: dict[str, Any] = {
    "deleted": DELETED,
    "null": None,
    "flag": True,
    "text": "what",
    "empty": "",
    "not available": "N/A",
    "not a number": "NaN",
    "NaN": math.nan,
    "infinite": math.inf,
    "huge": 1e308,
    "huge text": "9" * 400,
    "many digits": 10**400,
    "negative": -5,
    "nul": "\x00",
    "half a character": "\ud800",
    "list": [],
    "list of lists": [[]],
    "object": {},
    "deep": deep(20),
    "deeper than allowed": deep(60),
    "deeper than the stack": deep(900),
    "other id": "990099",
    "number for an id": 990099,
}
"""More levels than Python's own writer can write are in test_payload."""


def payloads(path: Path) -> Iterator[tuple[str, Any]]:
    """Of each path of a recording the answer around noon."""
    for key, frames in json.loads(path.read_bytes())["answers"].items():
        bodies = [frame["body"] for frame in frames if "body" in frame]
        if bodies:
            yield key, bodies[len(bodies) // 2]


def places(body: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value that holds another."""
    found = []
    for place, value in list(body.items()) if isinstance(body, dict) else list(enumerate(body)):
        found.append((body, place))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def is_classified(found: dict[str, Any]) -> bool:
    """Raises AssertionError where a value is not of its kind. Whether it was read, rather than refused."""
    if "error" in found:
        assert found.keys() == {"error", "message"}
        assert found["error"] in ERRORS
        assert found["message"].isprintable()
        assert len(found["message"]) < 1000
        return False
    assert found.keys() <= NUMBERS | {"last_seen_at", "days", "alarms"}
    for name in NUMBERS & found.keys():
        assert 0 <= found[name] < 1e9
    if "last_seen_at" in found:
        assert datetime.fromisoformat(found["last_seen_at"]).utcoffset() == UTC.utcoffset(None)
    for day, energy in found.get("days", {}).items():
        assert date.fromisoformat(day).isoformat() == day
        assert 0 <= energy < 1e9
    for alarm in found.get("alarms", []):
        assert alarm.keys() == ALARM_FIELDS
        assert Severity(alarm["severity"])
        assert isinstance(alarm["is_active"], bool)
        assert alarm["code"] != ""
        assert alarm["device_sn"] != ""
        assert alarm["message"]
    json.dumps(found, allow_nan=False)
    return True


def read(brand: Brand, path: str, body: Any, plant_id: str) -> dict[str, Any]:
    return normalise_capture(
        brand,
        path,
        json.dumps(body).encode(),
        plant_id=plant_id,
        zone=ZoneInfo("America/Sao_Paulo"),
        capacity_kwp=None,
        now=datetime(2026, 1, 16, 3, tzinfo=UTC),
        http_status=200,
        device_type=None,
    )


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_field_of_every_recorded_payload_may_be_anything(path: Path) -> None:
    brand = Brand(path.parent.name.upper())
    plant_id = json.loads(path.read_bytes())["recorded"]["vendor_plant_id"]
    for asked, body in payloads(path):
        is_classified(read(brand, asked, body, plant_id))
        for holder, place in places(body):
            kept = holder[place]
            for mutation in MUTATIONS.values():
                if mutation is not DELETED:
                    holder[place] = mutation
                    is_classified(read(brand, asked, body, plant_id))
            del holder[place]
            is_classified(read(brand, asked, body, plant_id))
            if isinstance(holder, list):
                holder.insert(place, kept)
            else:
                holder[place] = kept


@pytest.mark.parametrize("brand", list(Brand))
def test_what_the_vendor_sends_on_a_healthy_day_is_read_and_not_refused(brand: Brand) -> None:
    path = Path(str(default_fixtures())) / brand.slug / "healthy.json"
    plant_id = json.loads(path.read_bytes())["recorded"]["vendor_plant_id"]
    answers = list(payloads(path))

    assert len(answers) >= 3
    assert all(is_classified(read(brand, asked, body, plant_id)) for asked, body in answers)


IDS = {"id", "stationId", "stationCode", "plantCode", "powerstation_id"}


@pytest.mark.parametrize("brand", list(Brand))
def test_an_answer_in_which_every_id_is_anothers_is_refused_or_empty(brand: Brand) -> None:
    path = Path(str(default_fixtures())) / brand.slug / "fault.json"
    plant_id = json.loads(path.read_bytes())["recorded"]["vendor_plant_id"]
    for asked, body in payloads(path):
        named = [(holder, place) for holder, place in places(body) if place in IDS and str(holder[place]) == plant_id]
        for holder, place in named:
            holder[place] = "990099"
        found = read(brand, asked, body, plant_id)
        if named:
            assert found.get("error") in ("INVALID_DATA_FORMAT", "PLANT_NOT_FOUND") or found == {"alarms": []}


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.sampled_from(["0", "1000000", "N/A", "7"])
)
FIELDS = sorted(
    {
        *(
            "success",
            "code",
            "failCode",
            "msg",
            "data",
            "params",
            "list",
            "records",
            "page",
            "total",
            "record",
            "lines",
            "xy",
            "x",
            "y",
            "d",
            "p",
        ),
        *("stationDataItems", "stationAlertItems", "stationList", "deviceDataList", "dataList", "dataItemMap", "info", "kpi", "inverter"),
        *(
            "id",
            "stationId",
            "stationCode",
            "power",
            "dayEnergy",
            "dateStr",
            "energy",
            "active_power",
            "collectTime",
            "lastUpdateTime",
            "status",
        ),
        *("exceptionId", "errorCode", "exception", "invert_full", "powerflow", "realKpi", "key", "value", "unit", "year", "month", "day"),
    }
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6), max_leaves=20
)
ENVELOPES: dict[Brand, Any] = {
    Brand.SOLIS: {"code": "0"},
    Brand.HUAWEI: {"success": True, "failCode": 0},
    Brand.GOODWE: {"code": 0},
    Brand.DELE: {"success": True},
}
EVERY_PATH = {
    Brand.SOLIS: ["stationDetail", "userStationList", "stationMonth", "stationDayEnergyList", "alarmList"],
    Brand.HUAWEI: [
        "getStationRealKpi",
        "getDevRealKpi",
        "stations",
        "getDevList",
        "getKpiStationDay",
        "getAlarmList",
        "station-kiosk-file",
    ],
    Brand.GOODWE: [
        "GetMonitorDetailByPowerstationId",
        "QueryPowerStationMonitor",
        "GetChartByPlant",
        "GetPowerStationPowerAndIncomeByDay",
        "GetPowerStationWariningInfoByMultiCondition",
    ],
    Brand.DELE: ["station/latest", "station/list", "station/history", "station/alertList", "station/device", "device/latest"],
}


@pytest.mark.parametrize("brand", list(Brand))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_at_any_path_is_classified(brand: Brand, data: st.DataObject) -> None:
    path, tree = data.draw(st.sampled_from(EVERY_PATH[brand])), data.draw(JSON)
    flat = tree if isinstance(tree, dict) else {}
    for body in (tree, ENVELOPES[brand] | {"data": tree}, flat | ENVELOPES[brand]):
        is_classified(read(brand, path, body, "7"))
