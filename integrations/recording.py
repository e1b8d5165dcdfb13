"""A recording: what one vendor's cloud answered through a local day or several, moved to the clock. Called by `transport.py`.

fixtures/README.md describes the file format for people who make recordings.
"""

import bisect
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from integrations.contract import Brand, PlantRef, VendorRequest, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.instants import DATE_LAYOUTS, MOVERS, Mover, move_date, utc_of_wall

CACHED_ANSWERS = 4096
"""Moved answers kept, of about 2 KB each. A fleet asks for the current frame of few files and zones, so few are ever live."""


_NO_SUCH_PATH = VendorResponse(status=404, body=b'{"error":"no such path in this recording"}')


class Recorded(msgspec.Struct, forbid_unknown_fields=True):
    """When, where and of which plant the answers were recorded."""

    timezone: str
    first_day: date
    vendor_plant_id: str
    days: int = 1
    """A recording of several days repeats: every local day plays the recorded day of the same number, modulo this."""


class Counter(msgspec.Struct, forbid_unknown_fields=True):
    """An ever-rising counter: raised by `per_day` for every day the recording moves, so that it never falls from day to day."""

    per_day: float
    decimals: int = 3


class Frame(msgspec.Struct, forbid_unknown_fields=True):
    """What the vendor answers from a local time on."""

    at: time
    day: int = 0
    status: int = 200
    body: msgspec.Raw = msgspec.Raw()
    """JSON, moved to today."""
    text: str | None = None
    """Instead of a body: bytes as they are (an answer that is no JSON)."""
    fails: AdapterErrorType | None = None
    """Instead of an answer: the error of an exchange that got none."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A recording as stored. Keys of the mappings are paths, with conditions on top-level fields of the request's body if need be:
    `/station/history?granularity=2`. Inner keys are JSON pointers in which `*` stands for every element of an array."""

    brand: Brand
    scenario: str
    recorded: Recorded
    answers: dict[str, list[Frame]]
    instants: dict[str, dict[str, str]] = {}
    local_dates: dict[str, dict[str, str]] = {}
    counters: dict[str, dict[str, Counter]] = {}


class Selector(msgspec.Struct, frozen=True):
    """A key of `answers`, taken apart."""

    timeline: "Timeline"
    conditions: tuple[tuple[str, str], ...]

    def accepts(self, body: Mapping[str, Any]) -> bool:
        return all(field in body and str(body[field]) == value for field, value in self.conditions)


class Move(NamedTuple):
    """From the recorded day to the day of the clock."""

    days: int
    recorded_zone: ZoneInfo
    zone: ZoneInfo
    until: datetime
    """The frame's own instant today. A wall time that comes twice means the second one, if that is not later than this."""

    def instant(self, recorded: datetime) -> datetime:
        """A recorded instant, to the same local wall time as many days later as the recording moves. UTC."""
        wall = recorded.astimezone(self.recorded_zone).replace(tzinfo=None)
        return utc_of_wall(wall + timedelta(days=self.days), self.zone, self.until)


_DECODER = msgspec.json.Decoder(File)
_ENCODER = msgspec.json.Encoder()
Pointer = tuple[str, ...]


class Recording:
    """One file, ready to answer. Raises ValueError when it is none."""

    def __init__(self, stored: bytes) -> None:
        file = _DECODER.decode(stored)
        if file.recorded.days < 1:
            raise ValueError("a recording has at least one day")
        unanswered = (file.instants.keys() | file.local_dates.keys() | file.counters.keys()) - file.answers.keys()
        if unanswered:
            raise ValueError(f"no answers for {', '.join(sorted(unanswered))}")
        self._recorded = file.recorded
        self._zone = _zone(file.recorded.timezone)
        self._selectors: dict[str, list[Selector]] = {}
        for key, frames in file.answers.items():
            path, _, query = key.partition("?")
            conditions = tuple((name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part))
            self._selectors.setdefault(path, []).append(Selector(Timeline(key, frames, file), conditions))
        for selectors in self._selectors.values():
            selectors.sort(key=lambda selector: -len(selector.conditions))
        recorded_id = file.recorded.vendor_plant_id
        self._places_of_id = _places_of_id(recorded_id, stored)
        self._moved: OrderedDict[tuple[object, ...], VendorResponse] = OrderedDict()
        self._moving = threading.Lock()
        self._latest: dict[tuple[str, str], Template] = {}

    def answer(self, request: VendorRequest, plant: PlantRef, now: datetime) -> VendorResponse:
        """The recorded answer as of `now`. Raises the AdapterError of a frame that has none."""
        timeline = self._timeline(request)
        if timeline is None:
            return _NO_SUCH_PATH
        asked = (timeline.key, plant.timezone.key)
        latest = self._latest.get(asked)
        if latest is None or not latest.since <= now < latest.until:
            # Frames begin on whole seconds, so within one the answer is one: a batch of plants finds it here.
            answer = self._answer_to_any(timeline, plant.timezone, now)
            latest = self._latest[asked] = Template.of(answer, self._places_of_id, now)
        return latest.of_plant(plant.vendor_plant_id)

    def _answer_to_any(self, timeline: "Timeline", zone: ZoneInfo, now: datetime) -> VendorResponse:
        """The answer with the recorded plant's id still in it."""
        index, day = timeline.position(now.astimezone(zone), self._recorded)
        frame = timeline.frames[index]
        if frame.fails is not None:
            raise AdapterError(frame.fails, f"the recording says {frame.fails} from {frame.at} on")
        if frame.text is not None:
            return VendorResponse(status=frame.status, body=frame.text.encode())
        return self._cached(timeline, index, day, zone, now)

    def _timeline(self, request: VendorRequest) -> "Timeline | None":
        for selector in self._selectors.get(request.path, ()):
            if not selector.conditions or selector.accepts(request.body):
                return selector.timeline
        return None

    def _cached(self, timeline: "Timeline", index: int, day: date, zone: ZoneInfo, now: datetime) -> VendorResponse:
        frame = timeline.frames[index]
        until = utc_of_wall(datetime.combine(day, frame.at), zone, now)
        key = (timeline.key, index, day, zone.key, until)
        with self._moving:
            found = self._moved.get(key)
            if found is not None:
                self._moved.move_to_end(key)
                return found
        recorded_day = self._recorded.first_day + timedelta(days=frame.day)
        move = Move(days=(day - recorded_day).days, recorded_zone=self._zone, zone=zone, until=until)
        moved = VendorResponse(status=frame.status, body=timeline.moved(index, move))
        with self._moving:
            self._moved[key] = moved
            while len(self._moved) > CACHED_ANSWERS:
                self._moved.popitem(last=False)
        return moved


class Template(msgspec.Struct, frozen=True):
    """What is answered within one second, cut where the recorded plant's id stands in it."""

    since: datetime
    until: datetime
    recorded: VendorResponse
    parts: tuple[bytes, ...]
    bare: tuple[bool, ...]
    """Of the id between each two parts: whether it stands there as a JSON number. Only a number replaces it as one."""

    @classmethod
    def of(cls, answer: VendorResponse, places_of_id: re.Pattern[bytes], now: datetime) -> "Template":
        parts: list[bytes] = []
        bare: list[bool] = []
        end = 0
        for found in places_of_id.finditer(answer.body):
            parts.append(answer.body[end : found.start()])
            bare.append(not found[0].startswith(b'"'))
            end = found.end()
        since = now.astimezone(UTC).replace(microsecond=0)
        return cls(since, since + timedelta(seconds=1), answer, (*parts, answer.body[end:]), tuple(bare))

    def of_plant(self, plant_id: str) -> VendorResponse:
        """The answer about the plant of this id."""
        if not self.bare:
            return self.recorded
        quoted = _ENCODER.encode(plant_id)
        if True not in self.bare:
            return VendorResponse(self.recorded.status, quoted.join(self.parts))
        number = plant_id.encode() if _is_json_integer(plant_id) else quoted
        ids = [number if is_bare else quoted for is_bare in self.bare]
        return VendorResponse(self.recorded.status, self.parts[0] + b"".join(map(bytes.__add__, ids, self.parts[1:])))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"{name!r} is no timezone") from error


def _places_of_id(recorded_id: str, stored: bytes) -> re.Pattern[bytes]:
    """Finds the id where it is the whole of a JSON text, and where it is a JSON number, if it ever is one."""
    quoted = re.escape(msgspec.json.encode(recorded_id))
    if not _is_json_integer(recorded_id):
        return re.compile(quoted)
    bare = rb"(?<=[:\[,])%s(?=[,\]}])" % recorded_id.encode()
    return re.compile(quoted + b"|" + bare if re.search(bare, stored) else quoted)


class Timeline:
    """The frames of one path, in time order, and which of their fields move."""

    def __init__(self, key: str, frames: list[Frame], file: File) -> None:
        if not frames:
            raise ValueError(f"{key} has no frames")
        if any(not 0 <= frame.day < file.recorded.days or frame.at.microsecond or frame.at.tzinfo for frame in frames):
            raise ValueError(f"{key} has a frame outside the recorded days, or not on a whole local second")
        if any((len(bytes(frame.body)) > 0) + (frame.text is not None) + (frame.fails is not None) != 1 for frame in frames):
            raise ValueError(f"{key} has a frame that is not exactly one of body, text and fails")
        self.key = key
        self.frames = sorted(frames, key=lambda frame: (frame.day, frame.at))
        self._starts = [(frame.day, frame.at) for frame in self.frames]
        self._instants = [(pointer_of(at), MOVERS[_known(name, MOVERS)]) for at, name in file.instants.get(key, {}).items()]
        self._dates = [(pointer_of(at), _known(name, DATE_LAYOUTS)) for at, name in file.local_dates.get(key, {}).items()]
        self._counters = [(pointer_of(at), counter) for at, counter in file.counters.get(key, {}).items()]

    def position(self, local: datetime, recorded: Recorded) -> tuple[int, date]:
        """The newest frame not later than a local time, and the local day it plays on.

        Before the day's first frame that is the last one of an earlier day.
        """
        today = local.date()
        number = (today - recorded.first_day).days % recorded.days
        index = bisect.bisect_right(self._starts, (number, local.time())) - 1
        days_ago = number - self.frames[index].day
        return index, today - timedelta(days=days_ago if index >= 0 else days_ago + recorded.days)

    def moved(self, index: int, move: Move) -> bytes:
        body = msgspec.json.decode(self.frames[index].body)
        for pointer, mover in self._instants:
            for holder, place in places(body, pointer):
                holder[place] = _instant_moved(holder[place], mover, move)
        for pointer, name in self._dates:
            for holder, place in places(body, pointer):
                holder[place] = move_date(holder[place], name, move.days)
        for pointer, counter in self._counters:
            for holder, place in places(body, pointer):
                holder[place] = _raised(holder[place], counter, move.days)
        return msgspec.json.encode(body)


def _known(name: str, names: Collection[str]) -> str:
    if name not in names:
        raise ValueError(f"the format {name!r} is unknown; known: {', '.join(names)}")
    return name


def _instant_moved(value: Any, mover: Mover, move: Move) -> Any:
    """Junk stays junk, also where it is a number that no calendar holds: recordings of malformed answers consist of it."""
    try:
        return mover(value, move.instant, move.zone, move.recorded_zone)
    except (OverflowError, ValueError, OSError):
        return value


def _raised(value: Any, counter: Counter, days: int) -> Any:
    """A counter `days` later, as text if it was one; never below 0 when the clock is earlier than the recording."""
    try:
        raised = max(0.0, float(value) + counter.per_day * days)
    except (TypeError, ValueError):
        return value
    return f"{raised:.{counter.decimals}f}" if isinstance(value, str) else round(raised, counter.decimals)


def _is_json_integer(plant_id: str) -> bool:
    return plant_id.isdecimal() and plant_id.isascii() and not (len(plant_id) > 1 and plant_id.startswith("0"))


def pointer_of(text: str) -> Pointer:
    """A JSON pointer taken apart. Raises ValueError where it is none."""
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def places(value: Any, pointer: Pointer) -> Iterator[tuple[Any, Any]]:
    """Where a pointer leads: the objects and arrays that hold a value, and its key or index in each. What is not there is left out."""
    head, rest = pointer[0], pointer[1:]
    if isinstance(value, list):
        keys: list[Any] = list(range(len(value))) if head == "*" else [int(head)] if head.isdecimal() and int(head) < len(value) else []
    else:
        keys = [head] if isinstance(value, dict) and head in value else []
    for key in keys:
        if rest:
            yield from places(value[key], rest)
        else:
            yield value, key
