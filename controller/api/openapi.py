"""The OpenAPI 3.1 document, derived from what the code does: parameters from `parameters`, bodies from the structs that are sent.

Served at /schema and committed as docs/openapi.json; a test holds both equal.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from controller.api.parameters import ALERT_PARAMETERS, PLANT_PARAMETERS, UUID_PATTERN, Parameter
from controller.api.problems import MEDIA_TYPE, Problem
from controller.api.routes import ALERTS, AS_OF, HEALTH, PLANT, PLANTS, Health
from controller.api.tokens import LIFETIME
from controller.storage.reads import POLL_LOGS, SNAPSHOT_DAYS, ShownAlert, ShownPlant, ShownPlantDetail

VERSION = "1"
_COMPONENTS = "#/components/schemas/{name}"
_NAMES = {
    "ShownPlantDetail": "PlantDetail",
    "ShownPlant": "Plant",
    "ShownAlert": "Alert",
    "ShownSnapshot": "Snapshot",
    "ShownPollLog": "PollLog",
}

_EVERY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_TOKEN = (*_EVERY, HTTPStatus.UNAUTHORIZED)


def document() -> bytes:
    """As JSON, indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(_document()), indent=2) + b"\n"


def _document() -> dict[str, Any]:
    # Problem's own struct leaves out what is not given.
    structs = (ShownPlant, ShownPlantDetail, ShownAlert, Health, Problem)
    (plant, detail, alert, health, problem), schemas = msgspec.json.schema_components(structs, ref_template=_COMPONENTS)
    paths = {
        PLANTS: _get(
            "List plants",
            "Those the caller may see, in the order of their ids.",
            _responses({"type": "array", "items": plant}, _WITH_TOKEN, pages=True),
            PLANT_PARAMETERS,
        ),
        PLANT: _get(
            "Read one plant",
            f"With its last {SNAPSHOT_DAYS} days, its open alerts, its newest {POLL_LOGS} job records of the last week, and what led to its"
            " status. 404 for a plant that is another's.",
            _responses(detail, (*_WITH_TOKEN, HTTPStatus.NOT_FOUND)),
            path=True,
        ),
        ALERTS: _get(
            "List alerts",
            "Those of plants the caller may see, newest first, resolved ones included.",
            _responses({"type": "array", "items": alert}, _WITH_TOKEN, pages=True),
            ALERT_PARAMETERS,
        ),
        HEALTH: {"get": {**_get("Say whether the API can answer", "", _responses(health, _EVERY))["get"], "security": []}},
    }
    return _renamed(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Solarinvest Monitor",
                "version": VERSION,
                "description": "Reads what is known of solar plants: power in W, energy in kWh, instants in UTC.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "paths": paths,
            "components": {
                "schemas": {name: _closed(schema) for name, schema in sorted(schemas.items())},
                "responses": {status.name: _problem(status, problem) for status in sorted({*_WITH_TOKEN, HTTPStatus.NOT_FOUND})},
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": f"Of `solarinvest token`; good for {LIFETIME.seconds // 60} minutes.",
                    }
                },
            },
        }
    )


def _get(
    summary: str, description: str, responses: dict[str, Any], query: Sequence[Parameter] = (), *, path: bool = False
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": each.name, "in": "query", "required": False, "description": each.description, "schema": dict(each.schema)}
        for each in query
    ]
    if path:
        schema = {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
        parameters = [{"name": "plant_id", "in": "path", "required": True, "description": "The plant's id.", "schema": schema}]
    operation: dict[str, Any] = {"operationId": summary.lower().replace(" ", "_"), "summary": summary, "responses": responses}
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = parameters
    return {"get": operation}


def _responses(body: dict[str, Any], problems: Sequence[HTTPStatus], *, pages: bool = False) -> dict[str, Any]:
    headers: dict[str, Any] = {
        AS_OF: {
            "description": "The newest instant at which something in this answer was brought up to date.",
            "required": True,
            "schema": {"type": "string", "format": "date-time"},
        }
    }
    if pages:
        link = {"description": "The next page, as a relative reference with rel=next; absent on the last.", "schema": {"type": "string"}}
        headers["Link"] = link
    found = {"description": "What was asked for.", "headers": headers, "content": {"application/json": {"schema": body}}}
    return {"200": found, **{str(int(status)): {"$ref": f"#/components/responses/{status.name}"} for status in sorted(problems)}}


def _problem(status: HTTPStatus, schema: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": status.description or status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
    name, text = {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate", "That a bearer token is needed."),
        HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "Seconds after which to ask again."),
        HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After", "Seconds after which to ask again."),
    }.get(status, ("", ""))
    return {**described, "headers": {name: {"description": text, "schema": {"type": "string"}}}} if name else described


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Objects have the fields that are listed and no other: a client that checks answers finds what the document forgot."""
    return {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema


def _renamed(value: dict[str, Any]) -> dict[str, Any]:
    """Component names as readers of the document know the things, in every reference."""
    text = msgspec.json.encode(value).decode()
    for ours, theirs in _NAMES.items():
        text = text.replace(f'"{ours}"', f'"{theirs}"').replace(f'/{ours}"', f'/{theirs}"')
    renamed: dict[str, Any] = msgspec.json.decode(text)
    return renamed
