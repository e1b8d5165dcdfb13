import json
from datetime import timedelta

import pytest

from controller.kubectl_plugin import render
from controller.kubectl_plugin.fleet import FleetRow, View, counts_of
from controller.kubectl_plugin.render import json_row, live, summary, table
from controller.kubectl_plugin.troubles import Forbidden, Unreachable
from tests.unit.kubectl_plugin.plants import NOW, ago, listed

RED = FleetRow.of(
    listed(
        "padaria",
        "RED",
        reason="CriticalAlert",
        since=ago(hours=3, minutes=20),
        lastSeenTime=ago(minutes=2, seconds=50),
        currentPowerW=4200.0,
        today={"date": "2026-01-15", "energyKWh": 14.3},
        display={"power": "4.20kW", "today": "14.3kWh"},
        openAlerts={"total": 3, "critical": 1, "high": 2, "acked": 1},
    )
)
FRESH = FleetRow.of(listed("x"))


def test_the_table_as_it_is_printed() -> None:
    assert [line.plain for line in table([RED, FRESH], NOW, namespaces=True)] == [
        "NAMESPACE   NAME      BRAND   STATUS   REASON          SINCE   POWER    TODAY     SEEN    ALERTS   UNACKED",
        "default     padaria   SOLIS   RED      CriticalAlert   3h20m   4.20kW   14.3kWh   2m50s   3        2",
        "default     x         SOLIS   -        -               -       -        -         -       -        -",
    ]


def test_every_line_has_as_many_words_as_columns() -> None:
    odd = FleetRow.of(listed("odd", "RED", reason="two words \x1b[2J", display={"power": " ", "today": ""}))
    lines = [line.plain for line in table([RED, FRESH, odd], NOW, namespaces=False)]
    assert {len(line.split()) for line in lines} == {len(render.COLUMNS)}
    assert not any("\x1b" in line for line in lines)
    assert lines[1:] == [line.plain for line in table([RED, FRESH, odd], NOW, namespaces=False, headers=False)]


def test_the_counts_say_all_and_what_has_no_status_only_if_there_is_some() -> None:
    assert summary({"RED": 1, "GREEN": 1203}).plain == "1204 plants: 1 RED, 0 YELLOW, 0 GREY, 1203 GREEN"
    assert summary({None: 1}).plain == "1 plant: 0 RED, 0 YELLOW, 0 GREY, 1 without a status, 0 GREEN"
    assert summary({"MAUVE": 2}).plain == "2 plants: 0 RED, 0 YELLOW, 0 GREY, 0 GREEN, 2 MAUVE"


def test_json_says_what_is_not_known_as_null_and_keeps_its_fields() -> None:
    assert json_row(RED) == {
        "namespace": "default",
        "name": "padaria",
        "brand": "SOLIS",
        "status": "RED",
        "reason": "CriticalAlert",
        "since": "2026-01-15T11:40:00Z",
        "lastSeenTime": "2026-01-15T14:57:10Z",
        "currentPowerW": 4200.0,
        "todayEnergyKWh": 14.3,
        "openAlerts": {"total": 3, "critical": 1, "high": 2, "acked": 1},
    }
    assert json_row(FRESH).keys() == json_row(RED).keys()
    assert json_row(FRESH)["since"] is None


def test_json_is_exact_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    text = "ö\x1b[31m\u202e"
    render.print_json([{"message": text}])
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "\x1b" not in printed
    assert json.loads(printed) == [{"message": text}]


def test_the_live_screen_says_that_the_api_server_is_away_and_how_old_it_is() -> None:
    rows = [RED, FRESH]
    counts = counts_of([*rows, FRESH])
    away = live(View(rows, counts, NOW - timedelta(seconds=40), Unreachable("refused\x1b")), NOW, namespaces=False, columns=200)
    lines = away.plain.split("\n")
    assert lines[0].startswith("3 plants:")
    assert lines[1] == "API server away, this is how it was 40s ago; trying again: refused?"
    assert lines[-1] == "... and 1 more"
    expired = live(View(rows, counts, NOW, Forbidden("401")), NOW, namespaces=False, columns=200).plain
    assert "Not live, this is how it was 0s ago; trying again: 401" in expired
    never = live(View([], {}, None, Unreachable("refused")), NOW, namespaces=False, columns=200).plain
    assert "nothing known yet" in never
    assert "2026-01-15T15:00:00Z, live" in live(View(rows, counts, NOW, None), NOW, namespaces=False, columns=200).plain


def test_no_line_of_the_live_screen_is_wider_than_the_terminal() -> None:
    picture = live(View([RED], {"RED": 1}, NOW, Unreachable("x" * 300)), NOW, namespaces=True, columns=30)
    assert max(map(len, picture.plain.split("\n"))) == 30


def test_colour_needs_a_terminal_and_no_no_color(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    render.console().print(table([RED], NOW, namespaces=False)[1])
    assert "\x1b" not in capsys.readouterr().out

    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setattr(render, "is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    render.console().print(table([RED], NOW, namespaces=False)[1])
    assert "\x1b[1;31mRED\x1b[0m" in capsys.readouterr().out

    monkeypatch.setenv("NO_COLOR", "1")
    render.console().print(table([RED], NOW, namespaces=False)[1])
    assert "\x1b[" not in capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "")
