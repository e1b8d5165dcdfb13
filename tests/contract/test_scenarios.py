"""Every scenario of every brand through its adapter: at any hour, in any zone, it yields what its name says."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, Severity
from integrations.errors import AdapterError, AdapterErrorType
from integrations.registry import adapter_for
from integrations.transport import FixtureTransport, default_fixtures

DAY = date(2026, 3, 3)
ZONES = ["America/Sao_Paulo", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"]
COMMON = {
    "healthy",
    "night",
    "asleep",
    "stale",
    "offline",
    "low-generation",
    "fault",
    "gap",
    "auth-error",
    "rate-limit",
    "timeout",
    "malformed",
    "not-found",
}
ODDITIES = {
    Brand.SOLIS: {"late-reset", "pec"},
    Brand.HUAWEI: {"late-reset", "na-values", "grid-meter"},
    Brand.GOODWE: {"late-reset", "blank-times", "no-kpi"},
    Brand.DELE: {"null-alerts"},
}
ERRORS = {
    "auth-error": AdapterErrorType.AUTH_FAILED,
    "rate-limit": AdapterErrorType.RATE_LIMIT_EXCEEDED,
    "timeout": AdapterErrorType.NETWORK_TIMEOUT,
    "malformed": AdapterErrorType.INVALID_DATA_FORMAT,
    "not-found": AdapterErrorType.PLANT_NOT_FOUND,
}
WORST = {Brand.SOLIS: Severity.CRITICAL, Brand.HUAWEI: Severity.CRITICAL, Brand.GOODWE: Severity.HIGH, Brand.DELE: Severity.CRITICAL}
"""What each vendor's worst alarm becomes: GoodWe's levels end at HIGH (VENDORS 3.6)."""
FRESH = timedelta(hours=2)
DEAD = timedelta(hours=24)

REPORTING = [(brand, scenario) for brand in Brand for scenario in sorted((COMMON | ODDITIES[brand]) - ERRORS.keys())]

brands = pytest.mark.parametrize("brand", list(Brand))
zones = pytest.mark.parametrize("zone", ZONES)
reporting = pytest.mark.parametrize(("brand", "scenario"), REPORTING)


class Player:
    """A plant of one brand that plays a scenario at the instants it is told."""

    def __init__(self, brand: Brand, scenario: str, zone: str) -> None:
        self._adapter, self._plant = adapter_for(brand), PlantRef(vendor_plant_id="880017", timezone=ZoneInfo(zone))
        self._exchange: Exchange = TRANSPORT.for_plant(brand, scenario, self._plant)

    def summary(self, now: datetime) -> Reading:
        CLOCK.now = now
        return self._adapter.read_summary(self._plant, self._exchange, now)

    def alarms(self, now: datetime) -> AlarmList:
        CLOCK.now = now
        return self._adapter.read_alarms(self._plant, self._exchange, now)

    def series(self, now: datetime) -> Mapping[date, float]:
        CLOCK.now = now
        today = now.astimezone(self._plant.timezone).date()
        return self._adapter.read_daily_energy(self._plant, self._exchange, today - timedelta(days=3), today, now)

    def age(self, now: datetime) -> timedelta:
        seen = self.summary(now).last_seen_at
        assert seen is not None
        return now - seen


class Clock:
    now = datetime(2026, 3, 3, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


CLOCK = Clock()
TRANSPORT = FixtureTransport(default_fixtures(), CLOCK)


def hours_of(day: date, zone: str) -> list[datetime]:
    """Some minutes past every hour and half hour of a local day, and its last minute."""
    start = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    count = int((end - start) / timedelta(minutes=30))
    return [start + timedelta(minutes=30 * number + 7) for number in range(count)] + [end - timedelta(minutes=1)]


def local_time(now: datetime, zone: str) -> time:
    return now.astimezone(ZoneInfo(zone)).time()


@brands
def test_every_brand_has_its_scenarios(brand: Brand) -> None:
    assert set(TRANSPORT.scenarios(brand)) == COMMON | ODDITIES[brand]


@brands
@zones
def test_by_night_nothing_is_made_and_the_plant_reports(brand: Brand, zone: str) -> None:
    player = Player(brand, "night", zone)
    for now in hours_of(DAY, zone):
        reading = player.summary(now)

        assert timedelta(0) <= player.age(now) < FRESH
        assert reading.current_power_w == 0.0
        assert reading.today_energy_kwh == player.series(now)[DAY]
        assert not any(alarm.is_active for alarm in player.alarms(now).alarms)


@brands
@zones
def test_an_asleep_plant_is_silent_from_sunset_to_sunrise_and_fresh_in_between(brand: Brand, zone: str) -> None:
    player = Player(brand, "asleep", zone)
    for now in hours_of(DAY, zone):
        at = local_time(now, zone)
        if time(5, 45) <= at <= time(18, 45):
            assert timedelta(0) <= player.age(now) < FRESH
        elif time(21, 0) <= at or at <= time(5, 15):
            assert FRESH < player.age(now) < timedelta(hours=11)
            assert player.summary(now).current_power_w == 0.0


@brands
@zones
def test_a_stale_plant_was_last_seen_hours_ago_at_any_time(brand: Brand, zone: str) -> None:
    player = Player(brand, "stale", zone)
    for now in hours_of(DAY, zone):
        assert FRESH < player.age(now) < DEAD


@brands
@zones
def test_an_offline_plant_was_last_seen_more_than_a_day_ago_at_any_time(brand: Brand, zone: str) -> None:
    player = Player(brand, "offline", zone)
    for now in hours_of(DAY, zone):
        assert DEAD + timedelta(hours=1) < player.age(now) < timedelta(days=3)
        assert set(player.series(now)) == {DAY - timedelta(days=3), DAY - timedelta(days=2)}


@brands
@zones
def test_low_generation_is_less_than_three_tenths_of_the_days_before(brand: Brand, zone: str) -> None:
    player = Player(brand, "low-generation", zone)
    for now in hours_of(DAY, zone):
        reading, series = player.summary(now), player.series(now)
        usual = median(energy for day, energy in series.items() if day < DAY)

        assert len(series) == 4
        assert reading.today_energy_kwh is not None
        assert max(reading.today_energy_kwh, series[DAY]) < 0.3 * usual
        assert timedelta(0) <= player.age(now) < FRESH
    assert (player.summary(hours_of(DAY, zone)[-1]).today_energy_kwh or 0.0) > 0.05 * usual


@brands
@zones
def test_a_faulty_plant_reports_and_has_its_brands_worst_alarm(brand: Brand, zone: str) -> None:
    player = Player(brand, "fault", zone)
    for now in hours_of(DAY, zone):
        found = player.alarms(now)
        active = [alarm for alarm in found.alarms if alarm.is_active]

        assert found.complete
        assert [alarm.severity for alarm in active] == [WORST[brand]]
        assert active[0].code is not None
        assert active[0].device_sn is not None
        assert active[0].occurred_at is not None
        assert active[0].occurred_at < now
        assert timedelta(0) <= player.age(now) < FRESH


@brands
@zones
@pytest.mark.parametrize("scenario", sorted(ERRORS))
def test_errors_are_of_their_type_whatever_is_asked_at_any_hour(brand: Brand, scenario: str, zone: str) -> None:
    player = Player(brand, scenario, zone)
    asked: list[Callable[[datetime], object]] = [player.summary, player.alarms, player.series]
    for now in hours_of(DAY, zone):
        for ask in asked:
            with pytest.raises(AdapterError) as caught:
                ask(now)
            assert caught.value.error_type is ERRORS[scenario]


@brands
@zones
def test_a_gap_lacks_two_days_of_the_series_alone(brand: Brand, zone: str) -> None:
    player, healthy = Player(brand, "gap", zone), Player(brand, "healthy", zone)
    for now in hours_of(DAY, zone):
        assert set(player.series(now)) == {DAY, DAY - timedelta(days=3)}
        assert timedelta(0) <= player.age(now) < FRESH
    noon = datetime.combine(DAY, time(12), ZoneInfo(zone)).astimezone(UTC)
    assert player.summary(noon).today_energy_kwh == healthy.summary(noon).today_energy_kwh


@pytest.mark.parametrize("brand", [Brand.SOLIS, Brand.HUAWEI, Brand.GOODWE])
@zones
def test_a_late_reset_shows_yesterdays_energy_until_half_past_four(brand: Brand, zone: str) -> None:
    player, healthy = Player(brand, "late-reset", zone), Player(brand, "healthy", zone)
    yesterday = healthy.summary(hours_of(DAY - timedelta(days=1), zone)[-1]).today_energy_kwh
    for now in hours_of(DAY, zone):
        shown = player.summary(now).today_energy_kwh
        if local_time(now, zone) < time(4, 30):
            assert shown == yesterday
        else:
            assert shown is not None
            assert shown <= (healthy.summary(now).today_energy_kwh or 0.0)
    assert player.summary(hours_of(DAY, zone)[9]).today_energy_kwh == 0.0


@pytest.mark.parametrize(
    ("brand", "scenario"),
    [
        (Brand.SOLIS, "pec"),
        (Brand.HUAWEI, "grid-meter"),
        (Brand.GOODWE, "blank-times"),
        (Brand.GOODWE, "no-kpi"),
        (Brand.DELE, "null-alerts"),
    ],
)
@zones
def test_an_oddity_of_writing_changes_no_value(brand: Brand, scenario: str, zone: str) -> None:
    odd, healthy = Player(brand, scenario, zone), Player(brand, "healthy", zone)
    for hour in range(24):
        on_the_hour = datetime.combine(DAY, time(hour), ZoneInfo(zone)).astimezone(UTC)  # where both have a frame
        read, expected = odd.summary(on_the_hour), healthy.summary(on_the_hour)

        assert read.last_seen_at == expected.last_seen_at
        assert read.current_power_w == expected.current_power_w
        assert read.today_energy_kwh == pytest.approx(expected.today_energy_kwh)
        assert read.total_energy_kwh == pytest.approx(expected.total_energy_kwh)
        assert read.grid_injection_power_w == pytest.approx(expected.grid_injection_power_w)
        assert odd.series(on_the_hour) == pytest.approx(healthy.series(on_the_hour))


@zones
def test_what_huawei_does_not_know_is_unknown_and_the_rest_stands(zone: str) -> None:
    odd, healthy = Player(Brand.HUAWEI, "na-values", zone), Player(Brand.HUAWEI, "healthy", zone)
    noon = datetime.combine(DAY, time(12), ZoneInfo(zone)).astimezone(UTC)
    read, expected = odd.summary(noon), healthy.summary(noon)

    assert (read.total_energy_kwh, read.grid_injection_power_w) == (None, None)
    assert read.today_energy_kwh == expected.today_energy_kwh
    assert read.last_seen_at == expected.last_seen_at
    assert 0 < (read.current_power_w or 0.0) < (expected.current_power_w or 0.0)  # one inverter of two
    assert odd.series(noon) == pytest.approx(healthy.series(noon))


@zones
def test_alerts_that_are_null_are_a_whole_list_of_none(zone: str) -> None:
    found = Player(Brand.DELE, "null-alerts", zone).alarms(hours_of(DAY, zone)[20])

    assert (found.alarms, found.complete) == ((), True)


@reporting
@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Kiritimati"])
def test_over_three_days_the_lifetime_never_falls_and_time_never_runs_back(brand: Brand, scenario: str, zone: str) -> None:
    player = Player(brand, scenario, zone)
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    readings = [player.summary(now) for day in days for now in hours_of(day, zone)]
    totals = [reading.total_energy_kwh for reading in readings if reading.total_energy_kwh is not None]
    seen = [reading.last_seen_at for reading in readings if reading.last_seen_at is not None]

    assert len(seen) == len(readings)
    assert seen == sorted(seen)
    assert totals == sorted(totals)
    assert len(totals) == (0 if scenario == "na-values" else len(readings))


@reporting
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Lisbon", date(2026, 3, 29)),
        ("Europe/Lisbon", date(2026, 10, 25)),
        ("America/Sao_Paulo", date(2018, 11, 4)),
        ("Pacific/Apia", date(2011, 12, 31)),
    ],
)
def test_where_clocks_change_no_report_comes_from_the_future(brand: Brand, scenario: str, zone: str, day: date) -> None:
    player = Player(brand, scenario, zone)
    for now in hours_of(day, zone):
        age = player.age(now)
        if zone == "Pacific/Apia" and scenario in ("offline", "stale"):
            assert age >= timedelta(0)  # reports of a day that did not exist are of the day before: they are as old as the clock makes them
        elif scenario == "offline":
            assert age > DEAD
        elif scenario == "stale":
            assert FRESH < age < DEAD
        elif scenario != "asleep":
            assert timedelta(0) <= age < FRESH
        else:
            assert timedelta(0) <= age < timedelta(hours=13)
