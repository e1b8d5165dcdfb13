"""The one port of every role: /metrics, /healthz by progress, /readyz by success. And the watchdog that ends a role that hangs."""

import os
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import structlog

log = structlog.get_logger()

REQUEST_TIMEOUT_S = 5.0
EXIT_HUNG = 70
_WATCH_EVERY_S = 5.0


class LoopHealth(msgspec.Struct, frozen=True):
    """Ages in seconds: since the loop last came round, and since it last did so without an error (None: never)."""

    turned_s: float
    succeeded_s: float | None
    bound_s: float

    @property
    def is_turning(self) -> bool:
        return self.turned_s <= self.bound_s

    @property
    def is_succeeding(self) -> bool:
        return self.succeeded_s is not None and self.succeeded_s <= self.bound_s


class Progress:
    """When each loop of this process last came round. A turn that failed because a server was away is a turn all the same.

    Uses CLOCK_BOOTTIME, so that a suspended machine counts as time passed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bounds: dict[str, float] = {}
        self._turned: dict[str, float] = {}
        self._succeeded: dict[str, float] = {}

    def expect(self, loop: str, bound_s: float) -> None:
        """Registers a loop that must come round at least every `bound_s` seconds from now on."""
        with self._lock:
            self._bounds[loop] = bound_s
            self._turned[loop] = _boottime()

    def turned(self, loop: str, succeeded: bool = True) -> None:
        now = _boottime()
        with self._lock:
            self._turned[loop] = now
            if succeeded:
                self._succeeded[loop] = now

    def health(self) -> dict[str, LoopHealth]:
        now = _boottime()
        with self._lock:
            return {
                loop: LoopHealth(now - self._turned[loop], None if loop not in self._succeeded else now - self._succeeded[loop], bound)
                for loop, bound in self._bounds.items()
            }

    def is_healthy(self) -> bool:
        return all(loop.is_turning for loop in self.health().values())

    def is_ready(self) -> bool:
        """False too while no loop is registered: a role that is still starting has succeeded at nothing."""
        health = self.health()
        return bool(health) and all(loop.is_succeeding for loop in health.values())


def watch(progress: Progress, stop: threading.Event) -> threading.Thread:
    """Ends the process once a loop has not come round within three times its bound: whoever runs us starts it afresh."""

    def run() -> None:
        while not stop.wait(_WATCH_EVERY_S):
            hung = [name for name, loop in progress.health().items() if loop.turned_s > 3 * loop.bound_s]
            if hung:
                log.critical("loops_hang", loops=hung)
                os._exit(EXIT_HUNG)

    thread = threading.Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    return thread


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Of whoever hangs up in the middle, for one. The standard library would print a traceback of many lines."""
        log.warning("probe_failed", exc_info=True)


class ProbeServer:
    """Serves the probes on a thread of its own. `port` is the one in use, also where 0 was asked for."""

    def __init__(self, host: str, port: int, exposition: Callable[[], tuple[bytes, str]], progress: Progress) -> None:
        handler = type("Handler", (_ProbeHandler,), {"exposition": staticmethod(exposition), "progress": progress})
        self._server = _Server((host, port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        # `shutdown` waits for a loop to end: were none running, it would wait for ever.
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _ProbeHandler(BaseHTTPRequestHandler):
    exposition: Callable[[], tuple[bytes, str]]
    progress: Progress
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        match self.path:
            case "/metrics":
                body, content_type = self.exposition()
                self._answer(HTTPStatus.OK, body, content_type)
            case "/healthz":
                self._report(self.progress.is_healthy())
            case "/readyz":
                self._report(self.progress.is_ready())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"/metrics, /healthz, /readyz\n", "text/plain")

    def _report(self, ok: bool) -> None:
        """The ages of all loops, so that the one that hangs can be told by its name."""
        body = msgspec.json.encode({"ok": ok, "loops": self.progress.health()})
        self._answer(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, body, "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
        """Probes come every few seconds: they are not logged."""


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
