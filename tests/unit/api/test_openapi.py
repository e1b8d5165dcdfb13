"""The OpenAPI document: committed as the code makes it, valid, and complete."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis

from controller.api.app import ROUTES
from controller.api.openapi import document
from controller.api.parameters import ALERT_PARAMETERS, PLANT_PARAMETERS
from controller.api.routes import ALERTS, HEALTH, PLANTS
from controller.storage.reads import ShownAlert, ShownPlant, ShownPlantDetail

PAGE = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(document())


def test_the_committed_document_is_what_the_code_makes() -> None:
    assert PAGE.read_bytes() == document(), "run `make generate`"


def test_it_is_valid_openapi_31() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_an_invalid_document_would_be_found() -> None:
    broken = {**DOCUMENT, "paths": {"/x": {"get": {"responses": "none"}}}}
    with pytest.raises(Exception, match=r"(?i)invalid|not valid|is not of type"):
        schemathesis.openapi.from_dict(broken).validate()


@pytest.mark.rule("D7.1")
def test_it_has_the_four_routes_and_no_other() -> None:
    assert set(DOCUMENT["paths"]) == {route for route in ROUTES if not route.startswith("/schema")}
    assert all(set(operations) == {"get"} for operations in DOCUMENT["paths"].values())


def test_every_route_but_the_health_probe_needs_a_token() -> None:
    assert DOCUMENT["security"] == [{"bearer": []}]
    assert {path for path, item in DOCUMENT["paths"].items() if item["get"].get("security") == []} == {HEALTH}


def test_its_parameters_are_those_that_are_parsed() -> None:
    for path, parameters in ((PLANTS, PLANT_PARAMETERS), (ALERTS, ALERT_PARAMETERS)):
        listed = {entry["name"]: entry["schema"] for entry in DOCUMENT["paths"][path]["get"]["parameters"]}
        assert listed == {parameter.name: dict(parameter.schema) for parameter in parameters}


def test_every_field_that_is_sent_is_in_its_schema() -> None:
    for name, struct in (("Plant", ShownPlant), ("PlantDetail", ShownPlantDetail), ("Alert", ShownAlert)):
        fields = {field.name for field in msgspec.structs.fields(struct)}
        schema = DOCUMENT["components"]["schemas"][name]
        assert set(schema["properties"]) == set(schema["required"]) == fields
        assert schema["additionalProperties"] is False


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for part in value.values() for found in references(part)]
        return [found for part in value for found in references(part)] if isinstance(value, list) else []

    found = references(DOCUMENT)
    assert len(found) > 20
    for reference in found:
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
