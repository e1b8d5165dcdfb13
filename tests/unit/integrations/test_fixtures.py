"""The committed recordings: made by the committed code, small, and with no pointer that leads nowhere."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hack import make_fixtures
from integrations.contract import Brand
from integrations.recording import File, Frame, Move, Timeline, places, pointer_of

FIXTURES = Path(make_fixtures.__file__).parent.parent / "fixtures"
RECORDINGS = sorted(FIXTURES.glob("*/*.json"))

each_recording = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def test_the_committed_recordings_are_what_the_code_makes(tmp_path: Path) -> None:
    make_fixtures.main(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("*/*.json")}

    assert made.keys() == {path.relative_to(FIXTURES) for path in RECORDINGS}
    assert [name for name, content in made.items() if (FIXTURES / name).read_bytes() != content] == []


@each_recording
def test_a_recording_lies_where_its_header_says_and_is_not_huge(path: Path) -> None:
    file = msgspec.json.decode(path.read_bytes(), type=File)

    assert (file.brand, file.scenario) == (Brand(path.parent.name.upper()), path.stem)
    assert path.stat().st_size < 700 * 1024


def test_all_recordings_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in RECORDINGS) < 6 * 1024 * 1024


@each_recording
def test_every_pointer_leads_to_a_value_that_moves(path: Path) -> None:
    file = msgspec.json.decode(path.read_bytes(), type=File)
    for section in (file.instants, file.local_dates, file.counters):
        for key, pointers in section.items():
            timeline = Timeline(key, file.answers[key], file)
            for pointer in pointers:
                assert any(_moves(timeline, index, pointer, file) for index in range(len(timeline.frames))), (key, pointer)


def _moves(timeline: Timeline, index: int, pointer: str, file: File) -> bool:
    zone = ZoneInfo(file.recorded.timezone)
    move = Move(days=100, recorded_zone=zone, zone=zone, until=datetime.combine(date(2099, 1, 1), time(), UTC))
    recorded, moved = (_values(body, pointer) for body in (_body(timeline.frames[index]), timeline.moved(index, move)))
    return any(before != after for before, after in zip(recorded, moved, strict=True))


def _body(frame: Frame) -> bytes:
    return bytes(frame.body)


def _values(body: bytes, pointer: str) -> list[Any]:
    return [holder[place] for holder, place in places(msgspec.json.decode(body), pointer_of(pointer))]
