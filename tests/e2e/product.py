"""The installed release as a person with a terminal sees it, and its database. Used by every module here."""

import base64
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg

from hack.devstack.waiting import wait_until
from hack.e2e.cluster import Cluster

NAMESPACE = "solarinvest"
RELEASE = "solarinvest"
BRANDS = ("solis", "huawei", "goodwe", "dele")
DEPLOYMENTS = ("solarinvest-operator", "solarinvest-api", *(f"solarinvest-worker-{brand}" for brand in BRANDS))
ROLLOUT_S = 180
EXCHANGE_S = 1
"""How long an exchange takes under SLOW_SOLIS: long enough for a poll to be met in the middle, short enough for all of a minute's."""
SLOW_SOLIS = f"workers.solis.extraEnv[0].name=FAIL,workers.solis.extraEnv[0].value=mid-exchange:sleep={EXCHANGE_S}"
"""A setting of the chart."""


class Left(list[object]):
    """What is not yet as it should be: true once that is nothing. `wait_until` shows it when the bound passes."""

    def __bool__(self) -> bool:
        return len(self) == 0


class Product:
    """A release by its cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    # What Kubernetes shows

    def plants(self, namespace: str) -> list[dict[str, Any]]:
        return self.cluster.items("plants", f"--namespace={namespace}")

    def plant(self, name: str, namespace: str) -> dict[str, Any]:
        return self.cluster.get("plant", name, f"--namespace={namespace}")

    def shown(self, namespace: str) -> dict[str, str]:
        """Health and reason of every Plant, by name; empty texts where there is no status yet."""
        statuses = {plant["metadata"]["name"]: plant.get("status", {}) for plant in self.plants(namespace)}
        return {name: f"{status.get('health', '')} {status.get('reason', '')}".strip() for name, status in statuses.items()}

    def wait_shown(self, namespace: str, allowed: Collection[str], bound_seconds: float, *, at_least: int = 1) -> None:
        """Until that many Plants are there and each shows one of `allowed`. Raises `WaitTimeoutError` naming those that do not."""

        def left() -> Left:
            shown = self.shown(namespace)
            missing = [f"{at_least - len(shown)} more Plants"] if len(shown) < at_least else []
            return Left([f"{name}: {told}" for name, told in shown.items() if told not in allowed] + missing)

        wait_until(left, bound_seconds, f"Plants of {namespace} are {' or '.join(sorted(allowed))}", every_seconds=0.5)

    def wait_status(self, name: str, namespace: str, told: str, bound_seconds: float) -> dict[str, Any]:
        """The Plant once it shows `told`, as in `RED Offline`."""
        wait_until(lambda: self.shown(namespace)[name] == told, bound_seconds, f"{namespace}/{name} is {told}", every_seconds=0.5)
        return self.plant(name, namespace)

    def annotate(self, name: str, namespace: str, **annotations: str) -> None:
        texts = [f"monitor.solarinvest.info/{key.replace('_', '-')}={value}" for key, value in annotations.items()]
        self.cluster.kubectl("annotate", "plant", name, f"--namespace={namespace}", "--overwrite", *texts)

    # Pods

    def pods(self, component: str | None = None, brand: str | None = None) -> list[dict[str, Any]]:
        """Pods that run (not those that end) of the release, a component or a brand's workers."""
        labels = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": component, "monitor.solarinvest.info/brand": brand}
        selector = ",".join(f"{key}={value}" for key, value in labels.items() if value)
        found = self.cluster.items("pods", f"--namespace={NAMESPACE}", f"--selector={selector}", "--field-selector=status.phase=Running")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def one_pod(self, component: str, brand: str | None = None) -> str:
        """Name of a pod that is ready."""
        return next(str(pod["metadata"]["name"]) for pod in self.pods(component, brand) if is_ready(pod))

    def execute(self, pod: str, *command: str) -> str:
        return self.cluster.kubectl("exec", f"--namespace={NAMESPACE}", pod, "--", *command)

    def logs(self) -> dict[str, str]:
        """What every container of the release has written, also before a restart, by pod."""
        texts = {}
        for pod in self.cluster.items("pods", f"--namespace={NAMESPACE}"):
            name = pod["metadata"]["name"]
            told = self.cluster.kubectl("logs", f"--namespace={NAMESPACE}", name, "--all-containers", "--tail=-1")
            if any(state["restartCount"] for state in pod["status"].get("containerStatuses", [])):
                told += self.cluster.kubectl("logs", f"--namespace={NAMESPACE}", name, "--previous", "--tail=-1")
            texts[name] = told
        return texts

    def wait_rolled_out(self, *deployments: str) -> None:
        """Until each has all its new pods ready and no old one left."""
        for name in deployments or DEPLOYMENTS:
            command = ("rollout", "status", f"deployment/{name}", f"--namespace={NAMESPACE}", f"--timeout={ROLLOUT_S}s")
            self.cluster.kubectl(*command, bound_seconds=ROLLOUT_S + 10)
        wait_until(self._no_pod_ends, ROLLOUT_S, "no pod is ending", every_seconds=1)

    def upgrade(self, *settings: str) -> None:
        """`helm upgrade` of what is installed, with `--set` for each of `settings`; returns when all of it is rolled out."""
        options = [f"--set={setting}" for setting in settings]
        self.cluster.helm(
            "upgrade", RELEASE, "charts/solarinvest-monitor", f"--namespace={NAMESPACE}", "--reset-then-reuse-values", *options
        )
        self.wait_rolled_out()

    def _no_pod_ends(self) -> bool:
        pods = self.cluster.items("pods", f"--namespace={NAMESPACE}")
        return not any("deletionTimestamp" in pod["metadata"] for pod in pods)

    # Secrets and database

    def secrets(self) -> dict[str, str]:
        """Every value of every Secret of the release's namespace, by `name/key`. Helm's own hold the whole chart: they are left out."""
        secrets = self.cluster.items("secrets", f"--namespace={NAMESPACE}", "--field-selector=type=Opaque")
        return {
            f"{secret['metadata']['name']}/{key}": base64.b64decode(value).decode()
            for secret in secrets
            for key, value in secret["data"].items()
        }

    @contextmanager
    def database(self) -> Iterator[str]:
        """URL under which this machine reaches the release's database."""
        inside = urlsplit(self.secrets()["solarinvest-postgres/url"])
        with self.cluster.forward(NAMESPACE, "service/solarinvest-postgres", 5432) as port:
            yield urlunsplit(inside._replace(netloc=f"{inside.username}:{inside.password}@127.0.0.1:{port}"))

    def rows(self, query: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        with self.database() as url, psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(query, parameters).fetchall()

    # Pods of our own

    def run_pod(
        self, name: str, namespace: str, command: Sequence[str], *, image: str, env: Collection[tuple[str, str]] = ()
    ) -> tuple[int, str]:
        """Exit code and output of `command` in a new pod that keeps to the level restricted; the pod is gone afterwards."""
        self.cluster.apply(restricted_pod(name, namespace, command, image=image, env=env))
        try:
            wait_until(lambda: self._ended(name, namespace) is not None, 60, f"pod {name} ends", every_seconds=0.5)
            code = self._ended(name, namespace)
            assert code is not None
            return code, self.cluster.kubectl("logs", name, f"--namespace={namespace}")
        finally:
            self.cluster.kubectl("delete", "pod", name, f"--namespace={namespace}", "--grace-period=0", "--force")

    def _ended(self, name: str, namespace: str) -> int | None:
        states = self.cluster.get("pod", name, f"--namespace={namespace}")["status"].get("containerStatuses", [])
        codes = [state["state"]["terminated"]["exitCode"] for state in states if "terminated" in state["state"]]
        return codes[0] if codes else None


def is_ready(pod: dict[str, Any]) -> bool:
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in pod["status"].get("conditions", []))


def restricted_pod(
    name: str, namespace: str, command: Sequence[str], *, image: str, env: Collection[tuple[str, str]] = (), **security: Any
) -> dict[str, Any]:
    """A pod that runs `command` once and keeps to Pod Security's level restricted, but for what `security` says of its container."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in env],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **security},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def condition(plant: dict[str, Any], kind: str) -> dict[str, Any]:
    """A Plant's condition. Raises StopIteration where it has none of that kind."""
    return next(found for found in plant["status"]["conditions"] if found["type"] == kind)


def as_json(text: str) -> Any:
    return json.loads(text)
