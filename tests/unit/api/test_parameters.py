"""Query parameters: what is allowed is parsed, all else is told by name, value and what would be allowed."""

import contextlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.api.cursors import alert_cursor, parse_alert_cursor, parse_plant_cursor, plant_cursor
from controller.api.parameters import ALERT_PARAMETERS, LIMIT_MAX, NONE, PLANT_PARAMETERS, Parameter, parse_query, parse_uuid
from controller.api.problems import SHOWN_MAX, InvalidParameter, ParametersRefused
from controller.domain.plant import Status
from controller.storage.reads import AlertKey
from integrations.contract import Brand

EVERY = (*PLANT_PARAMETERS, *ALERT_PARAMETERS)


def refused(query: bytes | str, parameters: tuple[Parameter, ...] = PLANT_PARAMETERS) -> list[InvalidParameter]:
    with pytest.raises(ParametersRefused) as caught:
        parse_query(query if isinstance(query, bytes) else query.encode(), parameters)
    invalid = caught.value.problem.invalid_parameters
    assert isinstance(invalid, tuple)
    return list(invalid)


def test_what_is_allowed_is_parsed() -> None:
    found = parse_query(b"brand=SOLIS&status=RED&limit=7&timezone=America%2FSao_Paulo", PLANT_PARAMETERS)
    assert found == {"brand": Brand.SOLIS, "status": Status.RED, "limit": 7, "timezone": "America/Sao_Paulo"}
    assert parse_query(b"", PLANT_PARAMETERS) == {}


def test_every_wrong_parameter_is_named_at_once() -> None:
    found = refused("brand=solis&limit=0&colour=red")
    assert [(entry.parameter, entry.value) for entry in found] == [("brand", "solis"), ("limit", "0"), ("colour", "red")]
    assert found[0].allowed == "one of SOLIS, HUAWEI, GOODWE, DELE"
    assert found[2].allowed == "one of brand, status, timezone, limit, cursor"


def test_a_repeated_parameter_is_refused_also_with_one_value() -> None:
    assert [entry.value for entry in refused("brand=SOLIS&brand=SOLIS")] == ["SOLIS"]
    assert [entry.parameter for entry in refused("brand=SOLIS&%62rand=HUAWEI")] == ["brand"]


def test_a_route_without_parameters_takes_none() -> None:
    assert refused("x=1", NONE) == [InvalidParameter("x", "1", "no parameter at all")]


def test_a_long_value_is_shown_in_part() -> None:
    (entry,) = refused("timezone=" + "a" * 500)
    assert len(entry.value) == SHOWN_MAX + 1


@pytest.mark.parametrize("value", ["0", "501", "-1", "+1", "01", "1.0", "1e2", "1_0", "٣", " 1", "1 ", "", "0x1"])
def test_a_limit_is_a_plain_whole_number(value: str) -> None:
    assert refused(f"limit={quote(value)}")[0].allowed == f"a whole number from 1 to {LIMIT_MAX}"


@pytest.mark.parametrize("limit", [1, 100, LIMIT_MAX])
def test_a_limit_within_its_bounds_is_taken(limit: int) -> None:
    assert parse_query(f"limit={limit}".encode(), PLANT_PARAMETERS) == {"limit": limit}


@pytest.mark.parametrize("text", ["AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA", "a" * 32, "{aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa}", "", "1"])
def test_an_id_has_one_form_only(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        parse_uuid(text)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_query_brings_anything_but_values_or_a_refusal(query: bytes) -> None:
    for parameters in (PLANT_PARAMETERS, ALERT_PARAMETERS, NONE):
        with contextlib.suppress(ParametersRefused):
            assert parse_query(query, parameters).keys() <= {parameter.name for parameter in parameters}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([parameter.name for parameter in EVERY]), st.text(max_size=30), min_size=1, max_size=4))
def test_a_value_that_is_taken_matches_what_the_schema_says(given_values: dict[str, str]) -> None:
    for parameter in EVERY:
        text = given_values.get(parameter.name)
        if text is None:
            continue
        try:
            parse_query(urlencode({parameter.name: text}).encode(), (parameter,))
        except ParametersRefused:
            continue
        assert "enum" not in parameter.schema or text in parameter.schema["enum"]


# Cursors


@settings(deadline=None)
@given(st.uuids())
def test_a_cursor_of_plants_leads_back_to_its_row(plant_id: UUID) -> None:
    assert parse_plant_cursor(plant_cursor(plant_id)) == plant_id


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1)), st.uuids())  # noqa: DTZ001 hypothesis takes naive bounds
def test_a_cursor_of_alerts_leads_back_to_its_row(opened_at: datetime, alert_id: UUID) -> None:
    key = AlertKey(opened_at.replace(tzinfo=UTC), alert_id)
    assert parse_alert_cursor(alert_cursor(key)) == key


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9_-]{21}[AQgw]", fullmatch=True), st.from_regex(r"[A-Za-z0-9_-]{30}[AEIMQUYcgkosw048]", fullmatch=True))
def test_every_text_of_the_right_form_is_some_place(of_plants: str, of_alerts: str) -> None:
    assert plant_cursor(parse_plant_cursor(of_plants)) == of_plants
    assert alert_cursor(parse_alert_cursor(of_alerts)) == of_alerts
    assert parse_alert_cursor(of_alerts).opened_at - datetime(1970, 1, 1, tzinfo=UTC) < timedelta(days=366 * 2300)


@pytest.mark.parametrize("text", ["", "A", "A" * 21 + "B", "A" * 22 + "==", "A" * 31, "é" * 22, "A" * 21 + "A\n"])
def test_a_cursor_of_another_form_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        parse_plant_cursor(text)
