"""`solarinvest replay` as people run it: formats, errors, the picture."""

import io
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from controller.cli import EXIT_DATA, app
from controller.tools.replay import ReplayError, run_replay
from tests.unit.tools.lives import CREATED, DAY, HOUR, MINUTE, alarm, days, failed, iso, plant, seen

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A plant and five hours of its life with a fault, then silence."""
    plant_file, readings = tmp_path / "plant.json", tmp_path / "readings.jsonl"
    plant_file.write_text(json.dumps(plant(displayName="Roof <1> & sons")))
    lines = [seen(CREATED + n * 10 * MINUTE, current_power_w=100.0 * n, today_energy_kwh=float(n)) for n in range(30)]
    lines.append(seen(CREATED + 5 * HOUR, alarms=[alarm("<1015>", "CRITICAL")], current_power_w=None, today_energy_kwh=30.5))
    lines.append(days(CREATED + 11 * HOUR, "2026-03-10", d0309=12.0))
    readings.write_text("\n".join(lines) + "\n")
    return plant_file, readings


def run(
    files: tuple[Path, Path], until: datetime = CREATED + 2 * DAY, explain: bool = False, plot: Path | None = None
) -> list[dict[str, object]]:
    out = io.StringIO()
    run_replay(*files, iso(until), explain, plot, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.rule("D9.3", "D9.6")
def test_events_are_printed_in_the_formats_of_the_page(files: tuple[Path, Path]) -> None:
    assert run(files) == [
        {"at": "2026-03-10T12:00:00Z", "kind": "status", "from": "GREY", "to": "GREEN", "reason": "Reporting"},
        {
            "at": "2026-03-10T17:00:00Z",
            "kind": "alert",
            "action": "opened",
            "type": "MOCK_FAULT",
            "severity": "CRITICAL",
            "vendor_alarm_code": "<1015>",
            "device_sn": "SN",
        },
        {"at": "2026-03-10T17:00:00Z", "kind": "status", "from": "GREEN", "to": "RED", "reason": "CriticalAlert"},
        {
            "at": "2026-03-11T17:00:00Z",
            "kind": "alert",
            "action": "opened",
            "type": "OFFLINE",
            "severity": "CRITICAL",
            "vendor_alarm_code": None,
            "device_sn": None,
        },
        {
            "at": "2026-03-12T12:00:00Z",
            "kind": "snapshot",
            "date": "2026-03-09",
            "today_energy_kwh": 12.0,
            "peak_power_w": None,
            "backfilled": True,
        },
        {
            "at": "2026-03-12T12:00:00Z",
            "kind": "snapshot",
            "date": "2026-03-10",
            "today_energy_kwh": 30.5,
            "peak_power_w": 2900.0,
            "backfilled": False,
        },
    ]


def test_explain_adds_the_reasons_and_changes_nothing_else(files: tuple[Path, Path]) -> None:
    explained = run(files, explain=True)
    assert all(event["explain"] for event in explained if event["kind"] == "status")
    assert all("message" in event for event in explained if event["kind"] == "alert")
    bare = [{name: value for name, value in event.items() if name not in ("explain", "message")} for event in explained]
    assert bare == run(files)


def test_the_command_prints_what_it_can_and_says_which_line_is_wrong(files: tuple[Path, Path]) -> None:
    plant_file, readings = files
    readings.write_text(readings.read_text() + "nonsense\n")
    arguments = ["replay", "--plant", str(plant_file), "--readings", str(readings), "--until", iso(CREATED + 2 * DAY)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == EXIT_DATA
    assert result.stderr.startswith("solarinvest: replay: line 33: it is not JSON")
    assert '"to":"GREEN"' in result.stdout
    assert "snapshot" not in result.stdout


@pytest.mark.rule("D9.1")
def test_replay_carries_neither_database_nor_cluster_nor_queue(files: tuple[Path, Path]) -> None:
    others = ["sqlalchemy", "psycopg", "redis", "huey", "kopf", "kubernetes", "litestar", "prometheus_client"]
    program = (
        "import io, sys\nfrom pathlib import Path\nfrom controller.tools.replay import run_replay\n"
        f"run_replay(Path({str(files[0])!r}), Path({str(files[1])!r}), '2026-03-12T12:00:00Z', True, None, io.StringIO())\n"
        f"print([name for name in {others} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.rule("D9.1")
def test_the_wall_clock_says_nothing(files: tuple[Path, Path]) -> None:
    """The same life a thousand years later is the same but for its dates."""
    before = run(files)
    files[0].write_text(files[0].read_text().replace("2026-", "3026-"))
    files[1].write_text(files[1].read_text().replace("2026-", "3026-"))
    later = run(files, (CREATED + 2 * DAY).replace(year=3026))
    assert [json.dumps(event).replace("3026-", "2026-") for event in later] == [json.dumps(event) for event in before]


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_file_that_cannot_be_read_or_written_is_named(files: tuple[Path, Path], tmp_path: Path, wrong: int) -> None:
    paths = [*files, tmp_path / "plot.svg"]
    paths[wrong] = tmp_path / "absent" / "file"
    with pytest.raises(ReplayError, match="absent/file: No such file"):
        run_replay(paths[0], paths[1], iso(CREATED), False, paths[2], io.StringIO())


def test_an_end_that_is_no_instant_is_told(files: tuple[Path, Path]) -> None:
    with pytest.raises(ReplayError, match='"tomorrow" is no instant'):
        run_replay(*files, "tomorrow", False, None, io.StringIO())


# The picture


def drawn(files: tuple[Path, Path], tmp_path: Path, until: datetime = CREATED + 2 * DAY) -> ElementTree.Element:
    plot = tmp_path / "plot.svg"
    run(files, until, plot=plot)
    return ElementTree.fromstring(plot.read_text())


def test_the_picture_shows_status_alerts_and_days_with_their_times(files: tuple[Path, Path], tmp_path: Path) -> None:
    titles = [title.text for title in drawn(files, tmp_path).iter(f"{SVG}title")]
    assert titles == [
        "GREY AwaitingFirstReading, 2026-03-10 12:00 to 2026-03-10 12:00",
        "GREEN Reporting, 2026-03-10 12:00 to 2026-03-10 17:00",
        "RED CriticalAlert, 2026-03-10 17:00 to 2026-03-12 12:00",
        "2026-03-09: 12 kWh, backfilled",
        "2026-03-10: 30.5 kWh",
        "MOCK_FAULT <1015> SN CRITICAL, 2026-03-10 17:00 to 2026-03-12 12:00",
        "OFFLINE CRITICAL, 2026-03-11 17:00 to 2026-03-12 12:00",
    ]


def test_power_is_one_line_that_rises_and_is_broken_where_it_is_missing(files: tuple[Path, Path], tmp_path: Path) -> None:
    [path] = drawn(files, tmp_path).iter(f"{SVG}path")
    points = [tuple(map(float, point.split())) for point in path.attrib["d"].removeprefix("M").split("L")]
    assert len(points) == 30
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))


def test_what_is_not_known_between_two_samples_is_not_drawn(files: tuple[Path, Path], tmp_path: Path) -> None:
    files[1].write_text("\n".join(seen(CREATED + minutes * MINUTE, current_power_w=5.0) for minutes in (0, 45, 91, 100)))
    [path] = drawn(files, tmp_path, CREATED + 2 * HOUR).iter(f"{SVG}path")
    assert [part.count("L") for part in path.attrib["d"].split("M")[1:]] == [1, 1]


def test_an_alert_that_resolved_is_drawn_until_then(files: tuple[Path, Path], tmp_path: Path) -> None:
    lines = [seen(CREATED, alarms=[alarm()]), seen(CREATED + HOUR), seen(CREATED + 2 * HOUR, alarms=[alarm()])]
    files[1].write_text("\n".join(lines))
    titles = [title.text for title in drawn(files, tmp_path, CREATED + 3 * HOUR).iter(f"{SVG}title")]
    assert titles[-2:] == [
        "MOCK_FAULT 1015 SN HIGH, 2026-03-10 12:00 to 2026-03-10 13:00",
        "MOCK_FAULT 1015 SN HIGH, 2026-03-10 14:00 to 2026-03-10 15:00",
    ]


def test_text_from_outside_is_escaped_and_shown(files: tuple[Path, Path], tmp_path: Path) -> None:
    texts = [text.text for text in drawn(files, tmp_path).iter(f"{SVG}text")]
    assert "Roof <1> & sons" in texts
    assert "MOCK_FAULT <1015> SN" in texts


def test_a_life_without_anything_can_be_drawn(files: tuple[Path, Path], tmp_path: Path) -> None:
    files[1].write_text("")
    texts = [text.text for text in drawn(files, tmp_path, CREATED).iter(f"{SVG}text")]
    assert "no alerts" in texts


@pytest.mark.parametrize(("length", "least", "most"), [(1, 5, 12), (10, 8, 14), (90, 8, 20), (365, 8, 20), (3650, 8, 20)])
def test_the_axis_has_a_readable_number_of_marks(files: tuple[Path, Path], tmp_path: Path, length: int, least: int, most: int) -> None:
    marks = [text for text in drawn(files, tmp_path, CREATED + length * DAY).iter(f"{SVG}text") if text.attrib.get("class") == "middle"]
    assert least <= len(marks) <= most


def test_a_storm_of_alarms_is_drawn_in_part_and_counted(files: tuple[Path, Path], tmp_path: Path) -> None:
    files[1].write_text(seen(CREATED, alarms=[alarm(str(code)) for code in range(30)]) + "\n" + failed(CREATED + HOUR))
    texts = [text.text for text in drawn(files, tmp_path, CREATED + HOUR).iter(f"{SVG}text")]
    assert "alerts: 30" in texts
    assert "and 10 keys more" in texts


# A year


def test_a_month_of_polls_takes_its_share_of_ten_seconds_a_year(files: tuple[Path, Path]) -> None:
    """CPU, not wall clock: a busy machine is no failure. The bound has room for a slow one; docs/replay.md has the figure measured."""
    polls = 30 * 144
    lines = (seen(CREATED + n * 10 * MINUTE, current_power_w=float(n % 144), today_energy_kwh=float(n % 144)) for n in range(polls))
    files[1].write_text("\n".join(lines))
    begin = time.process_time()
    run(files, CREATED + 30 * DAY, explain=True)
    assert time.process_time() - begin < 10 * 30 / 365 * 3
