"""The benchmark's recordings: a sample of each step, in every zone, by day, by night and across midnight."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from benchmarks.fleet import MAKES, PLACES, SCENARIOS
from benchmarks.recordings import LASTS, STEP, step_of, write_recordings
from integrations.contract import Brand, PlantRef, Reading
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures

NOON_IN_LISBON = datetime(2026, 6, 21, 11, 3, 7, tzinfo=UTC)
MIDNIGHT_NEAR_IN_LISBON = datetime(2026, 6, 21, 22, 58, 41, tzinfo=UTC)
MIDNIGHT_NEAR_IN_KOLKATA = datetime(2026, 11, 24, 18, 27, 30, tzinfo=UTC)
CLOCKS_GO_BACK_IN_LISBON = datetime(2026, 10, 25, 0, 56, tzinfo=UTC)
NOWS = [NOON_IN_LISBON, MIDNIGHT_NEAR_IN_LISBON, MIDNIGHT_NEAR_IN_KOLKATA, CLOCKS_GO_BACK_IN_LISBON]
LATER = [timedelta(), STEP, LASTS / 2 + timedelta(seconds=3.5), LASTS]


def _asked(folder: Path, brand: Brand, scenario: str, zone: str, now: datetime) -> tuple[Reading, list[str | None]]:
    plant = PlantRef(MAKES[brand].id_format.format(MAKES[brand].first_id), ZoneInfo(zone), MAKES[brand].capacity_kwp)
    exchange = FixtureTransport(folder, lambda: now).for_plant(brand, scenario, plant)
    adapter = ADAPTERS[brand]
    return adapter.read_summary(plant, exchange, now), [alarm.code for alarm in adapter.read_alarms(plant, exchange, now).alarms]


@pytest.mark.parametrize("start", NOWS, ids=str)
def test_a_sample_is_as_old_as_its_step(start: datetime, tmp_path: Path) -> None:
    write_recordings(tmp_path, start)
    for later in LATER:
        for brand in Brand:
            for scenario in set(SCENARIOS):
                for zone, _, _ in PLACES:
                    reading, _ = _asked(tmp_path, brand, scenario, zone, start + later)
                    seen = (reading.sampled_at or reading.last_seen_at, reading.last_seen_at)
                    assert seen == (step_of(start + later),) * 2, (brand, scenario, zone, later)


def test_values_and_alarms_are_those_of_the_product_s_recordings(tmp_path: Path) -> None:
    write_recordings(tmp_path, NOON_IN_LISBON)
    recorded = Path(str(default_fixtures()))
    for brand in Brand:
        for scenario in set(SCENARIOS):
            for zone, _, _ in PLACES:
                now = NOON_IN_LISBON + LASTS / 2
                moved, alarms = _asked(tmp_path, brand, scenario, zone, now)
                still, recorded_alarms = _asked(recorded, brand, scenario, zone, now)
                assert alarms == recorded_alarms
                assert _values(moved) == _values(still)


def test_steps_follow_each_other_without_a_gap() -> None:
    began = step_of(NOON_IN_LISBON)
    assert began <= NOON_IN_LISBON < began + STEP
    assert step_of(began) == began
    assert step_of(began - timedelta(microseconds=1)) == began - STEP


def _values(reading: Reading) -> tuple[float | None, ...]:
    return reading.current_power_w, reading.today_energy_kwh, reading.total_energy_kwh, reading.grid_injection_power_w
