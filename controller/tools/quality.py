"""`solarinvest quality`: how often the rules of DOMAIN 5 and 6 cry wolf, and how soon they find what is wrong (docs/quality.md).

A labelled corpus of simulated plants (`quality_corpus`) goes through the drive of `solarinvest replay`, under each statusPolicy; what
comes out is held against the labels. Called by `controller.cli`.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TextIO

import msgspec
from astral import Observer
from astral.sun import elevation

from controller.domain.plant import AlertType, Reason, Status, StatusPolicy
from controller.domain.schedule import day_bounds, local_date
from controller.tools.quality_corpus import PLACES, POLL_AFTER, STEP, Ailment, Life, Place, lines, live
from controller.tools.replay import AlertEvent, Drive, Event, StatusEvent
from controller.tools.replay_input import Line

SEASONS = ("winter", "spring", "summer", "autumn")
STALENESS = frozenset({Reason.STALE, Reason.OFFLINE, Reason.NEVER_SEEN})
"""The reasons that `last_seen_at` alone brings."""
BY_ENERGY = (Ailment.DEAD, Ailment.HALF, Ailment.SOILING)
BY_SILENCE = (Ailment.SILENT, Ailment.OUTAGE)
SUN_UP_DEG = -0.833
DAYLIGHT_TOLERANCE_H = 2 / 60
"""Daylight is counted by the minute, with up to four sunrises and sunsets among them."""
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class EpisodeFound(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of one episode. Delays count from its begin, for a silent logger from its last report. Hours; None: never within it."""

    begin: datetime
    end: datetime
    low_after_h: float | None
    """Until LOW_GENERATION is open; 0 if it was already."""
    low_on_first_day: bool
    low_if_healthy: bool
    """Whether the healthy plant under the same sky had LOW_GENERATION within the episode, too: then it was the weather."""
    left_green_after_h: float | None
    daylight_until_left_green_h: float | None
    red_after_h: float | None


class PlantYear(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of one plant in one simulated year."""

    place: str
    ailment: Ailment
    policy: StatusPolicy
    well_days: float
    """Days outside its episodes."""
    false_stale: int
    """Changes to YELLOW or RED for want of a report, outside episodes."""
    false_low: dict[str, int]
    """LOW_GENERATION alerts opened outside episodes, by the season of the place."""
    episodes: tuple[EpisodeFound, ...]


class Target(msgspec.Struct, frozen=True):
    """What Daylight shall keep to, and whether it did."""

    text: str
    found: str
    is_met: bool


class Report(msgspec.Struct, frozen=True):
    seed: int
    days: int
    places: int
    plant_years: tuple[PlantYear, ...]
    targets: tuple[Target, ...]


def measure(places: Sequence[Place], days: int, seed: int, processes: int) -> Report:
    """Judges the corpus of these places. The same for a seed, whatever the number of processes."""
    task = partial(_place, days=days, seed=seed)
    if processes == 1:
        found = list(map(task, places))
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(task, places))
    years = tuple(chain.from_iterable(found))
    return Report(seed, days, len(places), years, targets(years))


def run_quality(
    places: Sequence[Place], days: int, seed: int, processes: int, save: Path | None, out: TextIO, as_json: bool = False
) -> bool:
    """The command: tables, or everything as one JSON object, to `out`; everything to the file `save`. Whether every target is met.

    Raises OSError.
    """
    # Opened first: nobody wants to hear after ten minutes that there is no such folder.
    with nullcontext() if save is None else save.open("wb") as file:
        report = measure(places, days, seed, processes)
        if file is not None:
            file.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    out.writelines(f"{line}\n" for line in ([msgspec.json.encode(report).decode()] if as_json else tables(report)))
    return all(target.is_met for target in report.targets)


def judge_life(life: Life, brought: Iterable[Line], policy: StatusPolicy) -> list[Event]:
    """The life under a policy, told by the drive of replay."""
    plant = life.plant(policy)
    drive, told = Drive(plant.declaration, life.begin, explain=False, observe=None), list[Event]()
    for line in brought:
        told += drive.advance(line.at)
        told += drive.play(line)
    told += drive.advance(life.end)
    told += drive.finish(life.end)
    return told


def compare(life: Life, policy: StatusPolicy, told: list[Event], healthy: list[Event]) -> PlantYear:
    """What was told, held against the label. `healthy`: what was told of the healthy plant of the place."""
    statuses = [event for event in told if isinstance(event, StatusEvent)]
    low = _low_spans(told, life.end)
    ill = sum(((episode.end - episode.begin) / _DAY for episode in life.episodes), 0.0)
    false_low = dict.fromkeys(SEASONS, 0)
    for begin, _ in low:
        if not life.is_ill(begin):
            false_low[season(life.place, begin)] += 1
    return PlantYear(
        place=life.place.name,
        ailment=life.ailment,
        policy=policy,
        well_days=life.days - ill,
        false_stale=sum(_is_stale(event) and not _is_excused(life, event.at) for event in statuses),
        false_low=false_low,
        episodes=tuple(_episodes(life, statuses, low, _low_spans(healthy, life.end))),
    )


def season(place: Place, at: datetime) -> str:
    """The meteorological season of the place's hemisphere."""
    month = local_date(at, place.zone).month + (0 if place.latitude >= 0 else 6)
    return SEASONS[month % 12 // 3]


def targets(years: Sequence[PlantYear]) -> tuple[Target, ...]:
    """What issue 5 asks of Daylight."""
    daylight = [year for year in years if year.policy is StatusPolicy.DAYLIGHT]
    well = [year for year in daylight if year.ailment in (Ailment.HEALTHY, Ailment.ASLEEP)]
    stale = sum(year.false_stale for year in well)
    silent = _episodes_of(daylight, Ailment.SILENT)
    in_time = sum(
        each.daylight_until_left_green_h is not None and each.daylight_until_left_green_h <= 2 + DAYLIGHT_TOLERANCE_H for each in silent
    )
    red = sum(each.red_after_h == 24 for each in silent)
    dead = _episodes_of(daylight, Ailment.DEAD)
    found = sum(each.low_on_first_day for each in dead)
    plant_years = sum(year.well_days for year in well) / 365
    return (
        Target("no false change by last_seen_at in healthy plant-years", f"{stale} in {plant_years:.1f} plant-years", stale == 0),
        Target("a silent plant leaves GREEN within 2 h of daylight", f"{in_time} of {len(silent)}", in_time == len(silent)),
        Target("a silent plant is RED 24 h after its last report", f"{red} of {len(silent)}", red == len(silent)),
        Target("a plant that makes nothing has LOW_GENERATION on its first day", f"{found} of {len(dead)}", found == len(dead)),
    )


def tables(report: Report) -> Iterator[str]:
    """The report for people, in Markdown."""
    yield f"Simulated: places {report.places}, days {report.days}, seed {report.seed}."
    yield from ("", "## False alarms per plant-year", "")
    yield "| plant | policy | plant-years | changes by last_seen_at | LOW_GENERATION |"
    yield "|---|---|---|---|---|"
    for ailment, policy, years in _groups(report):
        length = sum(year.well_days for year in years) / 365
        low = sum(sum(year.false_low.values()) for year in years)
        yield f"| {ailment} | {policy} | {length:.1f} | {_rate(sum(year.false_stale for year in years), length)} | {_rate(low, length)} |"
    yield from ("", "## Detection", "")
    yield "| plant | policy | seen as | episodes | found | of these in the healthy plant, too | delay: median | longest |"
    yield "|---|---|---|---|---|---|---|---|"
    for ailment, policy, years in _groups(report):
        found = [episode for year in years for episode in year.episodes]
        if ailment in BY_ENERGY:
            yield _detection(ailment, policy, "LOW_GENERATION", found, [each.low_after_h for each in found])
        if ailment in BY_SILENCE:
            yield _detection(ailment, policy, "not GREEN", found, [each.left_green_after_h for each in found])
            yield _detection(ailment, policy, "RED", found, [each.red_after_h for each in found])
    yield from ("", "## False LOW_GENERATION of healthy plants, by place and season", "")
    yield f"| place | latitude | {' | '.join(SEASONS)} |"
    yield "|---|---|---|---|---|---|"
    latitudes = {place.name: place.latitude for place in PLACES}
    for year in report.plant_years:
        if year.ailment is Ailment.HEALTHY and year.policy is StatusPolicy.DAYLIGHT:
            yield f"| {year.place} | {latitudes[year.place]:g} | {' | '.join(str(year.false_low[each]) for each in SEASONS)} |"
    yield from ("", "## Targets of statusPolicy Daylight", "")
    for target in report.targets:
        yield f"- {'met' if target.is_met else 'NOT MET'}: {target.text}: {target.found}"


def _place(place: Place, days: int, seed: int) -> list[PlantYear]:
    found: list[PlantYear] = []
    healthy: dict[StatusPolicy, list[Event]] = {}
    for ailment in Ailment:
        life = live(place, ailment, days, seed)
        brought = list(lines(life))
        for policy in StatusPolicy:
            told = judge_life(life, brought, policy)
            found.append(compare(life, policy, told, healthy.setdefault(policy, told)))
    return found


def _episodes(
    life: Life, statuses: list[StatusEvent], low: list[tuple[datetime, datetime]], healthy: list[tuple[datetime, datetime]]
) -> Iterator[EpisodeFound]:
    for begin, end in ((episode.begin, episode.end) for episode in life.episodes):
        since = begin - STEP if life.ailment is Ailment.SILENT else begin
        opened = _first(low, begin, end)
        left_green = _first(_spans(statuses, {Status.YELLOW, Status.RED}, life.end), begin, end)
        red = _first(_spans(statuses, {Status.RED}, life.end), begin, end)
        yield EpisodeFound(
            begin=begin,
            end=end,
            low_after_h=_hours(since, opened),
            low_on_first_day=opened is not None and opened < day_bounds(local_date(begin, life.place.zone), life.place.zone)[1],
            low_if_healthy=_first(healthy, begin, end) is not None,
            left_green_after_h=_hours(since, left_green),
            daylight_until_left_green_h=None if left_green is None else _daylight_h(life.place, since, left_green),
            red_after_h=_hours(since, red),
        )


def _low_spans(told: list[Event], until: datetime) -> list[tuple[datetime, datetime]]:
    """From when to when LOW_GENERATION was open."""
    spans: list[tuple[datetime, datetime]] = []
    opened: datetime | None = None
    for event in told:
        if not isinstance(event, AlertEvent) or event.type is not AlertType.LOW_GENERATION:
            continue
        if event.action == "opened":
            opened = event.at
        elif opened is not None:
            spans.append((opened, event.at))
            opened = None
    return spans if opened is None else [*spans, (opened, until)]


def _spans(statuses: list[StatusEvent], wanted: set[Status], until: datetime) -> list[tuple[datetime, datetime]]:
    ends = [*(event.at for event in statuses[1:]), until]
    return [(event.at, end) for event, end in zip(statuses, ends, strict=True) if event.to in wanted]


def _first(spans: list[tuple[datetime, datetime]], begin: datetime, end: datetime) -> datetime | None:
    """The first instant from `begin` to before `end` within any of the spans."""
    return min((max(start, begin) for start, stop in spans if start < end and stop > begin), default=None)


def _is_stale(event: StatusEvent) -> bool:
    return event.to in (Status.YELLOW, Status.RED) and event.reason in STALENESS


def _is_excused(life: Life, at: datetime) -> bool:
    """Whether nothing could be heard just then, up to the first poll after it."""
    return life.ailment in BY_SILENCE and (life.is_ill(at) or life.is_ill(at - STEP - POLL_AFTER))


def _daylight_h(place: Place, begin: datetime, end: datetime) -> float:
    """With the sun above -0.833 degrees (DOMAIN 5), by astral's elevation of each minute."""
    observer = Observer(place.latitude, place.longitude)
    minutes = range(round((end - begin) / timedelta(minutes=1)))
    return sum(elevation(observer, begin + timedelta(minutes=minute + 0.5), with_refraction=False) > SUN_UP_DEG for minute in minutes) / 60


def _hours(since: datetime, at: datetime | None) -> float | None:
    return None if at is None else (at - since) / _HOUR


def _episodes_of(years: Iterable[PlantYear], ailment: Ailment) -> list[EpisodeFound]:
    return [episode for year in years if year.ailment is ailment for episode in year.episodes]


def _groups(report: Report) -> Iterator[tuple[Ailment, StatusPolicy, list[PlantYear]]]:
    for ailment in Ailment:
        for policy in StatusPolicy:
            yield ailment, policy, [year for year in report.plant_years if (year.ailment, year.policy) == (ailment, policy)]


def _rate(count: int, plant_years: float) -> str:
    return f"{count / plant_years:.1f}" if plant_years > 0 else "-"


def _detection(ailment: Ailment, policy: StatusPolicy, seen_as: str, episodes: list[EpisodeFound], delays: list[float | None]) -> str:
    found = sorted(delay for delay in delays if delay is not None)
    anyway = sum(each.low_if_healthy for each, delay in zip(episodes, delays, strict=True) if delay is not None)
    times = (f"{median(found):.1f} h", f"{found[-1]:.1f} h") if found else ("-", "-")
    twin = str(anyway) if ailment in BY_ENERGY else "-"
    return f"| {ailment} | {policy} | {seen_as} | {len(episodes)} | {len(found)} | {twin} | {times[0]} | {times[1]} |"
