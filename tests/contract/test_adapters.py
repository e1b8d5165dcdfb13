"""One suite, four brands: what `VendorAdapter` promises, read from the recordings through the fixture transport."""

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.contract import Brand, Exchange, PlantRef, Reading, VendorAdapter, VendorRequest, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.registry import ADAPTERS, adapter_for
from integrations.transport import FixtureTransport, default_fixtures

CAPACITY_KWP = {Brand.SOLIS: 6.6, Brand.HUAWEI: 8.2, Brand.GOODWE: 5.2, Brand.DELE: 10.4}
"""Of the plants in the recordings (hack/make_fixtures.py)."""
ZONES = ["America/Sao_Paulo", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "UTC"]
FRESH = timedelta(minutes=15)


class Clock:
    """The clock of a test: it stands where it is put."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 3, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


CLOCK = Clock()
TRANSPORT = FixtureTransport(default_fixtures(), CLOCK)


def plant(zone: str = "America/Sao_Paulo", vendor_plant_id: str = "880017") -> PlantRef:
    return PlantRef(vendor_plant_id=vendor_plant_id, timezone=ZoneInfo(zone))


def summary(brand: Brand, of: PlantRef, now: datetime) -> Reading:
    CLOCK.now = now
    return adapter_for(brand).read_summary(of, TRANSPORT.for_plant(brand, "healthy", of), now)


def series(brand: Brand, of: PlantRef, now: datetime) -> Mapping[date, float]:
    CLOCK.now = now
    today = now.astimezone(of.timezone).date()
    exchange = TRANSPORT.for_plant(brand, "healthy", of)
    return adapter_for(brand).read_daily_energy(of, exchange, today - timedelta(days=3), today, now)


def instants_of(day: date, zone: str, step: timedelta = timedelta(minutes=5), after: timedelta = timedelta(seconds=17)) -> list[datetime]:
    """Every `step` of a local day, in UTC: 24 hours of them, or 23 or 25 where the clocks change."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    tomorrow = day + timedelta(days=1)
    end = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return [start + after + number * step for number in range(int((end - start) / step))]


def sampled_at(reading: Reading) -> datetime:
    """What stands for the sample's time (DOMAIN 3)."""
    found = reading.sampled_at or reading.last_seen_at
    assert found is not None
    return found


brands = pytest.mark.parametrize("brand", list(Brand))
zones = pytest.mark.parametrize("zone", ZONES)


@brands
def test_every_brand_has_its_adapter(brand: Brand) -> None:
    adapter: VendorAdapter = ADAPTERS[brand]

    assert adapter.brand is brand
    assert adapter.capabilities.recommended_min_interval_seconds == 60
    assert adapter.capabilities.max_requests_per_minute is None
    assert 0 < adapter.capabilities.timeout_seconds <= 30


@brands
@zones
def test_a_healthy_day_is_fresh_and_complete_at_any_hour(brand: Brand, zone: str) -> None:
    for now in instants_of(date(2026, 3, 3), zone):
        reading = summary(brand, plant(zone), now)

        assert timedelta(0) <= now - sampled_at(reading) < FRESH
        assert reading.last_seen_at is not None
        assert timedelta(0) <= now - reading.last_seen_at < FRESH
        assert sampled_at(reading).astimezone(ZoneInfo(zone)).date() == date(2026, 3, 3)
        assert None not in (reading.current_power_w, reading.today_energy_kwh, reading.total_energy_kwh, reading.grid_injection_power_w)


@brands
@zones
@pytest.mark.rule("D3.1")
def test_power_is_in_watts_and_energy_is_its_integral_in_kilowatt_hours(brand: Brand, zone: str) -> None:
    readings = [summary(brand, plant(zone), now) for now in instants_of(date(2026, 3, 3), zone)]
    powers = [reading.current_power_w or 0.0 for reading in readings]
    integral = sum(powers) / 1000 * (5 / 60)

    assert 0.5 * CAPACITY_KWP[brand] * 1000 < max(powers) < CAPACITY_KWP[brand] * 1000
    assert min(powers) == 0.0
    assert readings[-1].today_energy_kwh == pytest.approx(integral, rel=0.01)
    assert all((reading.grid_injection_power_w or 0.0) >= 0.0 for reading in readings)
    assert 0 < max(reading.grid_injection_power_w or 0.0 for reading in readings) < max(powers)


@brands
@zones
def test_over_three_days_today_rises_and_resets_at_midnight_and_the_lifetime_never_falls(brand: Brand, zone: str) -> None:
    days = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]
    readings = [[summary(brand, plant(zone), now) for now in instants_of(day, zone, timedelta(minutes=20))] for day in days]

    for day in readings:
        energies = [reading.today_energy_kwh or 0.0 for reading in day]
        assert energies[0] == 0.0
        assert energies == sorted(energies)
        assert energies[-1] > 3 * CAPACITY_KWP[brand]
    lifetime = [reading.total_energy_kwh or 0.0 for day in readings for reading in day]
    assert lifetime == sorted(lifetime)
    made = sum(day[-1].today_energy_kwh or 0.0 for day in readings)
    assert lifetime[-1] - lifetime[0] == pytest.approx(made, abs=0.1)


@brands
@zones
@pytest.mark.parametrize("day", [date(2026, 3, 3), date(2026, 3, 1), date(2027, 1, 2)])
def test_the_daily_series_covers_four_days_and_agrees_with_the_summary(brand: Brand, zone: str, day: date) -> None:
    before = [(day - timedelta(days=number)) for number in (3, 2, 1)]
    instants = instants_of(day, zone, timedelta(hours=2), timedelta(minutes=1))
    whole_day = summary(brand, plant(zone), instants_of(day, zone)[-1]).today_energy_kwh

    for now in instants:
        found = series(brand, plant(zone), now)

        assert sorted(found) == [*before, day]
        assert [found[earlier] for earlier in before] == [whole_day] * 3
        assert found[day] == summary(brand, plant(zone), now).today_energy_kwh


@brands
def test_a_healthy_plant_has_no_active_alarm_and_a_complete_list(brand: Brand) -> None:
    for now in instants_of(date(2026, 3, 3), "America/Sao_Paulo", timedelta(hours=1)):
        CLOCK.now = now
        found = adapter_for(brand).read_alarms(plant(), TRANSPORT.for_plant(brand, "healthy", plant()), now)

        assert found.complete
        assert not any(alarm.is_active for alarm in found.alarms)
        assert all(alarm.occurred_at is not None and alarm.occurred_at < now for alarm in found.alarms)


@brands
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Lisbon", date(2026, 3, 29)),
        ("Europe/Lisbon", date(2026, 10, 25)),
        ("America/Sao_Paulo", date(2018, 11, 4)),  # begins at 01:00
        ("America/Sao_Paulo", date(2018, 2, 17)),  # ends with 23:00 to 24:00 twice
        ("America/Santiago", date(2026, 9, 6)),
        ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour
        ("Pacific/Apia", date(2011, 12, 31)),  # after a day that did not exist
    ],
)
def test_days_on_which_the_clocks_change_are_fresh_throughout(brand: Brand, zone: str, day: date) -> None:
    for now in instants_of(day, zone):
        reading = summary(brand, plant(zone), now)

        assert timedelta(0) <= now - sampled_at(reading) < FRESH
        assert sampled_at(reading).astimezone(ZoneInfo(zone)).date() == day


@brands
@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    now=st.integers(1_104_537_600, 2_145_830_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),  # 2005 to 2037
)
def test_in_any_zone_at_any_instant_the_sample_is_of_today_and_never_from_the_future(brand: Brand, zone: str, now: datetime) -> None:
    reading = summary(brand, plant(zone), now)
    local = ZoneInfo(zone)

    assert timedelta(0) <= now - sampled_at(reading) < FRESH
    assert sampled_at(reading).astimezone(local).date() == now.astimezone(local).date()


@brands
def test_an_answer_about_another_plant_is_refused(brand: Brand) -> None:
    theirs = TRANSPORT.for_plant(brand, "healthy", plant(vendor_plant_id="990099"))

    with pytest.raises(AdapterError) as caught:
        adapter_for(brand).read_summary(plant(vendor_plant_id="880017"), theirs, CLOCK.now)

    assert caught.value.error_type is AdapterErrorType.INVALID_DATA_FORMAT


@brands
@pytest.mark.parametrize("vendor_plant_id", ["7", "NE=33550001", "1298491919448000001", "a.b_c=d-e", "007", "x" * 64])
def test_any_valid_plant_id_is_served(brand: Brand, vendor_plant_id: str) -> None:
    reading = summary(brand, plant(vendor_plant_id=vendor_plant_id), datetime(2026, 3, 3, 15, 2, tzinfo=UTC))

    assert reading.current_power_w


@brands
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, AdapterErrorType.AUTH_FAILED),
        (403, AdapterErrorType.AUTH_FAILED),
        (429, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        (404, AdapterErrorType.VENDOR_ERROR),
        (408, AdapterErrorType.VENDOR_ERROR),
        (500, AdapterErrorType.VENDOR_ERROR),
        (502, AdapterErrorType.VENDOR_ERROR),
    ],
)
def test_an_http_error_without_a_body_is_classified_by_its_status(brand: Brand, status: int, expected: AdapterErrorType) -> None:
    for answer in (VendorResponse(status, b""), VendorResponse(status, b"<html>Bad gateway</html>")):
        for read in _reads(brand, partial(_always, answer)):
            with pytest.raises(AdapterError) as caught:
                read()
            assert caught.value.error_type is expected


@brands
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"x":' + b"9" * 10_000 + b"}",
        b'"' + b"x" * (1 << 20) + b'"',
    ],
)
def test_what_is_no_answer_at_all_is_invalid_data(brand: Brand, body: bytes) -> None:
    for read in _reads(brand, lambda request: VendorResponse(status=200, body=body)):
        with pytest.raises(AdapterError) as caught:
            read()
        assert caught.value.error_type is AdapterErrorType.INVALID_DATA_FORMAT


DELETED = object()
DEEP = json.loads("[" * 40 + "]" * 40)

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["N/A", "null", "1e999", "-1", "6553.5", "\ud800", "\x00", "9" * 400, "2026-02-31", "13/45/2026 99:99:99"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["list", "records", "code", "data"]), st.none(), max_size=2),
)


@brands
@pytest.mark.parametrize(
    "junk",
    [DELETED, None, True, -1, 1e308, 10**400, math.nan, "", "N/A", "\ud800", "9" * 400, [], [[]], {}, DEEP],
    ids=lambda junk: repr(junk)[:8],
)
def test_every_field_of_every_answer_may_be_junk(brand: Brand, junk: Any) -> None:
    CLOCK.now = datetime(2026, 3, 3, 15, 2, tzinfo=UTC)
    recorded = TRANSPORT.for_plant(brand, "healthy", plant())
    fields: dict[bytes, int] = {}

    def measured(request: VendorRequest) -> VendorResponse:
        answer = recorded(request)
        fields[answer.body] = len(_fields(json.loads(answer.body)))
        return answer

    def mutated(target: bytes, field: int, request: VendorRequest) -> VendorResponse:
        answer = recorded(request)
        if answer.body != target:
            return answer
        body = json.loads(answer.body)
        holder, place = _fields(body)[field]
        if junk is DELETED:
            del holder[place]
        else:
            holder[place] = junk
        return VendorResponse(status=answer.status, body=json.dumps(body).encode())

    for read in _reads(brand, measured):
        read()
    assert len(fields) >= 3
    for target, count in fields.items():
        for field in range(count):
            for read in _reads(brand, partial(mutated, target, field)):
                with contextlib.suppress(AdapterError):
                    read()


@brands
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_answer_with_one_field_replaced_by_junk_ends_in_values_or_one_adapter_error(brand: Brand, data: st.DataObject) -> None:
    CLOCK.now = datetime(2026, 3, 3, 15, 2, tzinfo=UTC)
    recorded = TRANSPORT.for_plant(brand, "healthy", plant())

    def mutated(request: VendorRequest) -> VendorResponse:
        answer = recorded(request)
        body = json.loads(answer.body)
        holder, place = data.draw(st.sampled_from(_fields(body)))
        holder[place] = data.draw(JUNK)
        return VendorResponse(status=answer.status, body=json.dumps(body).encode())

    for read in _reads(brand, mutated):
        with contextlib.suppress(AdapterError):
            read()


@brands
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_an_answer_cut_off_or_with_a_byte_flipped_ends_in_values_or_one_adapter_error(brand: Brand, data: st.DataObject) -> None:
    CLOCK.now = datetime(2026, 3, 3, 15, 2, tzinfo=UTC)
    recorded = TRANSPORT.for_plant(brand, "healthy", plant())

    def damaged(request: VendorRequest) -> VendorResponse:
        body = bytearray(recorded(request).body)
        at = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            del body[at:]
        else:
            body[at] = data.draw(st.integers(0, 255))
        return VendorResponse(status=200, body=bytes(body))

    for read in _reads(brand, damaged):
        with contextlib.suppress(AdapterError):
            read()


@brands
def test_an_error_of_the_exchange_itself_passes_through(brand: Brand) -> None:
    class LeaseLost(Exception):
        pass

    def lost(request: VendorRequest) -> VendorResponse:
        raise LeaseLost

    for read in _reads(brand, lost):
        with pytest.raises(LeaseLost):
            read()


def test_today_and_yesterday_meet_without_a_gap_at_midnight() -> None:
    """The lifetime counter just before midnight is the one just after it."""
    midnight = datetime(2026, 3, 4, tzinfo=ZoneInfo("America/Sao_Paulo")).astimezone(UTC)
    for brand in Brand:
        before, after = (summary(brand, plant(), midnight + timedelta(seconds=seconds)) for seconds in (-1, 1))

        assert before.total_energy_kwh == pytest.approx(after.total_energy_kwh, abs=0.011)
        assert (after.today_energy_kwh, after.current_power_w) == (0.0, 0.0)


def _always(answer: VendorResponse, request: VendorRequest) -> VendorResponse:
    return answer


def _reads(brand: Brand, exchange: Exchange) -> list[Callable[[], object]]:
    adapter, of, now = adapter_for(brand), plant(), CLOCK.now
    today = now.astimezone(of.timezone).date()
    return [
        lambda: adapter.read_summary(of, exchange, now),
        lambda: adapter.read_alarms(of, exchange, now),
        lambda: adapter.read_daily_energy(of, exchange, today - timedelta(days=3), today, now),
    ]


def _fields(body: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value that holds another: objects and their keys, arrays and their indexes."""
    places = []
    for place, value in list(body.items()) if isinstance(body, dict) else list(enumerate(body)):
        places.append((body, place))
        if isinstance(value, dict | list):
            places += _fields(value)
    return places
