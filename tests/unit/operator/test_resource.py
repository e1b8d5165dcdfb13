from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import HistoryPolicy, StatusPolicy, plant_id_for
from controller.operator import resource as module
from controller.operator.resource import (
    ACK,
    MOCK_SCENARIO,
    POLL_REQUESTED_AT,
    SILENCE_UNTIL,
    PlantResource,
    RefusalReason,
    ResourceUnreadable,
    refusal,
)
from integrations.contract import Brand
from tests.unit.operator.plants import body, resource


def test_an_object_is_read_whole() -> None:
    plant = resource(
        annotations={
            MOCK_SCENARIO: "low-generation",
            POLL_REQUESTED_AT: "2026-01-15T12:00:00-03:00 by ana",
            SILENCE_UNTIL: "2026-01-15T12:00:00-03:00",
            "example.com/other": "kept out",
        },
        status={"health": "GREEN"},
        displayName="Padaria",
        ownerCustomerId="customer-1",
        statusPolicy="Daylight",
        historyPolicy="Delete",
        suspend=True,
    )
    assert (plant.namespace, plant.name, plant.resource_version, plant.generation) == ("default", "roof", 240, 3)
    assert plant.created_at == datetime(2026, 1, 1, 8, 16, 8, tzinfo=UTC)
    assert plant.deleted_at is None
    assert plant.status == {"health": "GREEN"}
    assert plant.ignored == ()
    declaration = plant.declaration(recommended_min_interval_s=60)
    assert declaration.brand is Brand.SOLIS
    assert declaration.vendor_plant_id == "1298491919448000001"
    assert (declaration.display_name, declaration.owner_customer_id) == ("Padaria", "customer-1")
    assert (declaration.latitude, declaration.longitude, declaration.capacity_kwp) == (-23.5, -46.0, 6.6)
    assert (declaration.status_policy, declaration.history_policy) == (StatusPolicy.DAYLIGHT, HistoryPolicy.DELETE)
    assert declaration.suspend
    assert declaration.scenario == "low-generation"
    assert declaration.poll_requested == "2026-01-15T12:00:00-03:00 by ana"
    assert declaration.silence_until == datetime(2026, 1, 15, 15, tzinfo=UTC)


def test_an_object_older_than_the_defaults_has_them() -> None:
    raw = body()
    raw["spec"] = {"brand": "HUAWEI"}
    declaration = PlantResource.parse(raw).declaration(recommended_min_interval_s=60)
    assert (declaration.timezone, declaration.poll_interval_s, declaration.scenario) == ("America/Sao_Paulo", 600, "healthy")
    assert (declaration.suspend, declaration.status_policy, declaration.history_policy) == (
        False,
        StatusPolicy.STRICT,
        HistoryPolicy.RETAIN,
    )
    assert (declaration.latitude, declaration.longitude, declaration.capacity_kwp, declaration.vendor_plant_id) == (None, None, None, None)


@pytest.mark.rule("D1.3")
def test_a_plant_with_a_vendor_identity_has_the_id_of_that_identity() -> None:
    assert resource().plant_id == plant_id_for("default", Brand.SOLIS, "1298491919448000001")


@pytest.mark.rule("D1.3")
def test_a_plant_without_one_has_the_id_of_its_object() -> None:
    assert resource(vendorPlantId=None).plant_id == UUID("13d08596-2999-4861-b7df-324373078bdb")


@pytest.mark.parametrize(("declared", "recommended", "effective"), [("10m", 60, 600), ("1m", 300, 300), ("90.5s", 60, 91)])
@pytest.mark.rule("D2.1")
def test_the_interval_is_whole_seconds_and_never_below_the_recommended(declared: str, recommended: int, effective: int) -> None:
    assert resource(pollInterval=declared).declaration(recommended).poll_interval_s == effective


def test_an_object_being_deleted_says_since_when() -> None:
    raw = body()
    raw["metadata"]["deletionTimestamp"] = "2026-01-15T12:00:00Z"
    assert PlantResource.parse(raw).deleted_at == datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw["spec"].update(brand="FRONIUS"),
        lambda raw: raw["spec"].update(location={"latitude": 1}),
        lambda raw: raw["spec"].update(capacityKWp="6.6"),
        lambda raw: raw.pop("spec"),
        lambda raw: raw.pop("metadata"),
        lambda raw: raw["metadata"].update(uid="x"),
        lambda raw: raw["metadata"].update(resourceVersion="new"),
        lambda raw: raw["metadata"].update(creationTimestamp=None),
    ],
)
def test_what_the_definition_rules_out_is_unreadable(spoil: Any) -> None:
    raw = body()
    spoil(raw)
    with pytest.raises(ResourceUnreadable):
        PlantResource.parse(raw)


# Annotations: anybody may write anything.


@pytest.mark.parametrize("text", ["", "Healthy", "../solis/healthy", "a/b", "a.json", "-a", "a" * 64, "healthy\n"])
def test_an_odd_scenario_counts_as_none_and_is_named(text: str) -> None:
    plant = resource(annotations={MOCK_SCENARIO: text})
    assert plant.scenario == "healthy"
    assert [ignored.annotation for ignored in plant.ignored] == [MOCK_SCENARIO]


@pytest.mark.parametrize("text", ["", "a\x00b", "a\nb", "x" * 257])
def test_a_poll_request_that_could_not_be_echoed_is_ignored_and_named(text: str) -> None:
    plant = resource(annotations={POLL_REQUESTED_AT: text})
    assert plant.poll_requested is None
    assert [ignored.annotation for ignored in plant.ignored] == [POLL_REQUESTED_AT]


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-01-15", "2026-01-15T12:00:00", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "1" * 5000]
)
def test_an_odd_silence_is_ignored_and_named(text: str) -> None:
    plant = resource(annotations={SILENCE_UNTIL: text})
    assert plant.silence_until is None
    assert [ignored.annotation for ignored in plant.ignored] == [SILENCE_UNTIL]


def test_of_a_list_of_alerts_the_ids_are_taken_and_the_rest_is_named() -> None:
    first, second = uuid4(), uuid4()
    plant = resource(annotations={ACK: f" {first},{second}, ,nonsense,{first},urn:uuid:{second}"})
    assert plant.acked == (first, second)
    assert [str(ignored) for ignored in plant.ignored] == ['ack: "nonsense" is no alert id, nor are 1 others']


def managed(manager: Any, annotation: str, time: Any = "2026-01-15T12:00:00Z") -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{annotation}": {}}}}}


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ([managed("kubectl-annotate", ACK)], "kubectl-annotate"),
        ([managed("ana", ACK, "2026-01-15T12:00:01Z"), managed("argocd", ACK)], "ana"),
        ([managed("kubectl-annotate", MOCK_SCENARIO)], None),
        ([{"manager": "kubectl-create", "fieldsV1": {"f:metadata": {"f:annotations": {".": {}}}}}], None),
        ([managed(7, ACK), {"manager": "odd", "fieldsV1": 3}, "odd", managed("ana\n", ACK, None)], "ana"),
        ("odd", None),
        (None, None),
    ],
)
def test_who_acknowledged_is_what_managed_fields_say(fields: Any, who: str | None) -> None:
    plant = body(annotations={ACK: str(uuid4())})
    plant["metadata"]["managedFields"] = fields
    read = PlantResource.parse(plant)
    assert read.acked_by == who
    assert (read.declaration(60).acked, read.declaration(60).acked_by) == (read.acked, who)


def test_who_removed_the_annotation_acknowledges_nothing() -> None:
    plant = body()
    plant["metadata"]["managedFields"] = [managed("ana", ACK)]
    assert PlantResource.parse(plant).declaration(60).acked_by is None


@pytest.mark.parametrize("count", [501, 2000])
def test_a_list_of_alerts_is_bounded(count: int) -> None:
    ids = [uuid4() for _ in range(count)]
    plant = resource(annotations={ACK: ",".join(map(str, ids))})
    assert plant.acked == tuple(ids[:500])
    assert "more than 500" in str(plant.ignored[0])


def test_a_full_list_of_alerts_is_read_without_a_word() -> None:
    ids = [uuid4() for _ in range(500)]
    plant = resource(annotations={ACK: ",".join(map(str, ids))})
    assert (plant.acked, plant.ignored) == (tuple(ids), ())


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys((MOCK_SCENARIO, POLL_REQUESTED_AT, ACK, SILENCE_UNTIL), st.text() | st.integers() | st.none())
    )
)
def test_no_annotation_makes_an_object_unreadable(annotations: dict[str, Any]) -> None:
    plant = resource(annotations=annotations)
    for ignored in plant.ignored:
        assert len(str(ignored)) < 200
        assert str(ignored).isprintable() or not str(ignored).isascii()


# What CEL cannot see.


@pytest.mark.parametrize("name", ["America/Sao_Paulo", "UTC", "Etc/GMT+3", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "GB"])
def test_a_time_zone_of_the_database_is_accepted(name: str) -> None:
    assert refusal(resource(timezone=name)) is None
    assert resource(timezone=name).declaration(60).zone == ZoneInfo(name)


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "america/sao_paulo",
        "America",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Factory",
        "",
        "a\x00b",
        "x" * 5000,
    ],
)
def test_another_name_is_refused_whatever_zoneinfo_would_raise(name: str) -> None:
    refused = refusal(resource(timezone=name))
    assert refused is not None
    assert refused.reason is RefusalReason.INVALID_TIMEZONE
    assert len(refused.message) < 300


@pytest.mark.parametrize(("name", "meant"), [("america/sao_paulo", "America/Sao_Paulo"), ("Europe/Lisboa", "Europe/Lisbon")])
def test_a_refused_time_zone_names_the_one_that_was_meant(name: str, meant: str) -> None:
    refused = refusal(resource(timezone=name))
    assert refused is not None
    assert f"did you mean {meant}?" in refused.message


@pytest.mark.parametrize("interval", ["59s", "59.999999s", "24h0m0.000001s", "ten minutes", "", "-10m"])
def test_an_interval_that_slipped_through_is_refused(interval: str) -> None:
    refused = refusal(resource(pollInterval=interval))
    assert refused is not None
    assert refused.reason is RefusalReason.INVALID_POLL_INTERVAL


@pytest.mark.parametrize("interval", ["1m", "60s", "24h", "1440m"])
def test_the_bounds_of_the_interval_belong_to_it(interval: str) -> None:
    assert refusal(resource(pollInterval=interval)) is None


def test_a_duplicate_names_the_plant_that_came_first() -> None:
    refused = module.Refusal.duplicate(Brand.SOLIS, "1298", "roof")
    assert refused.reason is RefusalReason.DUPLICATE_VENDOR_PLANT
    assert refused.message == "Plant roof already monitors SOLIS plant 1298; delete one of the two"
