"""Finds pods by their annotations prometheus.io/*, for a Prometheus without Kubernetes' own discovery (Debian's is built so).

Runs beside it in its pod, by the image's Python; Prometheus asks it by http_sd. The same rules as the usual relabelling.
"""

import json
import ssl
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PODS = "https://kubernetes.default.svc/api/v1/namespaces/solarinvest/pods"
PORT = 8000


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Target groups as http_sd wants them: of pods that run and say `prometheus.io/scrape`."""
    found = []
    for pod in pods:
        about, annotations = pod["metadata"], pod["metadata"].get("annotations", {})
        if annotations.get("prometheus.io/scrape") != "true" or pod["status"].get("phase") != "Running":
            continue
        labels = {"namespace": about["namespace"], "pod": about["name"], "__metrics_path__": annotations["prometheus.io/path"]}
        found.append({"targets": [f"{pod['status']['podIP']}:{annotations['prometheus.io/port']}"], "labels": labels})
    return found


def read_pods() -> list[dict[str, Any]]:
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(PODS, headers={"Authorization": f"Bearer {token}"})
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:
        items: list[dict[str, Any]] = json.load(answer)["items"]
        return items


class Discovery(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(targets(read_pods())).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Discovery).serve_forever()
