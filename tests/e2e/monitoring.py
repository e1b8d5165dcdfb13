"""A real Prometheus in the cluster, and questions to it."""

import json
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from hack.e2e.cluster import Cluster
from hack.image import IMAGE

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "charts" / "solarinvest-monitor" / "files" / "alerts.yaml"
NAMESPACE = "monitoring"
START_S = 120


class Prometheus:
    """Deployed from prometheus.yaml with the rules of the chart."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def start(self) -> Self:
        """Raises `CommandError` if it does not become ready."""
        manifest = (HERE / "prometheus.yaml").read_text().replace("image: IMAGE", f"image: {IMAGE}")
        self._cluster.kubectl("apply", "--filename=-", stdin=manifest)
        for name, file in (("rules", RULES), ("discovery", HERE / "discovery.py")):
            about = {"name": name, "namespace": NAMESPACE}
            self._cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {file.name: file.read_text()}})
        status = ("rollout", "status", "deployment/prometheus", f"--namespace={NAMESPACE}", f"--timeout={START_S}s")
        self._cluster.kubectl(*status, bound_seconds=START_S + 10)
        return self

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series with `metric` and `value` now."""
        found: list[dict[str, Any]] = self._ask(f"query?query={quote(expression)}")["result"]
        return found

    def value(self, expression: str) -> float:
        """Of an expression with one series; 0 where it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0

    def rules(self) -> list[dict[str, Any]]:
        """Alert rules as loaded, with health and state."""
        return [rule for group in self._ask("rules?type=alert")["groups"] for rule in group["rules"]]

    def _ask(self, path: str) -> dict[str, Any]:
        # By way of the API server: needs no port of this machine.
        answer = self._cluster.kubectl("get", f"--raw=/api/v1/namespaces/{NAMESPACE}/services/prometheus:web/proxy/api/v1/{path}")
        data: dict[str, Any] = json.loads(answer)["data"]
        return data
