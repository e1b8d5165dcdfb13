"""The api role: serves the read API (DOMAIN 7) until SIGTERM, and says by its probes whether it does."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog
import uvicorn

from controller.api.app import build_app
from controller.api.connections import HEAD_BYTES_MAX, BoundedProtocol
from controller.api.openapi import document
from controller.api.routes import Routes
from controller.api.tokens import TokenChecker
from controller.metrics import Metrics
from controller.probes import Progress
from controller.queueing.rates import RequestRates
from controller.stop_signals import StopSignals
from controller.storage.reads import Reads

log = structlog.get_logger()

LOOP = "api"
LOOP_EVERY_S = 2.0
START_EVERY_S = 0.05
KEEP_ALIVE_S = 30
"""How long a connection may be idle: longer than clients usually pause, for one that ends as the next request comes is an error there."""
LOOP_BOUND_S = 10.0
"""Longest that the server may not come round, and that it is ready without having reached the database: a look takes 5 s at most."""


def run(
    reads: Reads,
    rates: RequestRates,
    tokens: TokenChecker,
    metrics: Metrics,
    progress: Progress,
    clock: Callable[[], datetime],
    *,
    host: str,
    port: int,
    serves_schema: bool,
) -> None:
    """Serves until SIGTERM or SIGINT, which uvicorn handles: open requests are finished within a bound."""
    app = build_app(Routes(reads, rates, clock, document() if serves_schema else None), tokens, metrics)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        # What clients get wrong is counted, and is no line in the log each time.
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
        backlog=512,
    )
    # uvicorn raises the signal again once it has stopped: here it is heard, and the role ends with 0.
    StopSignals()
    log.info("api_listens", host=host, port=port, schema=serves_schema)
    asyncio.run(_serve(uvicorn.Server(config), reads, metrics, progress))


async def _serve(server: uvicorn.Server, reads: Reads, metrics: Metrics, progress: Progress) -> None:
    watching = asyncio.create_task(_watch(server, reads, metrics, progress))
    await server.serve()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def _watch(server: uvicorn.Server, reads: Reads, metrics: Metrics, progress: Progress) -> None:
    """Comes round on the server's own loop, so that one that hangs shows; ready is who listens and can read."""
    while True:
        await asyncio.sleep(LOOP_EVERY_S if server.started else START_EVERY_S)
        if not server.started:
            continue
        began = asyncio.get_running_loop().time()
        is_reachable = await asyncio.to_thread(reads.is_reachable)
        progress.turned(LOOP, succeeded=is_reachable)
        metrics.record_turn(LOOP, "ok" if is_reachable else "StoreUnavailable", asyncio.get_running_loop().time() - began)
