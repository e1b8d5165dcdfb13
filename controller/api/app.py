"""The ASGI application: routes, access, errors. Built by `main` and by tests."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException

from controller.api.access import BearerAccess
from controller.api.doors import Doors
from controller.api.front import Front
from controller.api.problems import MEDIA_TYPE, ProblemError, encoded, unavailable
from controller.api.routes import ALERTS, HEALTH, PLANT, PLANTS, RETRY_AFTER_S, SCHEMA, SCHEMA_FILE, Routes
from controller.api.tokens import TokenChecker
from controller.domain.errors import StoreUnavailable
from controller.metrics import Metrics

log = structlog.get_logger()

ROUTES = (PLANTS, PLANT, ALERTS, HEALTH, SCHEMA, SCHEMA_FILE)
_KEPT = ("allow", "retry-after")
"""Headers of Litestar's exceptions that say something to clients."""

AnyRequest = Request[Any, Any, Any]


def build_app(routes: Routes, tokens: TokenChecker, metrics: Metrics) -> Front:
    """The application, to be served by uvicorn or called in a test."""
    doors = Doors(time.monotonic)
    app = Litestar(
        routes.handlers(),
        middleware=[BearerAccess(tokens, doors)],
        exception_handlers={
            ProblemError: _on_problem,
            StoreUnavailable: _on_unavailable,
            HTTPException: _on_http_error,
            Exception: _on_defect,
        },
        # The document is our own (`openapi.py`): it says of parameters and headers what the code checks.
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    return Front(app, ROUTES, metrics, doors)


def _on_problem(_: AnyRequest, error: ProblemError) -> Response[bytes]:
    return _response(error)


def _on_unavailable(_: AnyRequest, error: StoreUnavailable) -> Response[bytes]:
    # The sessions have told it once; here it would be a line for each request.
    log.debug("request_without_database", message=str(error))
    return _response(unavailable(RETRY_AFTER_S))


def _on_http_error(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Litestar's own: no such route, a method that is not there. Its text may quote what was sent, so that of the status stands for it."""
    status = HTTPStatus(error.status_code)
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in _KEPT}
    return _response(ProblemError(status, status.description or status.phrase, headers))


def _on_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
    log.error("request_failed", path=request.scope["path"], exc_info=error)
    return _response(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "The request could not be answered"))


def _response(error: ProblemError) -> Response[bytes]:
    headers: Mapping[str, str] = {"Cache-Control": "no-store", **error.headers}
    return Response(encoded(error.problem), status_code=error.problem.status, media_type=MEDIA_TYPE, headers=headers)
