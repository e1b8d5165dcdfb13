"""files/test.py, which `helm test` runs in a pod."""

import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.chart.rendering import BRANDS, CHART, Rendered

SCRIPT = CHART / "files" / "test.py"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good" else 503)
        self.end_headers()
        self.wfile.write(b"loops: poll")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Its names, with no time to wait."""
    names = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(names["main"].__globals__, "BOUND_S", 0)
    return names


def test_it_ends_well_where_all_answer(script: dict[str, Any], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = script["answers"](f"{url}/good")
    assert "200" in found.values()
    assert script["main"]([f"{url.replace('localhost', '127.0.0.1')}/good"]) == 0
    assert capsys.readouterr().out.startswith("ok  ")


def test_it_ends_badly_and_says_what_was_answered(script: dict[str, Any], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    address = url.replace("localhost", "127.0.0.1")
    assert script["main"]([f"{address}/good", f"{address}/bad"]) == 1
    assert "at 127.0.0.1: 503 loops: poll" in capsys.readouterr().out


@pytest.mark.parametrize("gone", ["http://127.0.0.1:9/readyz", "http://no-such-host.invalid:9100/readyz"])
def test_what_is_not_there_is_told(script: dict[str, Any], gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert script["main"]([gone]) == 1
    assert f"NOT OK  {gone}" in capsys.readouterr().out


def test_the_pod_asks_every_role(demo: Rendered) -> None:
    [pod] = demo.of("Pod")
    [container] = pod["spec"]["containers"]
    text, *urls = container["args"]
    assert text == SCRIPT.read_text()
    assert container["command"] == ["python3", "-c"]
    assert urls == [
        "http://solarinvest-operator:9100/readyz",
        *(f"http://solarinvest-worker-{brand}:9100/readyz" for brand in BRANDS),
        "http://solarinvest-api:8080/api/v1/health",
    ]
    services = {one["metadata"]["name"] for one in demo.of("Service")}
    assert {each.split("/")[2].split(":")[0] for each in urls} <= services
