"""The fixture transport, on recordings made up here."""

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integrations import recording as recordings
from integrations.contract import Brand, PlantRef, VendorRequest, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.transport import FixtureTransport, default_fixtures

PLANT = PlantRef(vendor_plant_id="ours", timezone=ZoneInfo("America/Sao_Paulo"))
NOON = datetime(2026, 6, 10, 15, tzinfo=UTC)
ASK = VendorRequest("/ask", {})


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def recording(folder: Path, scenario: str = "healthy", /, **parts: Any) -> None:
    header = {
        "brand": "SOLIS",
        "scenario": scenario,
        "recorded": {"timezone": "America/Sao_Paulo", "first_day": "2026-01-15", "days": 1, "vendor_plant_id": "theirs"},
    }
    (folder / "solis").mkdir(exist_ok=True)
    (folder / "solis" / f"{scenario}.json").write_text(json.dumps(header | parts))


def at(time: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"at": time, "body": body, **more}


def ask(
    folder: Path, now: datetime = NOON, request: VendorRequest = ASK, of: PlantRef = PLANT, scenario: str = "healthy"
) -> VendorResponse:
    return FixtureTransport(folder, Clock(now)).for_plant(Brand.SOLIS, scenario, of)(request)


def asked(folder: Path, now: datetime = NOON, **more: Any) -> Any:
    return json.loads(ask(folder, now, **more).body)


def error_of(folder: Path, scenario: str = "healthy") -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        ask(folder, scenario=scenario)
    return caught.value


def test_the_newest_frame_not_later_than_the_local_time_answers(tmp_path: Path) -> None:
    recording(tmp_path, answers={"/ask": [at("00:00:00", 0), at("12:00:00", 12), at("18:00:00", 18)]})

    assert asked(tmp_path, NOON - timedelta(microseconds=1)) == 0
    assert asked(tmp_path, NOON) == 12
    assert asked(tmp_path, NOON, of=PlantRef("ours", ZoneInfo("Europe/Moscow"))) == 18


def test_before_the_first_frame_of_a_day_the_last_of_the_day_before_stands_with_its_own_date(tmp_path: Path) -> None:
    frames = [at("06:00:00", {"at": 1768467600}), at("22:00:00", {"at": 1768525200})]
    recording(tmp_path, instants={"/ask": {"/at": "epoch_s"}}, answers={"/ask": frames})
    last_evening = datetime(2026, 6, 9, 22, tzinfo=PLANT.timezone)

    assert asked(tmp_path, datetime(2026, 6, 10, 5, 59, tzinfo=PLANT.timezone)) == {"at": last_evening.timestamp()}


def test_days_of_a_recording_follow_each_other_and_repeat(tmp_path: Path) -> None:
    header = {"timezone": "America/Sao_Paulo", "first_day": "2026-01-15", "days": 3, "vendor_plant_id": "theirs"}
    frames = [at("00:00:00", {"day": day, "date": f"2026-01-{15 + day}", "total": 10.0 * day}, day=day) for day in range(3)]
    recording(
        tmp_path,
        recorded=header,
        local_dates={"/ask": {"/date": "yyyy-MM-dd"}},
        counters={"/ask": {"/total": {"per_day": 10.0}}},
        answers={"/ask": frames},
    )
    start = datetime(2026, 1, 14, 12, tzinfo=PLANT.timezone)
    found = [asked(tmp_path, start + timedelta(days=number)) for number in range(6)]

    assert [each["day"] for each in found] == [2, 0, 1, 2, 0, 1]
    assert [each["date"] for each in found] == [f"2026-01-{day}" for day in range(14, 20)]
    assert [each["total"] for each in found] == [0.0, 0.0, 10.0, 20.0, 30.0, 40.0]


def test_counters_rise_with_the_days_as_numbers_and_as_text(tmp_path: Path) -> None:
    body = {"rows": [{"number": 100, "text": "100.00", "none": "N/A"}]}
    counters = {f"/rows/*/{name}": {"per_day": 1.5, "decimals": 2} for name in ("number", "text", "none", "absent")}
    recording(tmp_path, counters={"/ask": counters}, answers={"/ask": [at("00:00:00", body)]})

    assert asked(tmp_path, datetime(2026, 1, 25, 15, tzinfo=UTC)) == {"rows": [{"number": 115.0, "text": "115.00", "none": "N/A"}]}


def test_the_recorded_id_becomes_the_plants_wherever_it_stands_alone(tmp_path: Path) -> None:
    header = {"timezone": "UTC", "first_day": "2026-01-15", "vendor_plant_id": "610"}
    body = {"id": 610, "list": [610, "610", 6101, "x610"], "power": 1.610, "last": 610}
    recording(tmp_path, recorded=header, answers={"/ask": [at("00:00:00", body)]})

    assert asked(tmp_path, of=PlantRef("77", UTC_ZONE)) == {"id": 77, "list": [77, "77", 6101, "x610"], "power": 1.61, "last": 77}
    assert asked(tmp_path, of=PlantRef("007", UTC_ZONE))["list"] == ["007", "007", 6101, "x610"]
    assert asked(tmp_path, of=PlantRef("NE=1", UTC_ZONE))["id"] == "NE=1"
    assert asked(tmp_path, of=PlantRef("610", UTC_ZONE)) == body


UTC_ZONE = ZoneInfo("UTC")


def test_one_path_may_answer_several_questions(tmp_path: Path) -> None:
    answers = {
        "/ask": [at("00:00:00", "any")],
        "/ask?type=38": [at("00:00:00", "inverter")],
        "/ask?type=38&page=2": [at("00:00:00", "second page")],
    }
    recording(tmp_path, answers=answers)

    assert asked(tmp_path, request=VendorRequest("/ask", {"type": 47})) == "any"
    assert asked(tmp_path, request=VendorRequest("/ask", {"type": 38, "page": 1})) == "inverter"
    assert asked(tmp_path, request=VendorRequest("/ask", {"type": "38", "page": 2})) == "second page"
    assert ask(tmp_path, request=VendorRequest("/other", {})).status == 404


def test_a_question_that_no_condition_fits_is_not_found(tmp_path: Path) -> None:
    recording(tmp_path, answers={"/ask?type=38": [at("00:00:00", 1)]})

    assert ask(tmp_path, request=VendorRequest("/ask", {"type": 1})).status == 404


def test_a_frame_may_be_a_status_a_text_or_no_answer_at_all(tmp_path: Path) -> None:
    frames = [
        at("00:00:00", {"code": 1}, status=500),
        {"at": "06:00:00", "status": 502, "text": "<html>Bad"},
        {"at": "11:00:00", "fails": "NETWORK_TIMEOUT"},
    ]
    recording(tmp_path, answers={"/ask": frames})

    assert ask(tmp_path, NOON - timedelta(hours=10)) == VendorResponse(500, b'{"code":1}')
    assert ask(tmp_path, NOON - timedelta(hours=5)) == VendorResponse(502, b"<html>Bad")
    assert error_of(tmp_path).error_type is AdapterErrorType.NETWORK_TIMEOUT


def test_junk_where_an_instant_should_be_stays_junk(tmp_path: Path) -> None:
    body = {"a": "soon", "b": 1e300, "c": 10**15, "d": None}
    recording(tmp_path, instants={"/ask": {f"/{name}": "epoch_s" for name in "abcd"}}, answers={"/ask": [at("00:00:00", body)]})

    assert asked(tmp_path) == body


@pytest.mark.parametrize(
    "scenario", ["nope", "../healthy", "..", "", "a/b", "HEALTHY", "healthy.json", "x" * 300, "/etc/passwd", "nul\x00"]
)
def test_an_unknown_scenario_is_named_with_those_that_exist(tmp_path: Path, scenario: str) -> None:
    recording(tmp_path, answers={"/ask": [at("00:00:00", 1)]})
    recording(tmp_path, "night", answers={"/ask": [at("00:00:00", 1)]})
    error = error_of(tmp_path, scenario)

    assert error.error_type is AdapterErrorType.VENDOR_ERROR
    assert error.message.endswith("is not recorded for SOLIS; recorded: healthy, night")
    assert len(error.message) < 200


def test_a_brand_without_recordings_says_so(tmp_path: Path) -> None:
    assert error_of(tmp_path).message.endswith("recorded: none")


@pytest.mark.parametrize(
    "parts",
    [
        {"answers": {"/ask": []}},
        {"answers": {"/ask": [{"at": "00:00:00"}]}},
        {"answers": {"/ask": [{"at": "25:00:00", "body": 1}]}},
        {"answers": {"/ask": [{"at": "10:00:00.5", "body": 1}]}},
        {"answers": {"/ask": [{"at": "00:00:00", "body": 1, "day": 1}]}},
        {"answers": {"/ask": [{"at": "00:00:00", "body": 1, "text": "x"}]}},
        {"answers": {"/ask": [at("00:00:00", 1)]}, "instants": {"/ask": {"/x": "fortnights"}}},
        {"answers": {"/ask": [at("00:00:00", 1)]}, "local_dates": {"/ask": {"/x": "fortnights"}}},
        {"answers": {"/ask": [at("00:00:00", 1)]}, "instants": {"/ask": {"x": "epoch_s"}}},
        {"answers": {"/ask": [at("00:00:00", 1)]}, "instants": {"/aks": {"/x": "epoch_s"}}},
        {"answers": {}, "instnats": {}},
        {"answers": {}, "recorded": {"timezone": "Mars/Olympus", "first_day": "2026-01-15", "vendor_plant_id": "x"}},
        {"answers": {}, "recorded": {"timezone": "UTC", "first_day": "2026-01-15", "vendor_plant_id": "x", "days": 0}},
    ],
)
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, parts: dict[str, Any]) -> None:
    recording(tmp_path, **parts)
    error = error_of(tmp_path)

    assert error.error_type is AdapterErrorType.VENDOR_ERROR
    assert error.message.startswith("the recording solis/healthy.json is unusable: ")


def test_observers_see_every_exchange_begin_and_end_also_one_that_fails(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    class Ledger:
        def started(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest) -> None:
            seen.append(("started", tag, brand, plant.vendor_plant_id, request.path))

        def ended(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest, error: BaseException | None) -> None:
            seen.append(("ended", tag, brand, plant.vendor_plant_id, type(error)))

    recording(tmp_path, answers={"/ask": [at("00:00:00", 1)], "/fail": [{"at": "00:00:00", "fails": "NETWORK_TIMEOUT"}]})
    played = FixtureTransport(tmp_path, Clock(), observe=Ledger(), checkpoint=lambda name: seen.append((name,)))
    exchange = played.for_plant(Brand.SOLIS, "healthy", PLANT, lambda: "attempt 7")
    exchange(ASK)
    with pytest.raises(AdapterError):
        exchange(VendorRequest("/fail", {}))

    assert seen == [
        ("started", "attempt 7", Brand.SOLIS, "ours", "/ask"),
        ("mid-exchange",),
        ("ended", "attempt 7", Brand.SOLIS, "ours", type(None)),
        ("started", "attempt 7", Brand.SOLIS, "ours", "/fail"),
        ("mid-exchange",),
        ("ended", "attempt 7", Brand.SOLIS, "ours", AdapterError),
    ]


def test_many_threads_get_the_same_answers_and_the_cache_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "CACHED_ANSWERS", 3)
    frames = [at(f"{hour:02}:00:00", {"hour": hour, "id": "theirs"}) for hour in range(24)]
    recording(tmp_path, answers={"/ask": frames})
    played = FixtureTransport(tmp_path, Clock())
    zones = ["UTC", "Asia/Tokyo", "Europe/Lisbon", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"]
    wrong: list[Any] = []

    def play(zone: str) -> None:
        plant = PlantRef(zone, ZoneInfo(zone))
        expected = {"hour": NOON.astimezone(plant.timezone).hour, "id": zone}
        exchange = played.for_plant(Brand.SOLIS, "healthy", plant)
        wrong.extend(found for _ in range(200) if (found := json.loads(exchange(ASK).body)) != expected)

    threads = [threading.Thread(target=play, args=(zone,)) for zone in zones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert wrong == []
    assert len(played._recordings[Brand.SOLIS, "healthy"]._moved) == 3


@pytest.mark.rule("D8.1")
def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    played = FixtureTransport(default_fixtures(), Clock())

    assert played.for_plant(Brand.SOLIS, "healthy", PLANT)(VendorRequest("/v1/api/stationDetail", {"id": "ours"})).status == 200


def test_every_brand_has_its_healthy_scenario() -> None:
    played = FixtureTransport(default_fixtures(), Clock())

    assert all("healthy" in played.scenarios(brand) for brand in Brand)
