"""What befalls a plant, for every brand alike: from which local time on the vendor knows what. The brands' modules tell it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import time, timedelta
from typing import Any

from hack.recordings.plants import DAY, STEP, ZONE, Json, Sample, Site, local, sample_at, samples

HALF_HOUR = timedelta(minutes=30)
HOUR = timedelta(hours=1)
MIDNIGHT = time(0)


@dataclass(frozen=True)
class Moment:
    """From a local time on, the vendor's newest report of the plant is this one."""

    at: time
    sample: Sample
    online: bool = True


@dataclass(frozen=True)
class Week:
    """From a local time on, the vendor's daily series has these days, each with how it stood at its end (or stands now)."""

    at: time
    days: Sequence[tuple[int, Sample]]
    """Days relative to the recorded one, oldest first."""
    nulls: Sequence[int] = ()
    """Days that are in the series without a value."""


@dataclass(frozen=True)
class Story:
    """A scenario before a vendor has told it."""

    name: str
    moments: Sequence[Moment]
    weeks: Sequence[Week]
    final: Sample
    """How a day of this story ends: what counters rise by from day to day."""
    fault: bool = False
    """Whether an alarm is active."""


def healthy(site: Site) -> Story:
    readings = samples(site)
    return Story("healthy", _day(readings), _weeks(readings, readings[-1], HALF_HOUR), readings[-1])


def night(site: Site) -> Story:
    """Whatever the clock says, the sun is down after a full day: power 0, and the plant reports."""
    readings = samples(site)
    final = readings[-1]
    dark = [Moment(at, replace(final, at=local(at))) for at in _times(HALF_HOUR)]
    return Story("night", dark, [Week(MIDNIGHT, _earlier(final, 0))], final)


def asleep(site: Site) -> Story:
    """A healthy plant whose logger is off while the sun is down: from sunset to sunrise the last report stands."""
    readings = samples(site)
    lit = [reading for reading in readings if reading.power_w > 0]
    awake = [readings[readings.index(lit[0]) - 1], *lit, readings[readings.index(lit[-1]) + 1]]
    moments = [Moment(reading.at.time(), reading) for reading in awake[:-1:6]] + [Moment(awake[-1].at.time(), awake[-1])]
    return Story("asleep", moments, _weeks(readings, readings[-1]), readings[-1])


def stale(site: Site) -> Story:
    """At any time the last report is six to seven hours old."""
    readings, late = samples(site), timedelta(hours=6)
    moments = []
    for at in _times(HOUR):
        reported = local(at) - late
        moments.append(Moment(at, sample_at(readings, reported.time(), (DAY - reported.date()).days), online=False))
    weeks = []
    for moment in moments:
        today = replace(readings[0], at=local(moment.at)) if moment.sample.days_ago else moment.sample
        weeks.append(Week(moment.at, [*_earlier(readings[-1]), (0, today)]))
    return Story("stale", moments, weeks, readings[-1])


def offline(site: Site) -> Story:
    """The last report is from 17:40 on the day before yesterday; the series ends there."""
    readings = samples(site)
    last = sample_at(readings, time(17, 40), days_ago=2)
    series = [*_earlier(readings[-1], -3), (-2, last)]
    return Story("offline", [Moment(MIDNIGHT, last, online=False)], [Week(MIDNIGHT, series)], readings[-1])


def low_generation(site: Site) -> Story:
    """Today brings about 15 % of what the days of the series brought."""
    readings = samples(replace(site, peak_share=0.15 * site.peak_share))
    usual = samples(site)[-1]
    return Story("low-generation", _day(readings, HALF_HOUR), _weeks(readings, usual), readings[-1])


def fault(site: Site) -> Story:
    """A plant that produces and reports while the worst alarm of its brand has been active since yesterday."""
    readings = samples(site)
    return Story("fault", _day(readings, HALF_HOUR), _weeks(readings, readings[-1]), readings[-1], fault=True)


def gap(site: Site) -> Story:
    """A healthy plant whose daily series lacks the day before yesterday and has no value for yesterday."""
    readings = samples(site)
    weeks = [
        Week(week.at, [(days, of) for days, of in week.days if days not in (-2, -1)], nulls=[-1]) for week in _weeks(readings, readings[-1])
    ]
    return Story("gap", _day(readings, HALF_HOUR), weeks, readings[-1])


def late_reset(site: Site) -> Story:
    """Until 04:30 the vendor still shows yesterday's energy as today's."""
    readings = samples(site)
    final = readings[-1]
    moments = [
        Moment(moment.at, replace(moment.sample, shown_kwh=final.energy_kwh) if moment.at < time(4, 30) else moment.sample)
        for moment in _day(readings, HALF_HOUR)
    ]
    return Story("late-reset", moments, _weeks(readings, final), final)


def ordinary(site: Site, name: str) -> Story:
    """A healthy day in steps of half an hour, for a brand's oddities of writing."""
    readings = samples(site)
    return Story(name, _day(readings, HALF_HOUR), _weeks(readings, readings[-1]), readings[-1])


STORIES: Sequence[Callable[[Site], Story]] = (healthy, night, asleep, stale, offline, low_generation, fault, gap)
"""Those that every brand tells."""


def rows(week: Week) -> list[tuple[int, Sample | None]]:
    """The days of a series in order; None for one without a value."""
    known: list[tuple[int, Sample | None]] = [*week.days, *((days, None) for days in week.nulls)]
    return sorted(known, key=lambda row: row[0])


def lifetime(site: Site, sample: Sample, day_kwh: float, today_kwh: float) -> float:
    """The lifetime counter of a sample, from the energies of a day and of its own so far as the vendor rounds them. kWh."""
    return site.lifetime_kwh - sample.days_ago * day_kwh + today_kwh


def header(site: Site, scenario: str) -> Json:
    return {
        "brand": site.brand,
        "scenario": scenario,
        "recorded": {"timezone": ZONE.key, "first_day": DAY.isoformat(), "days": 1, "vendor_plant_id": site.plant_id},
    }


def frame(at: time, body: Any) -> Json:
    return {"at": f"{at:%H:%M:%S}", "body": body}


def always(body: Any) -> list[Json]:
    return [frame(MIDNIGHT, body)]


def refusing(site: Site, scenario: str, paths: Iterable[str], answer: Json) -> Json:
    """A recording in which every path has one answer all day: a `body`, a `text` or what it `fails` with."""
    return {**header(site, scenario), "answers": {path: [{"at": f"{MIDNIGHT}", **answer}] for path in paths}}


def malformed(site: Site, paths: Iterable[str], misshapen: Json) -> Json:
    """A recording of no answers at all: cut off, then a web page, then JSON of another shape."""
    frames = [
        {"at": "00:00:00", "text": '{"success":true,"code":"0","data":{"id":"12984919'},
        {"at": "08:00:00", "text": "<html><head><title>Maintenance</title></head><body>We will be back soon.</body></html>"},
        {"at": "16:00:00", "body": misshapen},
    ]
    return {**header(site, "malformed"), "answers": dict.fromkeys(paths, frames)}


def _times(step: timedelta) -> list[time]:
    return [(local(MIDNIGHT) + number * step).time() for number in range(int(timedelta(days=1) / step))]


def _day(readings: Sequence[Sample], step: timedelta = STEP) -> list[Moment]:
    return [Moment(reading.at.time(), reading) for reading in readings[:: int(step / STEP)]]


def _weeks(readings: Sequence[Sample], usual: Sample, step: timedelta = HOUR) -> list[Week]:
    return [Week(reading.at.time(), [*_earlier(usual), (0, reading)]) for reading in readings[:: int(step / STEP)]]


def _earlier(usual: Sample, last: int = -1) -> list[tuple[int, Sample]]:
    return [(days, usual) for days in range(-6, last + 1)]
