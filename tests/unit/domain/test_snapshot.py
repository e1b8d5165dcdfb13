"""A plant's local days (DOMAIN 4): one row a day, by the vendor's sample time, whose energy only rises."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import Snapshot
from controller.domain.snapshot import merge_sample, merge_series
from integrations.contract import Reading
from tests.unit.domain.cases import DAY, HOUR, NOON, TODAY, reading, row

UTC_ZONE = ZoneInfo("UTC")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
YESTERDAY = TODAY - DAY
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)


def after(rows: Iterable[Snapshot], *samples: Reading, zone: ZoneInfo = UTC_ZONE, now: datetime = NOON) -> dict[date, Snapshot]:
    days = {known.date: known for known in rows}
    for sample in samples:
        changed = merge_sample(days.values(), sample, zone, now)
        if changed is not None:
            days[changed.date] = changed
    return days


def energy(day: date, rows: Iterable[Snapshot], *samples: Reading) -> float | None:
    found = after(rows, *samples).get(day)
    return None if found is None else found.today_energy_kwh


def test_the_first_sample_makes_the_row_of_its_day() -> None:
    sample = reading(grid_injection_power_w=700.0, last_seen_at=NOON - HOUR)
    assert after([], sample) == {
        TODAY: Snapshot(
            date=TODAY,
            timezone="UTC",
            today_energy_kwh=12.5,
            peak_power_w=3000.0,
            current_power_w=3000.0,
            total_energy_kwh=5000.0,
            grid_injection_power_w=700.0,
            last_seen_at=NOON - HOUR,
            source_sampled_at=NOON,
            backfilled=False,
            sampled_energy_kwh=12.5,
        )
    }


@pytest.mark.parametrize(
    ("sampled", "day"),
    [
        (datetime(2026, 3, 10, 2, 59, 59, tzinfo=UTC), date(2026, 3, 9)),
        (datetime(2026, 3, 10, 3, 0, tzinfo=UTC), date(2026, 3, 10)),
        # Midnight of this day does not exist: it begins at one o'clock.
        (datetime(2018, 11, 4, 2, 59, 59, tzinfo=UTC), date(2018, 11, 3)),
        (datetime(2018, 11, 4, 3, 0, tzinfo=UTC), date(2018, 11, 4)),
        # The hour that comes twice belongs to the day before.
        (datetime(2018, 2, 18, 2, 30, tzinfo=UTC), date(2018, 2, 17)),
    ],
)
@pytest.mark.rule("D4.2")
def test_the_day_is_the_local_one_of_the_sample_whatever_the_clock_says(sampled: datetime, day: date) -> None:
    assert list(after([], reading(sampled), zone=SAO_PAULO, now=sampled + 8 * HOUR)) == [day]


def test_a_reading_of_yesterday_after_midnight_goes_to_yesterday() -> None:
    rows = after([row(YESTERDAY, 30.0)], reading(MIDNIGHT - HOUR, today_energy_kwh=31.0), now=MIDNIGHT + HOUR)
    assert {day: known.today_energy_kwh for day, known in rows.items()} == {YESTERDAY: 31.0}


@pytest.mark.rule("D3.10")
def test_no_sample_time_makes_no_row() -> None:
    assert after([], reading(sampled_at=None)) == {}


@pytest.mark.rule("D4.6")
def test_no_energy_makes_no_row() -> None:
    assert after([], reading(today_energy_kwh=None)) == {}


@pytest.mark.rule("D4.6")
def test_without_energy_an_existing_row_still_takes_the_peak() -> None:
    found = after([row(peak_power_w=2000.0)], reading(today_energy_kwh=None))[TODAY]
    assert (found.peak_power_w, found.today_energy_kwh, found.current_power_w) == (3000.0, 10.0, 3000.0)


@pytest.mark.parametrize(("back", "counts"), [(0, True), (1, True), (3, True), (4, False), (40, False)])
@pytest.mark.rule("D4.7")
def test_samples_count_back_to_three_days_ago(back: int, counts: bool) -> None:
    assert bool(after([], reading(NOON - back * DAY))) is counts


@pytest.mark.parametrize(
    ("powers", "peak"),
    [([100.0, 300.0, 200.0], 300.0), ([None, 50.0, None], 50.0), ([None, None], None), ([0.0, None], 0.0)],
)
@pytest.mark.rule("D4.3")
def test_the_peak_is_the_largest_power_of_the_day(powers: list[float | None], peak: float | None) -> None:
    samples = [reading(NOON + number * HOUR, current_power_w=power) for number, power in enumerate(powers)]
    assert after([], *samples)[TODAY].peak_power_w == peak


@pytest.mark.rule("D3.3")
def test_missing_power_is_shown_as_missing_not_as_zero() -> None:
    assert after([], reading(), reading(NOON + HOUR, current_power_w=None))[TODAY].current_power_w is None


def test_a_late_sample_raises_the_day_and_leaves_the_newer_values() -> None:
    newer = reading(NOON, current_power_w=1000.0, today_energy_kwh=20.0, total_energy_kwh=5010.0)
    late = reading(NOON - HOUR, current_power_w=4000.0, today_energy_kwh=21.0, total_energy_kwh=5009.0)
    found = after([], newer, late)[TODAY]
    assert (found.today_energy_kwh, found.peak_power_w) == (21.0, 4000.0)
    assert (found.current_power_w, found.total_energy_kwh, found.source_sampled_at) == (1000.0, 5010.0, NOON)


def test_the_counter_of_a_replaced_inverter_is_shown_once_it_is_believed() -> None:
    assert after([], reading(), reading(NOON + HOUR, total_energy_kwh=12.0))[TODAY].total_energy_kwh == 12.0


def test_a_missing_counter_keeps_the_last_one() -> None:
    assert after([], reading(), reading(NOON + HOUR, total_energy_kwh=None))[TODAY].total_energy_kwh == 5000.0


@pytest.mark.parametrize(
    ("energies", "stands"),
    [
        ([5.0, 10.0, 20.0], 20.0),
        ([20.0, 10.0], 20.0),
        # An early reset, before midnight.
        ([20.0, 0.0, 0.1], 20.0),
        # A late reset: repeats yesterday's 30, then begins.
        ([30.0, 30.0, 0.0, 4.0], 4.0),
        ([30.0, 0.5, 0.2], 0.5),
        # Never reset, then more than yesterday: today's.
        ([30.0, 31.0, 3.0], 31.0),
        # Risen to exactly yesterday's 30: today's own.
        ([10.0, 20.0, 30.0, 0.0], 30.0),
        ([10.0, 5.0, 30.0, 0.0], 30.0),
        # Reset late, then risen to exactly yesterday's.
        ([30.0, 0.0, 30.0, 4.0], 30.0),
    ],
)
@pytest.mark.rule("D4.8")
def test_the_energy_of_a_day_only_rises_unless_it_repeats_yesterday(energies: list[float], stands: float) -> None:
    samples = [reading(MIDNIGHT + number * HOUR, today_energy_kwh=value) for number, value in enumerate(energies, 1)]
    assert energy(TODAY, [row(YESTERDAY, 30.0)], *samples) == stands


@pytest.mark.rule("D4.9")
def test_without_yesterday_nothing_lowers_a_day() -> None:
    samples = [reading(MIDNIGHT + number * HOUR, today_energy_kwh=value) for number, value in enumerate((30.0, 0.0), 1)]
    assert energy(TODAY, [row(YESTERDAY - DAY, 30.0)], *samples) == 30.0


def test_yesterday_raised_since_is_still_what_was_repeated() -> None:
    """The daily job raises the last reading, 30.0, to the series' 30.4; the vendor repeats the one or the other until it resets."""
    known = after([], reading(NOON - DAY, today_energy_kwh=30.0))
    repeated = after(known.values(), reading(MIDNIGHT, today_energy_kwh=30.0))
    raised = {**repeated, YESTERDAY: series(repeated.values(), d1=30.4)[YESTERDAY]}
    assert raised[YESTERDAY].today_energy_kwh == 30.4
    assert energy(TODAY, raised.values(), reading(MIDNIGHT + HOUR, today_energy_kwh=0.1)) == 0.1
    before = {**known, YESTERDAY: series(known.values(), d1=30.4)[YESTERDAY]}
    for values in ([30.0, 0.1], [30.4, 0.1], [30.4, 30.0, 0.1]):
        samples = [reading(MIDNIGHT + number * HOUR, today_energy_kwh=value) for number, value in enumerate(values)]
        assert energy(TODAY, before.values(), *samples) == 0.1


def test_what_the_series_raises_is_no_repetition_any_more() -> None:
    rows = after([row(YESTERDAY, 30.0)], reading(MIDNIGHT, today_energy_kwh=29.0))
    raised = {**rows, TODAY: series(rows.values(), d0=30.0)[TODAY]}
    assert energy(TODAY, [row(YESTERDAY, 30.0), *raised.values()], reading(MIDNIGHT + HOUR, today_energy_kwh=1.0)) == 30.0


def test_the_day_before_is_the_one_that_exists() -> None:
    apia = ZoneInfo("Pacific/Apia")
    now = datetime(2011, 12, 31, 8, 0, tzinfo=apia)
    eve = row(date(2011, 12, 29), 30.0, timezone="Pacific/Apia")
    first = merge_sample([eve], reading(now, today_energy_kwh=30.0), apia, now)
    assert first is not None
    second = merge_sample([eve, first], reading(now + HOUR, today_energy_kwh=1.0), apia, now + HOUR)
    assert second is not None
    assert (second.date, second.today_energy_kwh) == (date(2011, 12, 31), 1.0)


def test_a_day_that_the_zone_skipped_makes_no_row() -> None:
    apia = ZoneInfo("Pacific/Apia")
    days = {date(2011, 12, day): float(day) for day in range(28, 32)}
    made = merge_series([], days, date(2011, 12, 31), apia)
    assert [row.date.day for row in made] == [28, 29, 31]


def test_a_late_reset_does_not_touch_yesterday() -> None:
    samples = [reading(MIDNIGHT + number * HOUR, today_energy_kwh=value) for number, value in enumerate((30.0, 0.0), 1)]
    assert energy(YESTERDAY, [row(YESTERDAY, 30.0)], *samples) == 30.0


def test_a_backfilled_day_that_equals_the_one_before_is_no_repetition() -> None:
    rows = [row(YESTERDAY, 30.0), row(TODAY, 30.0, backfilled=True)]
    assert energy(TODAY, rows, reading(today_energy_kwh=3.0)) == 30.0


@pytest.mark.rule("D4.13")
def test_a_row_keeps_its_timezone_when_the_plant_changes_its_own() -> None:
    assert after([row(TODAY, 1.0, timezone="America/Sao_Paulo")], reading(today_energy_kwh=9.0))[TODAY].timezone == "America/Sao_Paulo"


def test_a_sample_that_says_nothing_new_changes_no_row() -> None:
    assert merge_sample(after([], reading()).values(), reading(), UTC_ZONE, NOON) is None


SAMPLES = st.lists(
    st.builds(
        lambda minutes, value, power: reading(NOON + timedelta(minutes=minutes), today_energy_kwh=value, current_power_w=power),
        st.integers(-4 * 1440, 0),
        st.none() | st.floats(0, 50),
        st.none() | st.floats(0, 5000),
    ),
    max_size=30,
)


@given(SAMPLES)
def test_peak_and_energy_of_a_day_never_fall_unless_it_repeated_the_day_before(samples: list[Reading]) -> None:
    days: dict[date, Snapshot] = {}
    for sample in samples:
        changed = merge_sample(days.values(), sample, UTC_ZONE, NOON)
        if changed is None:
            continue
        before, eve = days.get(changed.date), days.get(changed.date - DAY)
        if before is not None:
            assert (changed.peak_power_w or 0) >= (before.peak_power_w or 0)
            repeated = eve is not None and eve.today_energy_kwh == before.today_energy_kwh
            assert changed.today_energy_kwh >= before.today_energy_kwh or repeated
        days[changed.date] = changed


@given(SAMPLES)
def test_samples_without_a_repetition_make_the_same_days_in_any_order(samples: list[Reading]) -> None:
    # Energies of their own for each day, so that none repeats the day before.
    own = [
        msgspec.structs.replace(
            sample, today_energy_kwh=None if sample.today_energy_kwh is None else sample.today_energy_kwh + 100 * at.day
        )
        for sample in samples
        if (at := sample.sampled_at) is not None
    ]
    own = [sample for sample in own if sample.today_energy_kwh is not None]
    forth, back = after([], *own), after([], *reversed(own))
    assert {day: (known.today_energy_kwh, known.peak_power_w) for day, known in forth.items()} == {
        day: (known.today_energy_kwh, known.peak_power_w) for day, known in back.items()
    }


def series(rows: Iterable[Snapshot], **energies: float) -> dict[date, Snapshot]:
    """`d3=1.5`: what the vendor says of three days before the closing day."""
    by_day = {TODAY - timedelta(days=int(name[1:])): value for name, value in energies.items()}
    return {changed.date: changed for changed in merge_series(rows, by_day, TODAY, UTC_ZONE)}


@pytest.mark.rule("D4.10")
def test_missing_days_are_backfilled_without_a_peak() -> None:
    assert series([], d0=5.0, d3=8.0) == {
        TODAY: Snapshot(date=TODAY, timezone="UTC", today_energy_kwh=5.0, backfilled=True),
        TODAY - 3 * DAY: Snapshot(date=TODAY - 3 * DAY, timezone="UTC", today_energy_kwh=8.0, backfilled=True),
    }


@pytest.mark.rule("D4.10")
def test_dates_outside_of_the_last_three_days_are_ignored() -> None:
    by_day = {TODAY + DAY: 1.0, TODAY - 4 * DAY: 2.0}
    assert merge_series([], by_day, TODAY, UTC_ZONE) == ()


@pytest.mark.rule("D4.11")
def test_a_zero_without_a_sample_is_no_data() -> None:
    assert series([], d0=0.0, d1=0.0) == {}


@pytest.mark.rule("D4.10")
def test_a_half_known_day_is_raised_and_stays_what_it_was() -> None:
    known = row(YESTERDAY, 10.0, peak_power_w=900.0, timezone="America/Sao_Paulo", last_seen_at=NOON - DAY, source_sampled_at=NOON - DAY)
    assert series([known], d1=14.0) == {YESTERDAY: msgspec.structs.replace(known, today_energy_kwh=14.0, energy_raised=True)}


@pytest.mark.parametrize("value", [10.0, 9.0, 0.0])
@pytest.mark.rule("D4.10")
def test_no_day_is_lowered_by_the_series(value: float) -> None:
    assert series([row(YESTERDAY, 10.0)], d1=value) == {}


def test_a_sample_of_a_backfilled_day_brings_its_peak() -> None:
    found = after([row(TODAY, 10.0, backfilled=True)], reading(today_energy_kwh=11.0))[TODAY]
    assert (found.today_energy_kwh, found.peak_power_w, found.backfilled) == (11.0, 3000.0, True)
