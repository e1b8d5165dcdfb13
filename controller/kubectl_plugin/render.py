"""What the commands print: the fleet's table, and one way to write JSON.

Colour only where the output is a terminal and NO_COLOR is not set. Everything that comes from a plant passes `text.printable`.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from controller.domain.plant import Status
from controller.kubectl_plugin.fleet import FleetRow, View
from controller.kubectl_plugin.text import NOTHING, age, age_of, one_line, rfc3339
from controller.kubectl_plugin.troubles import Unreachable

COLOURS = {Status.RED.value: "bold red", Status.YELLOW.value: "yellow", Status.GREY.value: "bright_black", Status.GREEN.value: "green"}
COLUMNS = ("NAME", "BRAND", "STATUS", "REASON", "SINCE", "POWER", "TODAY", "SEEN", "ALERTS", "UNACKED")
_ORDER = (Status.RED.value, Status.YELLOW.value, Status.GREY.value, None, Status.GREEN.value)
_GAP = "   "


def console() -> Console:
    """Standard output. Lines are never folded, and nothing but what we style is coloured."""
    # Rich would colour a pipe where FORCE_COLOR is set; it looks at NO_COLOR itself.
    return Console(
        color_system="standard" if is_terminal() else None, highlight=False, markup=False, emoji=False, soft_wrap=True, legacy_windows=False
    )


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def print_json(document: Sequence[Mapping[str, Any]]) -> None:
    """A list of objects. ASCII only: exact for programs, and nothing in it that a terminal would obey."""
    print(json.dumps(document, indent=2, ensure_ascii=True))


def json_row(row: FleetRow) -> dict[str, Any]:
    """A plant as `top -o json` lists it (docs/kubectl-solar.md). What is not known is null."""
    return {
        "namespace": row.namespace,
        "name": row.name,
        "brand": row.brand,
        "status": row.status,
        "reason": row.reason,
        "since": row.since and rfc3339(row.since),
        "lastSeenTime": row.seen and rfc3339(row.seen),
        "currentPowerW": row.power_w,
        "todayEnergyKWh": row.today_kwh,
        "openAlerts": {"total": row.alerts, "critical": row.critical, "high": row.high, "acked": row.acked},
    }


def summary(counts: Mapping[str | None, int]) -> Text:
    """All plants by status, worst first: 1204 plants: 3 RED, 12 YELLOW, 5 GREY, 1184 GREEN."""
    total = sum(counts.values())
    line = Text(f"{total} plant{'' if total == 1 else 's'}: ")
    # A status that a later version may know comes last, rather than not at all.
    for place, status in enumerate((*_ORDER, *sorted(other for other in counts if other and other not in _ORDER))):
        number = counts.get(status, 0)
        if status is None and not number:
            continue
        style = COLOURS.get(status or "", "") if number else ""
        line.append(", " if place else "").append(f"{number} {one_line(status) if status else 'without a status'}", style)
    return line


def table(rows: Sequence[FleetRow], now: datetime, *, namespaces: bool, headers: bool = True) -> list[Text]:
    """One line a plant, in columns for eyes and for awk: no cell is empty or holds a space."""
    head = [*(("NAMESPACE",) if namespaces else ()), *COLUMNS]
    cells = [([row.namespace] if namespaces else []) + _cells(row, now) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [_line(head, widths, None)] if headers else []
    status = head.index("STATUS")
    return lines + [_line(line, widths, status) for line in cells]


def live(view: View, now: datetime, *, namespaces: bool, columns: int) -> Text:
    """The screen of `top --watch`: what is known, how old that is, and whether the API server is away. No line wider than `columns`."""
    lines = [summary(view.counts), _freshness(view, now), Text(), *table(view.rows, now, namespaces=namespaces)]
    more = sum(view.counts.values()) - len(view.rows)
    if more > 0:
        lines.append(Text(f"... and {more} more", "dim"))
    for line in lines:
        line.truncate(columns, overflow="ellipsis")
    return Text("\n").join(lines)


def _freshness(view: View, now: datetime) -> Text:
    if view.trouble is not None:
        known = "nothing known yet" if view.as_of is None else f"this is how it was {age(now - view.as_of)} ago"
        what = "API server away" if isinstance(view.trouble, Unreachable) else "Not live"
        return Text(f"{what}, {known}; trying again: {one_line(str(view.trouble))}", "bold red")
    return Text("reading ..." if view.as_of is None else f"{rfc3339(now)}, live; Ctrl-C ends", "dim")


def _cells(row: FleetRow, now: datetime) -> list[str]:
    cells = [
        row.name,
        row.brand,
        row.status,
        row.reason,
        age_of(row.since, now),
        row.shown_power,
        row.shown_today,
        age_of(row.seen, now),
        str(row.alerts) if row.alerts else None,
        str(row.alerts - row.acked) if row.alerts else None,
    ]
    return [one_line(cell or "").replace(" ", "_") or NOTHING for cell in cells]


def _line(cells: Sequence[str], widths: Sequence[int], coloured: int | None) -> Text:
    line = Text(no_wrap=True)
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        last = place == len(cells) - 1
        style = COLOURS.get(cell, "") if place == coloured else "" if coloured is not None else "bold"
        line.append(cell, style).append("" if last else " " * (width - len(cell)) + _GAP)
    return line
