"""The instrument that measures the rules: its weather is the published model's, its labels are kept to, and it can tell a bad rule."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import pairwise
from math import radians, sin
from pathlib import Path
from random import Random
from statistics import NormalDist, correlation, mean

import msgspec
import pytest
from typer.testing import CliRunner

from controller.cli import EXIT_DATA, app
from controller.domain import generation, status
from controller.domain.outcome import Failed, Seen, SeenDays
from controller.domain.plant import StatusPolicy
from controller.domain.sun import Site, is_sun_up
from controller.tools.quality import PlantYear, Report, compare, judge_life, measure, run_quality, season, tables, targets
from controller.tools.quality_corpus import FIRST_DAY, PLACES, Ailment, Life, Place, lines, live
from controller.tools.quality_weather import Climate, Sky, clearness_at, daily_clearness

LONDON = next(place for place in PLACES if place.name == "London")
PERTH = next(place for place in PLACES if place.name == "Perth")
DAYS = 26
STEADY = Climate(0.5, 0.0, 1)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, Report, str]:
    """A month of London, through the command: whether its targets are met, its JSON, its tables."""
    out, file = StringIO(), tmp_path_factory.mktemp("quality") / "quality.json"
    is_met = run_quality((LONDON,), DAYS, seed=1, processes=1, save=file, out=out)
    return is_met, msgspec.json.decode(file.read_bytes(), type=Report), out.getvalue()


@pytest.fixture(scope="module")
def report(printed: tuple[bool, Report, str]) -> Report:
    return printed[1]


def year(report: Report, ailment: Ailment, policy: StatusPolicy = StatusPolicy.DAYLIGHT) -> PlantYear:
    [found] = [each for each in report.plant_years if (each.ailment, each.policy) == (ailment, policy)]
    return found


def lived(place: Place, ailment: Ailment, policy: StatusPolicy = StatusPolicy.DAYLIGHT) -> PlantYear:
    """A month of one plant, beside the healthy one of its place."""
    ill, well = live(place, ailment, DAYS, 1), live(place, Ailment.HEALTHY, DAYS, 1)
    return compare(ill, policy, judge_life(ill, lines(ill), policy), judge_life(well, lines(well), policy))


# Weather


@pytest.mark.parametrize("monthly", [0.3, 0.4, 0.5, 0.6, 0.72])
def test_days_have_the_mean_of_their_month_and_stay_in_their_bounds(monthly: float) -> None:
    days = [clearness_at((number + 0.5) / 1000, monthly) for number in range(1000)]
    assert mean(days) == pytest.approx(monthly, abs=0.001)
    assert days == sorted(days)
    assert days[0] >= 0.05
    assert days[-1] <= 0.6313 + 0.267 * monthly


def test_days_follow_each_other_as_published() -> None:
    dates = [date(2025, 1, 15)] * 20_000
    ranked = sorted(days := list(daily_clearness(STEADY, dates, Random(1))))
    rank = {clearness: number for number, clearness in enumerate(ranked)}
    gaussian = [NormalDist().inv_cdf((rank[clearness] + 0.5) / len(days)) for clearness in days]
    before, after = zip(*pairwise(gaussian), strict=True)
    assert correlation(before, after) == pytest.approx(0.29, abs=0.03)


def test_the_hours_of_a_day_bring_what_its_clearness_says() -> None:
    sky = Sky(45.0, 0.0, STEADY, date(2025, 6, 1), 30, "seed")
    start = datetime(2025, 6, 1, tzinfo=UTC)
    light = [sky.irradiance(start + timedelta(minutes=5 * number)) for number in range(12 * 24 * 30)]
    # 45 degrees in June, outside the air: some 11.6 kWh/m2 a day, of which half comes through on average.
    assert sum(light) / 12 / 1000 / 30 == pytest.approx(11.6 * 0.5, rel=0.2)
    assert min(light) == 0
    assert max(light) < 1200


def test_the_corpus_has_its_own_sun_and_it_stands_where_the_rule_sees_it() -> None:
    site, sky = Site(51.5, -0.1), live(LONDON, Ailment.HEALTHY, 1, 1).sky
    every = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=7 * number) for number in range(75_000)]
    differ = sum(is_sun_up(site, at) is not (sky.sin_elevation(at) > sin(radians(-0.833))) for at in every)
    assert differ / len(every) < 0.004


def test_one_seed_is_one_weather() -> None:
    def noon(seed: int) -> list[float]:
        sky = live(LONDON, Ailment.HEALTHY, 10, seed).sky
        return [sky.irradiance(datetime(2025, 1, day, 12, tzinfo=UTC)) for day in range(1, 10)]

    assert noon(1) == noon(1)
    assert noon(1) != noon(2)


# Corpus


def test_at_least_20_places_from_35_south_to_55_north() -> None:
    latitudes = [place.latitude for place in PLACES]
    assert len({place.name for place in PLACES}) >= 20
    assert min(latitudes) >= -35
    assert max(latitudes) <= 55
    assert max(latitudes) - min(latitudes) > 85


@pytest.mark.parametrize("ailment", list(Ailment))
def test_lines_come_in_time_order_with_one_daily_job_a_day(ailment: Ailment) -> None:
    brought = list(lines(live(LONDON, ailment, 30, 1)))
    assert all(first.at <= second.at for first, second in pairwise(brought))
    assert [line.day for line in brought if line.day] == [FIRST_DAY + timedelta(days=number) for number in range(30)]
    assert sum(line.day is None for line in brought) == 30 * 144


def test_a_plant_is_ill_as_its_label_says() -> None:
    for ailment in (Ailment.DEAD, Ailment.SILENT, Ailment.OUTAGE):
        life = live(PERTH, ailment, 30, 1)
        [episode] = life.episodes
        inside = [line.result for line in lines(life) if episode.begin + timedelta(minutes=10) <= line.at < episode.end and not line.day]
        assert inside
        match ailment:
            case Ailment.DEAD:
                assert {result.reading.current_power_w for result in inside if isinstance(result, Seen)} == {0}
            case Ailment.SILENT:
                assert len({result.reading.last_seen_at for result in inside if isinstance(result, Seen)}) == 1
            case _:
                assert all(isinstance(result, Failed) for result in inside)


@pytest.mark.parametrize(("ailment", "share"), [(Ailment.HALF, 0.5), (Ailment.SOILING, 0.97)])
def test_an_ill_plant_makes_less_under_the_same_sky(ailment: Ailment, share: float) -> None:
    def energy(life: Life, begin: datetime, end: datetime) -> float:
        series = [line.result for line in lines(life) if line.day and begin <= line.at < end]
        return sum(max(result.energy_kwh.items())[1] for result in series if isinstance(result, SeenDays))

    ill, well = live(PERTH, ailment, 40, 1), live(PERTH, Ailment.HEALTHY, 40, 1)
    span = (ill.episodes[0].begin, ill.episodes[0].end)
    assert energy(ill, *span) / energy(well, *span) == pytest.approx(share, abs=0.02)


def test_a_logger_asleep_at_night_says_nothing_at_night() -> None:
    life = live(LONDON, Ailment.ASLEEP, 30, 1)
    heard = {line.result.reading.last_seen_at for line in lines(life) if isinstance(line.result, Seen)} - {None}
    assert 30 * 30 < len(heard) < 30 * 60
    assert all(at and 7 < at.hour + at.minute / 60 < 16.6 for at in heard)


# What is measured


def test_daylight_bears_a_sleeping_logger_and_strict_does_not(report: Report) -> None:
    assert year(report, Ailment.ASLEEP).false_stale == 0
    assert year(report, Ailment.HEALTHY, StatusPolicy.STRICT).false_stale == 0
    # In a place without dull days, every night: 2 h have passed long before sunrise.
    assert lived(PERTH, Ailment.ASLEEP, StatusPolicy.STRICT).false_stale == DAYS


def test_a_logger_that_sleeps_in_the_dark_is_told_apart(report: Report) -> None:
    """Dull winter mornings: the rule gives what it gives, and the report does not hide it."""
    assert year(report, Ailment.DARK).false_stale > 0


def test_the_targets_are_met(printed: tuple[bool, Report, str]) -> None:
    is_met, report, _ = printed
    assert [(target.text, target.found) for target in report.targets if not target.is_met] == []
    assert len(report.targets) == 4
    assert is_met


@pytest.mark.parametrize("policy", list(StatusPolicy))
def test_a_silent_logger_is_red_24_h_after_its_last_report(report: Report, policy: StatusPolicy) -> None:
    [silence] = year(report, Ailment.SILENT, policy).episodes
    assert silence.red_after_h == 24
    assert silence.left_green_after_h is not None
    assert silence.daylight_until_left_green_h is not None
    if policy is StatusPolicy.STRICT:
        assert silence.left_green_after_h == 2
    else:
        assert silence.daylight_until_left_green_h == pytest.approx(2, abs=2 / 60)


def test_a_dead_inverter_is_found_on_its_first_day() -> None:
    found = lived(PERTH, Ailment.DEAD)
    [dead] = found.episodes
    assert dead.low_on_first_day
    assert dead.low_after_h is not None
    # Not before a quarter of the light has come, and long before the day's end.
    assert 8 < dead.low_after_h < 16
    assert not dead.low_if_healthy
    assert sum(found.false_low.values()) == 0
    assert found.well_days == DAYS - 3


def test_what_the_weather_does_to_a_healthy_plant_counts_as_false(report: Report) -> None:
    winter = year(report, Ailment.HEALTHY)
    assert sum(winter.false_low.values()) == winter.false_low["winter"] > 0


def test_an_outage_of_the_vendor_is_no_false_alarm(report: Report) -> None:
    outage = year(report, Ailment.OUTAGE)
    assert outage.false_stale == 0
    assert outage.well_days < DAYS
    assert len(outage.episodes) == 1


@pytest.mark.parametrize(("month", "north", "south"), [(1, "winter", "summer"), (4, "spring", "autumn"), (7, "summer", "winter")])
def test_seasons_are_those_of_the_hemisphere(month: int, north: str, south: str) -> None:
    at = datetime(2025, month, 15, 12, tzinfo=UTC)
    assert (season(LONDON, at), season(PERTH, at)) == (north, south)


def test_a_rule_that_waits_too_little_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "STALE_AFTER", timedelta(minutes=30))
    assert missed(Ailment.ASLEEP) == ["no false change by last_seen_at in healthy plant-years"]


def test_a_rule_that_waits_too_long_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "STALE_AFTER", timedelta(hours=5))
    monkeypatch.setattr(status, "OFFLINE_AFTER", timedelta(hours=30))
    assert missed(Ailment.SILENT) == [
        "a silent plant leaves GREEN within 2 h of daylight",
        "a silent plant is RED 24 h after its last report",
    ]


def test_a_rule_that_sees_no_dead_inverter_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "LOW_BELOW", 0.0)
    assert missed(Ailment.DEAD) == ["a plant that makes nothing has LOW_GENERATION on its first day"]


def missed(ailment: Ailment) -> list[str]:
    """The targets that Perth's plant misses in a month."""
    life = live(PERTH, ailment, DAYS, 1)
    told = judge_life(life, lines(life), StatusPolicy.DAYLIGHT)
    return [target.text for target in targets([compare(life, StatusPolicy.DAYLIGHT, told, told)]) if not target.is_met]


# What is printed


def test_the_tables_say_that_all_is_simulated_and_count_per_year(printed: tuple[bool, Report, str]) -> None:
    _, report, text = printed
    assert text.startswith("Simulated: places 1, days 26, seed 1.")
    strict = year(report, Ailment.ASLEEP, StatusPolicy.STRICT).false_stale
    assert strict > DAYS / 2
    assert f"| logger asleep at night | Strict | 0.1 | {strict / (DAYS / 365):.1f} |" in text
    assert "| London | 51.5 |" in text
    assert text.count("\n- met: ") == 4


def test_the_json_holds_all_that_the_tables_say(printed: tuple[bool, Report, str]) -> None:
    _, report, text = printed
    assert "\n".join(tables(report)) + "\n" == text


def test_as_json_it_prints_what_it_would_save() -> None:
    out = StringIO()
    run_quality((LONDON,), 3, seed=1, processes=1, save=None, out=out, as_json=True)
    assert msgspec.json.decode(out.getvalue(), type=Report) == measure((LONDON,), 3, seed=1, processes=1)


def test_two_processes_find_what_one_finds() -> None:
    assert measure((LONDON,), 3, seed=1, processes=2) == measure((LONDON,), 3, seed=1, processes=1)


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["quality", "--save", str(tmp_path / "absent" / "quality.json")])
    assert result.exit_code == EXIT_DATA
    assert result.stderr.startswith("solarinvest: quality: ")
    assert result.stdout == ""


@pytest.mark.parametrize(("is_met", "code"), [(True, 0), (False, 1)])
def test_a_target_that_is_missed_is_exit_code_1(is_met: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.tools.quality.run_quality", lambda *_, **__: is_met)
    assert CliRunner().invoke(app, ["quality", "--places", "1"]).exit_code == code
