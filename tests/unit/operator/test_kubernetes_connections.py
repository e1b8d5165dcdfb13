"""Requests share their connections: a TLS handshake costs both sides more than the request itself."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from controller.operator.kubernetes_api import EventsApi, PlantsApi

ANSWER = b'{"metadata": {"resourceVersion": "7", "uid": "x"}, "status": {"health": "GREEN"}}'


class Server(ThreadingHTTPServer):
    """Answers everything with the same object, and counts who connects."""

    connections = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 the standard library's names

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def configuration(server: Server) -> client.Configuration:
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_address[1]}"
    configuration.retries = False
    return configuration


def test_events_are_posted_over_one_connection(server: Server) -> None:
    events = EventsApi(configuration(server))
    for number in range(3):
        assert events.create("default", {"metadata": {"name": f"event-{number}"}, "involvedObject": {"kind": "Plant", "name": "roof"}})
    assert server.connections == 1


def test_reads_and_patches_of_plants_are_too(server: Server) -> None:
    plants = PlantsApi(configuration(server))
    for _ in range(3):
        assert plants.get("default", "roof") is not None
        patched = plants.patch_status("default", "roof", "x", "6", {"health": "GREEN"})
        assert (patched.resource_version, patched.status) == (7, {"health": "GREEN"})
    assert server.connections == 1
