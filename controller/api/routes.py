"""The routes (DOMAIN 7): each checks what was asked for, puts one question to the database, and says how old its answer is."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from controller.api.access import PUBLIC
from controller.api.cursors import alert_cursor, plant_cursor
from controller.api.parameters import ALERT_PARAMETERS, LIMIT_DEFAULT, NONE, PLANT_PARAMETERS, parse_query, parse_uuid
from controller.api.problems import ProblemError, not_found, unavailable
from controller.api.tokens import Caller
from controller.queueing.rates import WINDOW_S, RequestRates
from controller.storage.reads import AlertFilter, PlantFilter, Reads, ShownAlert, ShownPlant

PLANTS, PLANT, ALERTS, HEALTH = "/api/v1/plants", "/api/v1/plants/{plant_id}", "/api/v1/alerts", "/api/v1/health"
SCHEMA, SCHEMA_FILE = "/schema", "/schema/openapi.json"
AS_OF = "X-Data-As-Of"
RETRY_AFTER_S = 5

ApiRequest = Request[Caller, Any, Any]


class Health(msgspec.Struct, frozen=True):
    """Whether the API and its database answer."""

    status: str


class Routes:
    """The handlers, over what they ask. `schema` is the OpenAPI document, None where it is not to be served."""

    def __init__(self, reads: Reads, rates: RequestRates, clock: Callable[[], datetime], schema: bytes | None) -> None:
        self._reads = reads
        self._rates = rates
        self._clock = clock
        self._schema = schema

    def handlers(self) -> list[HTTPRouteHandler]:
        """For Litestar. They run on threads, for they wait for Postgres and Redis."""

        @get(PLANTS, sync_to_thread=True)
        def plants(request: ApiRequest) -> Response[bytes]:
            return self.plants(request)

        @get("/api/v1/plants/{plant_id:str}", sync_to_thread=True)
        def plant(request: ApiRequest, plant_id: FromPath[str]) -> Response[bytes]:
            return self.plant(request, plant_id)

        @get(ALERTS, sync_to_thread=True)
        def alerts(request: ApiRequest) -> Response[bytes]:
            return self.alerts(request)

        @get(HEALTH, sync_to_thread=True, opt=PUBLIC)
        def health(request: ApiRequest) -> Response[bytes]:
            return self.health(request)

        @get([SCHEMA, SCHEMA_FILE], sync_to_thread=False, opt=PUBLIC)
        def schema(request: ApiRequest) -> Response[bytes]:
            parse_query(request.scope["query_string"], NONE)
            return _answer(self._schema or b"", {})

        served = [plants, plant, alerts, health]
        return served if self._schema is None else [*served, schema]

    def plants(self, request: ApiRequest) -> Response[bytes]:
        self._admit(request.user)
        asked = parse_query(request.scope["query_string"], PLANT_PARAMETERS)
        now = self._clock()
        wanted = PlantFilter(brand=asked.get("brand"), status=asked.get("status"), timezone=asked.get("timezone"))
        page = self._reads.plants(request.user.owner, wanted, asked.get("limit", LIMIT_DEFAULT), now, asked.get("cursor"))
        cursor = None if page.next is None else plant_cursor(page.next)
        return _answer(page.rows, {AS_OF: _as_of(page.rows, now), **_link(PLANTS, asked, cursor)})

    def plant(self, request: ApiRequest, plant_id: str) -> Response[bytes]:
        self._admit(request.user)
        parse_query(request.scope["query_string"], NONE)
        now = self._clock()
        try:
            plant = self._reads.plant(request.user.owner, parse_uuid(plant_id), now)
        except ValueError:
            raise not_found() from None
        if plant is None:
            raise not_found()
        return _answer(plant, {AS_OF: _as_of([plant], now)})

    def alerts(self, request: ApiRequest) -> Response[bytes]:
        self._admit(request.user)
        asked = parse_query(request.scope["query_string"], ALERT_PARAMETERS)
        now = self._clock()
        wanted = AlertFilter(
            type=asked.get("type"), severity=asked.get("severity"), state=asked.get("state"), plant_id=asked.get("plant_id")
        )
        page = self._reads.alerts(request.user.owner, wanted, asked.get("limit", LIMIT_DEFAULT), asked.get("cursor"))
        cursor = None if page.next is None else alert_cursor(page.next)
        return _answer(page.rows, {AS_OF: _alerts_as_of(page.rows, now), **_link(ALERTS, asked, cursor)})

    def health(self, request: ApiRequest) -> Response[bytes]:
        parse_query(request.scope["query_string"], NONE)
        if not self._reads.is_reachable():
            raise unavailable(RETRY_AFTER_S)
        return _answer(Health("ok"), {AS_OF: _instant(self._clock())})

    def _admit(self, caller: Caller) -> None:
        if not self._rates.admits(caller.bearer):
            text = "This token has made more requests than it may"
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": str(WINDOW_S)})


def _answer(body: object, headers: Mapping[str, str]) -> Response[bytes]:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(encoded, media_type="application/json", headers={"Cache-Control": "no-store", **headers})


def _as_of(plants: Iterable[ShownPlant], now: datetime) -> str:
    """The newest instant at which one of them was polled, or changed its status by the clock; without any, the present."""
    instants = (at for plant in plants for at in (plant.last_poll_at, plant.status_since) if at is not None)
    return _instant(max(instants, default=now))


def _alerts_as_of(alerts: Iterable[ShownAlert], now: datetime) -> str:
    """The newest instant at which one of them was seen, acknowledged or resolved; without any, the present."""
    instants = (at for alert in alerts for at in (alert.last_seen_at, alert.acked_at, alert.resolved_at) if at is not None)
    return _instant(max(instants, default=now))


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _link(route: str, asked: Mapping[str, Any], cursor: str | None) -> dict[str, str]:
    """The next page, as a relative reference: what a Host header says is not to be repeated."""
    if cursor is None:
        return {}
    query = urlencode({**{name: str(value) for name, value in asked.items()}, "cursor": cursor})
    return {"Link": f'<{route}?{query}>; rel="next"'}
