"""Dashboards that Grafana takes as they are, whatever it names its Prometheus, and that a person can read."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.expressions import DASHBOARDS, VARIABLES, panels

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.stem)


def read(dashboard: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboard.read_text())
    return found


def test_there_is_one_for_the_plants_and_one_for_the_system() -> None:
    assert {read(dashboard)["uid"]: dashboard.stem for dashboard in DASHBOARDS} == {
        "solarinvest-fleet": "fleet",
        "solarinvest-machinery": "machinery",
    }


@every_dashboard
def test_it_carries_no_number_of_some_grafana(dashboard: Path) -> None:
    assert "id" not in read(dashboard)
    numbers = [panel["id"] for panel in panels(dashboard)]
    assert len(numbers) == len(set(numbers))


@every_dashboard
def test_panels_lie_in_the_grid_and_on_no_other(dashboard: Path) -> None:
    places = [panel["gridPos"] for panel in panels(dashboard)]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS and place["h"] > 0 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@every_dashboard
def test_it_reads_in_rows_that_have_titles(dashboard: Path) -> None:
    rows = [panel for panel in panels(dashboard) if panel["type"] == "row"]
    assert panels(dashboard)[0] == rows[0]
    assert rows[0]["title"] == "Now"
    assert all(row["title"] and row["gridPos"]["w"] == COLUMNS for row in rows)
    titles = [row["title"] for row in rows]
    assert len(titles) == len(set(titles)) >= 3


@every_dashboard
def test_every_panel_says_what_it_shows_and_asks_the_chosen_prometheus(dashboard: Path) -> None:
    for panel in panels(dashboard):
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith(".") or "kubectl" in panel["description"]
        assert panel["datasource"] == SOURCE
        assert panel["targets"]
        assert [target["refId"] for target in panel["targets"]] == [chr(ord("A") + number) for number in range(len(panel["targets"]))]
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["unit"]


@every_dashboard
def test_variables_are_defined_and_used(dashboard: Path) -> None:
    defined = [variable["name"] for variable in read(dashboard)["templating"]["list"]]
    assert defined == ["datasource", "namespace", "brand"]
    used = set(re.findall(r"\$\{?(\w+)", " ".join(target["expr"] for panel in panels(dashboard) for target in panel.get("targets", ()))))
    assert used == {name.removeprefix("$") for name in VARIABLES}
    for variable in read(dashboard)["templating"]["list"][1:]:
        # All of them, also where Prometheus adds no such label.
        assert (variable["includeAll"], variable["allValue"]) == (True, ".*")


@every_dashboard
def test_the_file_is_as_it_would_be_written_again(dashboard: Path) -> None:
    """So that a change in Grafana, exported, is a difference that can be read."""
    assert dashboard.read_text() == json.dumps(read(dashboard), indent=2, ensure_ascii=False) + "\n"
