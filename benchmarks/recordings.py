"""Recordings whose samples move on while a subject polls: each pass finds a later sample, and writes each plant's day. Called by `bench`.

The product's own have a frame every five minutes or more, and two passes are seconds apart. So each answer that changes through the day
gets a frame every `STEP`, for as long as a subject may run: a copy of the frame that holds then, with its instants moved on.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.fleet import PLACES, SCENARIOS
from integrations.contract import Brand
from integrations.instants import MOVERS
from integrations.recording import File, Frame, places, pointer_of
from integrations.transport import default_fixtures

STEP = timedelta(seconds=10)
LASTS = timedelta(minutes=10)
"""More than a subject may take: to become ready, and for two passes with what prepares them (passes.py)."""


def write_recordings(folder: Path, now: datetime) -> None:
    """Writes what the fleet's plants (fleet.py) answer from `now` on, laid out as fixtures/. Afterwards the last frames stand."""
    times = _local_times(now)
    for brand in Brand:
        (folder / brand.slug).mkdir(parents=True, exist_ok=True)
        for scenario in set(SCENARIOS):
            name = f"{scenario}.json"
            file = msgspec.json.decode((default_fixtures() / brand.slug / name).read_bytes(), type=File)
            for key, frames in file.answers.items():
                # What never changes through the day holds no sample: devices, alarms.
                if len(frames) > 1:
                    file.answers[key] = _moving(frames, file.instants.get(key, {}), ZoneInfo(file.recorded.timezone), times)
            (folder / brand.slug / name).write_bytes(msgspec.json.encode(file))


def step_of(instant: datetime) -> datetime:
    """When the step began in which an instant lies: the time of all samples that are taken then."""
    return instant - (instant - datetime.min.replace(tzinfo=UTC)) % STEP


def _local_times(now: datetime) -> list[time]:
    """The steps in each zone of the fleet, in order. A zone is off UTC by whole minutes, so its steps begin when those of UTC do."""
    steps = [step_of(now) + number * STEP for number in range(LASTS // STEP + 1)]
    return sorted({step.astimezone(ZoneInfo(name)).time() for name, _, _ in PLACES for step in steps})


def _moving(frames: Iterable[Frame], instants: dict[str, str], zone: ZoneInfo, times: Iterable[time]) -> list[Frame]:
    """A frame for each of the times: of the newest that is not later, which before the first of a day is the last of the day before."""
    frames = sorted(frames, key=_begins)
    return [_moved(frames[bisect_right(frames, at, key=_begins) - 1], at, instants, zone) for at in times]


def _moved(frame: Frame, at: time, instants: dict[str, str], zone: ZoneInfo) -> Frame:
    later = _since_midnight(at) - _since_midnight(frame.at)
    body = msgspec.json.decode(frame.body)
    for place, layout in instants.items():
        for holder, key in places(body, pointer_of(place)):
            holder[key] = MOVERS[layout](holder[key], lambda recorded: recorded + later, zone, zone)
    return Frame(at=at, status=frame.status, body=msgspec.Raw(msgspec.json.encode(body)))


def _begins(frame: Frame) -> time:
    return frame.at


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
