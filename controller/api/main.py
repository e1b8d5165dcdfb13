"""The api role. In this version it answers `GET /api/v1/health` only: the routes over plants and alerts are still to come (DOMAIN 7)."""

import msgspec
import uvicorn
from litestar import Litestar, get
from litestar.exceptions import ServiceUnavailableException

from controller.probes import Progress
from controller.storage.database import Database

LOOP = "api"
LOOP_BOUND_S = 60.0


class Health(msgspec.Struct, frozen=True):
    """The body of the health probe."""

    status: str


def build_app(database: Database, progress: Progress) -> Litestar:
    """The ASGI application. Answers 503 where the database does not."""

    @get("/api/v1/health", sync_to_thread=True)
    def health() -> Health:
        if not database.is_reachable():
            raise ServiceUnavailableException(headers={"Retry-After": "5"})
        progress.turned(LOOP)
        return Health("ok")

    return Litestar([health], openapi_config=None, logging_config=None)


def run(database: Database, progress: Progress, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, which uvicorn handles: open requests are finished within a bound."""
    app = build_app(database, progress)
    uvicorn.run(app, host=host, port=port, log_config=None, timeout_graceful_shutdown=10, timeout_keep_alive=5, limit_concurrency=512)
