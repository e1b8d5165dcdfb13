"""What replay reads: every line that cannot be read ends the run with its number and the reason."""

import json
from pathlib import Path

import pytest

from controller.domain.plant import StatusPolicy
from controller.tools.replay import Event, ReplayError, replay
from controller.tools.replay_input import instant, parse_plant, read_lines, read_plant
from integrations.contract import Brand
from tests.unit.tools.lives import CREATED, HOUR, alarm, iso, plant, seen, told

SAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "samples"
AT = '"at":"2026-03-10T12:00:00Z"'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "line 2: it is not JSON"),
        ('{"at":', "line 2: it is not JSON"),
        (f'{{{AT},"result":"ERROR","error_type":NaN}}', "line 2: it is not JSON"),
        (f'{{{AT},"result":"SUCCESS","reading":{{"today_energy_kwh":1e999,"current_power_w":NaN}}}}', "line 2: it is not JSON"),
        (b'{"at":"\xff"}', "line 2: it is not JSON"),
        ("[" * 100_000, "line 2: it is nested too deeply"),
        ("[1]", "line 2: it is no JSON object"),
        ('{"result":"SUCCESS"}', 'line 2: "at" is null'),
        ('{"at":"2026-03-10T12:00:00","result":"SUCCESS"}', 'line 2: "at" is "2026-03-10T12:00:00", no instant'),
        ('{"at":1773144000,"result":"SUCCESS"}', 'line 2: "at" is 1773144000, no instant'),
        ('{"at":"0001-01-01T00:00:00+14:00","result":"SUCCESS"}', 'line 2: "at" is'),
        (f"{{{AT}}}", 'line 2: "result" is null, none of SUCCESS, ERROR, DAYS'),
        (f'{{{AT},"result":"success"}}', 'line 2: "result" is "success"'),
        (f'{{{AT},"result":"ERROR"}}', 'line 2: "error_type" is null, none of AUTH_FAILED'),
        (f'{{{AT},"result":"ERROR","error_type":"OOPS"}}', 'line 2: "error_type" is "OOPS"'),
        (f'{{{AT},"result":"DAYS","days":{{}}}}', 'line 2: "date" is null'),
        (f'{{{AT},"result":"DAYS","date":"2026-03-32","days":{{}}}}', 'line 2: "date" is "2026-03-32"'),
        (f'{{{AT},"result":"DAYS","date":"2026-03-10"}}', 'line 2: "days" is no object'),
        (f'{{{AT},"result":"SUCCESS","reading":3}}', 'line 2: "reading" is no object'),
        (f'{{{AT},"result":"SUCCESS","alarms":{{}}}}', 'line 2: "alarms" is no list'),
        (f'{{{AT},"result":"SUCCESS","alarms":[3]}}', "line 2: an alarm is no object"),
        (seen(CREATED, alarms=[alarm(severity="SEVERE")]), 'line 2: "severity" is "SEVERE", none of LOW, MEDIUM'),
        (seen(CREATED, alarms=[alarm() | {"is_active": 1}]), 'line 2: "is_active" of an alarm is 1'),
        (seen(CREATED, alarms=[alarm() | {"code": ["1"]}]), 'line 2: "code" of an alarm is ["1"], no text'),
        (seen(CREATED - 2 * HOUR), "line 2: its instant 2026-03-10T10:00:00Z is before that of the line before it"),
        ('{"at":"9999-12-31T23:59:59Z","result":"DAYS","date":"9999-12-31","days":{}}', "line 2: an instant is too close to an end"),
        (f'{{{AT},"result":"DAYS","date":"0001-01-05","days":{{}}}}', "line 2: an instant is too close to an end"),
    ],
)
@pytest.mark.rule("D9.4")
def test_a_line_that_cannot_be_read_ends_the_run_with_its_number(line: str | bytes, problem: str) -> None:
    first = seen(CREATED - HOUR)
    created = parse_plant(plant(createdAt=iso(CREATED - HOUR)))
    told_before: list[Event] = []
    with pytest.raises(ReplayError) as caught:
        told_before.extend(replay(created, [first, line], instant("9999-12-31T23:59:59.5Z")))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("more", [[], [seen(CREATED + HOUR)]])
def test_what_came_before_the_broken_line_has_been_told(more: list[str]) -> None:
    """The instant of the last good line, too."""
    events = replay(parse_plant(plant()), [seen(CREATED), *more, "nonsense"], CREATED + 2 * HOUR)
    assert next(events).at == CREATED
    with pytest.raises(ReplayError, match=f"line {2 + len(more)}"):
        next(events)


def test_a_line_before_the_plant_was_created_ends_the_run() -> None:
    with pytest.raises(ReplayError, match="line 1: its instant is before the plant was created"):
        told([seen(CREATED - HOUR)], CREATED)


def test_empty_lines_are_left_out_but_counted_and_lines_after_the_end_are_not_read() -> None:
    assert [line.number for line in read_lines(["", seen(CREATED), "  \n", seen(CREATED)])] == [2, 4]
    assert len(told([seen(CREATED), seen(CREATED + HOUR), "nonsense"], CREATED + HOUR / 2)) == 1


def test_an_alarm_list_is_incomplete_unless_it_says_otherwise() -> None:
    bare = json.dumps({"at": iso(CREATED + HOUR), "result": "SUCCESS", "alarms": []})
    assert [line.split(" ")[1] for line in told([seen(CREATED, alarms=[alarm()]), bare], CREATED + HOUR)] == ["opened", "GREY>GREEN"]


@pytest.mark.rule("D9.2")
def test_a_plant_of_the_format_is_read_whole(tmp_path: Path) -> None:
    location = {"latitude": -23.5, "longitude": -46.6}
    # Written as \ud83c\udf1e, which JSON joins and YAML does not.
    name = "Casa \N{SUN WITH FACE}"
    body = plant(
        displayName=name, pollInterval="15m", statusPolicy="Daylight", location=location, capacityKWp=5.0, timezone="America/Sao_Paulo"
    )
    path = tmp_path / "plant.json"
    path.write_text(json.dumps(body, indent="\t"))
    read = read_plant(path)
    declaration = read.declaration
    assert read.created_at == CREATED
    assert (declaration.brand, declaration.vendor_plant_id, declaration.timezone) == (Brand.SOLIS, "X", "America/Sao_Paulo")
    assert declaration.display_name == name
    assert (declaration.latitude, declaration.longitude, declaration.capacity_kwp) == (-23.5, -46.6, 5.0)
    assert (declaration.poll_interval_s, declaration.status_policy) == (900, StatusPolicy.DAYLIGHT)
    assert read_plant(path) == read


def test_null_is_absent() -> None:
    assert parse_plant(plant(location=None, capacityKWp=None)) == parse_plant(plant())


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.rule("D9.2")
def test_the_sample_manifests_are_plants(sample: Path) -> None:
    read = read_plant(sample)
    assert read.declaration.brand is Brand(sample.stem.upper())
    assert read.created_at is None


def test_a_manifest_as_the_cluster_returns_it_says_when_it_was_created(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(
        'kind: Plant\nmetadata: {name: roof, namespace: solar, creationTimestamp: "2026-03-10T12:00:00Z"}\n'
        "spec: {brand: DELE, vendorPlantId: D1, timezone: UTC}\n"
    )
    read = read_plant(path)
    assert (read.created_at, read.declaration.namespace, read.declaration.name) == (CREATED, "solar", "roof")
    path.write_text(path.read_text().replace('"', ""))
    assert read_plant(path) == read


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"brand": "ACME"}, "ACME"),
        ({"timezone": "Mars/Base"}, "no time zone"),
        ({"timezone": "UTC+3"}, "no time zone"),
        ({"pollInterval": "often"}, "no duration"),
        ({"pollInterval": "1s"}, "not within 1m and 24h"),
        ({"statusPolicy": "Loose"}, "Loose"),
        ({"capacityKWp": 0}, "capacityKWp: 0 is no positive number"),
        ({"capacityKWp": "5"}, 'capacityKWp: "5" is no positive number'),
        ({"location": {"latitude": 91, "longitude": 0}}, "location.latitude: 91 is no number from -90 to 90"),
        ({"location": {"latitude": 1}}, "location.longitude: null is no number"),
        ({"location": 5}, "location"),
        ({"createdAt": "soon"}, 'createdAt: "soon" is no instant'),
        ({"kind": "Pod", "spec": {}}, "kind is 'Pod', not Plant"),
        ({"kind": "Plant"}, "metadata and spec are objects"),
    ],
)
def test_a_plant_that_the_cluster_would_not_take_is_not_replayed(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ReplayError) as caught:
        parse_plant(plant(**changes))
    assert problem in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"- 1", b"{", b"a: [", b"\xff\xfe", b"kind: Plant\n---\nkind: Plant\n"])
def test_a_file_that_holds_no_plant_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plant.yaml"
    path.write_bytes(content)
    with pytest.raises(ReplayError, match=r"plant\.yaml: "):
        read_plant(path)
    with pytest.raises(ReplayError, match="absent: No such file"):
        read_plant(tmp_path / "absent")


def test_instants_need_an_offset() -> None:
    assert instant("2026-03-10T13:00:00+01:00") == CREATED
    for text in ("2026-03-10T12:00:00", "2026-03-10", "now"):
        with pytest.raises(ReplayError):
            instant(text)
