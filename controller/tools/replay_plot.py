"""The timeline that `solarinvest replay --plot` draws for people: status, power, energy and alerts over one axis of local time.

SVG is written by hand: a page of text, readable in any browser, and no plotting library to carry.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.plant import PlantContext, Status

WIDTH, LEFT, RIGHT = 1200, 70, 20
INNER = WIDTH - LEFT - RIGHT
BAND_TOP, BAND_HEIGHT = 56, 22
POWER_TOP, POWER_HEIGHT = 106, 200
ENERGY_TOP, ENERGY_HEIGHT = 346, 110
LANES_TOP, LANE_HEIGHT, LANES_MAX = 496, 20, 20
"""Lanes of alerts, one a deduplication key. Beyond that many a picture tells nothing; the printed events do."""

COLOURS: Mapping[str, str] = {"GREY": "#9aa0a6", "RED": "#d93025", "YELLOW": "#f5b400", "GREEN": "#1e8e3e"}
SEVERITIES: Mapping[str, str] = {"LOW": "#7baaf7", "MEDIUM": "#f5b400", "HIGH": "#e8710a", "CRITICAL": "#d93025"}
POWER_COLOUR, ENERGY_COLOUR = "#1a73e8", "#8ab4f8"

GAP = timedelta(minutes=45)
"""Between two samples further apart than this (and than three polls) nothing is known, so no line is drawn."""


class Span(msgspec.Struct):
    """Something that lasts from `begin` to `end`."""

    begin: datetime
    end: datetime
    label: str
    title: str
    colour: str


class Timeline:
    """Collects what a replay shows and draws it. Power comes from the plant itself (`observe`), all else from the printed events."""

    def __init__(self, zone: ZoneInfo, end: datetime) -> None:
        self._zone = zone
        self._end = end
        self._begin: datetime | None = None
        self._gap = GAP
        self._power: list[tuple[datetime, float | None]] = []
        self._status: list[Span] = []
        self._alerts: list[Span] = []
        self._open: dict[tuple[str, str | None, str | None], Span] = {}
        self._energy: list[Span] = []
        self._energy_kwh: list[float] = []

    def observe(self, at: datetime, plant: PlantContext) -> None:
        """Takes the plant's newest sample."""
        live = plant.live
        if self._begin is None:
            self._begin = at
            self._gap = max(GAP, timedelta(seconds=3 * plant.declaration.poll_interval_s))
            self._status.append(Span(at, self._end, live.status, live.reason, COLOURS[live.status]))
        if live.sampled_at is not None and (not self._power or live.sampled_at > self._power[-1][0]):
            self._power.append((live.sampled_at, live.current_power_w))

    def show_status(self, at: datetime, to: Status, reason: str) -> None:
        self._status[-1].end = at
        self._status.append(Span(at, self._end, to, reason, COLOURS[to]))

    def show_alert(self, at: datetime, opened: bool, key: tuple[str, str | None, str | None], severity: str) -> None:
        if not opened:
            span = self._open.pop(key, None)
            if span is not None:
                span.end = at
            return
        label = " ".join(part for part in key if part)
        self._open[key] = Span(at, self._end, label, severity, SEVERITIES[severity])
        self._alerts.append(self._open[key])

    def show_day(self, first: datetime, last: datetime, energy_kwh: float, title: str, backfilled: bool) -> None:
        self._energy.append(Span(first, last, "", title, "#c6dafc" if backfilled else ENERGY_COLOUR))
        self._energy_kwh.append(energy_kwh)

    def svg(self, title: str) -> str:
        """The whole picture."""
        begin = self._begin or self._end
        axis = Axis(min([begin, *(span.begin for span in self._energy)]), self._end, self._zone)
        lanes = _lanes(self._alerts)
        height = LANES_TOP + LANE_HEIGHT * (min(len(lanes), LANES_MAX) + 1) + 30
        period = f"{_local(axis.begin, self._zone)} to {_local(axis.end, self._zone)}, {self._zone.key}"
        body = [
            f'<text x="{LEFT}" y="24" class="title">{escape(title)}</text>',
            f'<text x="{LEFT}" y="42">{escape(period)}</text>',
            *axis.grid(BAND_TOP, height - 34),
            *self._band(axis),
            *self._power_panel(axis),
            *self._energy_panel(axis),
            *_alert_panel(axis, lanes),
        ]
        return "\n".join([_head(height), *body, "</svg>", ""])

    def _band(self, axis: "Axis") -> Iterator[str]:
        yield f'<text x="{LEFT - 8}" y="{BAND_TOP + 15}" class="left">status</text>'
        for span in self._status:
            yield axis.bar(span, BAND_TOP, BAND_HEIGHT, f"{span.label} {span.title}", self._zone)

    def _power_panel(self, axis: "Axis") -> Iterator[str]:
        top = max([value for _, value in self._power if value is not None], default=0.0)
        yield from _scale("power, W", POWER_TOP, POWER_HEIGHT, top)
        path = _path(axis, self._power, self._gap, _nice(top))
        if path:
            yield f'<path d="{path}" fill="none" stroke="{POWER_COLOUR}" stroke-width="1.2" stroke-linejoin="round"/>'

    def _energy_panel(self, axis: "Axis") -> Iterator[str]:
        top = max(self._energy_kwh, default=0.0)
        yield from _scale("energy of the day, kWh", ENERGY_TOP, ENERGY_HEIGHT, top)
        for span, energy in zip(self._energy, self._energy_kwh, strict=True):
            bar = ENERGY_HEIGHT * energy / _nice(top)
            yield axis.bar(span, ENERGY_TOP + ENERGY_HEIGHT - bar, bar, span.title, None)


class Axis:
    """Instants to columns, and the lines that tell people where they are."""

    def __init__(self, begin: datetime, end: datetime, zone: ZoneInfo) -> None:
        self.begin = begin
        self.end = max(end, begin + timedelta(minutes=1))
        self.zone = zone
        self._seconds = (self.end - self.begin).total_seconds()

    def x(self, at: datetime) -> float:
        inside = min(max(at, self.begin), self.end)
        return LEFT + INNER * (inside - self.begin).total_seconds() / self._seconds

    def bar(self, span: Span, top: float, height: float, title: str, zone: ZoneInfo | None) -> str:
        left, right = self.x(span.begin), self.x(span.end)
        when = "" if zone is None else f", {_local(span.begin, zone)} to {_local(span.end, zone)}"
        return (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 0.6):.1f}" height="{height:.1f}" fill="{span.colour}">'
            f"<title>{escape(title + when)}</title></rect>"
        )

    def grid(self, top: int, bottom: int) -> Iterator[str]:
        for at, label in self._ticks():
            x = self.x(at)
            yield f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" class="grid"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" class="middle">{label}</text>'

    def _ticks(self) -> Iterator[tuple[datetime, str]]:
        """At most some twenty: hours, days, weeks or months of local time."""
        days = self._seconds / 86_400
        first = self.begin.astimezone(self.zone).replace(tzinfo=None)
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        if days <= 5:
            step = 3 if days <= 2 else 6
            walls = [(midnight + timedelta(hours=step * n), "%d %b %H:%M") for n in range(25)]
        elif days <= 16:
            walls = [(midnight + timedelta(days=n), "%d %b") for n in range(18)]
        elif days <= 120:
            monday = midnight - timedelta(days=midnight.weekday())
            walls = [(monday + timedelta(weeks=n), "%d %b") for n in range(20)]
        else:
            step = int(days / 31 / 18) + 1
            months = range(midnight.month - 1, midnight.month - 1 + int(days / 28) + 3, step)
            walls = [(datetime(midnight.year + n // 12, n % 12 + 1, 1), "%b %Y") for n in months]  # noqa: DTZ001 - walls are local
        for wall, form in walls:
            at = wall.replace(tzinfo=self.zone).astimezone(UTC)
            if self.begin <= at <= self.end:
                yield at, wall.strftime(form)


def _path(axis: Axis, samples: list[tuple[datetime, float | None]], gap: timedelta, top: float) -> str:
    """A line through the samples, broken where they are missing. Of each half pixel only its lowest and highest are drawn."""
    parts: list[str] = []
    for stretch in _stretches(samples, gap):
        columns: dict[int, tuple[float, float]] = {}
        for at, value in stretch:
            column = round(axis.x(at) * 2)
            low, high = columns.get(column, (value, value))
            columns[column] = (min(low, value), max(high, value))
        points = [(column / 2, value) for column, pair in columns.items() for value in dict.fromkeys(pair)]
        places = [f"{x:.1f} {POWER_TOP + POWER_HEIGHT * (1 - value / top):.1f}" for x, value in points]
        # A lone sample is a dot.
        parts.append(f"M{'L'.join(places)}" if len(places) > 1 else f"M{places[0]}h0.6")
    return "".join(parts)


def _stretches(samples: list[tuple[datetime, float | None]], gap: timedelta) -> Iterator[list[tuple[datetime, float]]]:
    stretch: list[tuple[datetime, float]] = []
    for at, value in samples:
        if stretch and (value is None or at - stretch[-1][0] > gap):
            yield stretch
            stretch = []
        if value is not None:
            stretch.append((at, value))
    if stretch:
        yield stretch


def _scale(name: str, top: int, height: int, highest: float) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{top - 6}">{name}</text>'
    for share in (0.0, 0.5, 1.0):
        y = top + height * (1 - share)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="left">{_nice(highest) * share:g}</text>'


def _nice(value: float) -> float:
    """The first of 1, 2, 5 times a power of ten that is not below the value; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{value:.0f}") - 1) if value >= 1 else 0.1
    return next((factor * power for factor in (1, 2, 5, 10) if factor * power >= value), 10 * power)


def _lanes(alerts: Iterable[Span]) -> dict[str, list[Span]]:
    lanes: dict[str, list[Span]] = {}
    for span in alerts:
        lanes.setdefault(span.label, []).append(span)
    return lanes


def _alert_panel(axis: Axis, lanes: Mapping[str, list[Span]]) -> Iterator[str]:
    count = sum(len(spans) for spans in lanes.values())
    yield f'<text x="{LEFT}" y="{LANES_TOP - 6}">{"no alerts" if count == 0 else f"alerts: {count}"}</text>'
    for index, (label, spans) in enumerate(lanes.items()):
        top = LANES_TOP + LANE_HEIGHT * index
        if index == LANES_MAX:
            yield f'<text x="{LEFT}" y="{top + 14}">and {len(lanes) - LANES_MAX} keys more</text>'
            return
        for span in spans:
            yield axis.bar(span, top + 2, LANE_HEIGHT - 6, f"{label} {span.title}", axis.zone)
        yield f'<text x="{LEFT + 4}" y="{top + 14}" class="lane">{escape(label)}</text>'


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _head(height: int) -> str:
    style = (
        "text{font:12px sans-serif;fill:#3c4043}.title{font-size:16px;font-weight:bold}.left{text-anchor:end}"
        ".middle{text-anchor:middle}.lane{paint-order:stroke;stroke:#fff;stroke-width:3px}.grid{stroke:#e0e0e0;stroke-width:1}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f'<style>{style}</style>\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    )
