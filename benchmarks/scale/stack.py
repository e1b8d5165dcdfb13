"""What a run consists of: real servers, the real operator under its own account, a worker a brand. Called by `run`."""

import sys
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from controller.storage.migrate import upgrade
from hack.devstack.control_plane import ControlPlane, resources_in
from hack.devstack.ports import free_port
from hack.devstack.postgres import Postgres
from hack.devstack.program import Process, Program
from hack.devstack.valkey import Valkey
from integrations.contract import Brand

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
READY_WITHIN_S = 120.0
STOP_WITHIN_S = 60.0
DATABASE = "scale"
OPERATOR = "operator"
_SOLARINVEST = "from controller.cli import main; main()"
Samples = Mapping[tuple[str, str], float]
"""Values of a process's metrics by name and value of its first label ("" without one)."""


class Stack:
    """Everything that a run needs, in `folder`. As a context manager it starts on entry and ends on exit, whatever happens."""

    def __init__(self, folder: Path, resync_s: float) -> None:
        self._folder = folder
        self._resync_s = resync_s
        self._life = ExitStack()
        self.postgres = Postgres(folder / "postgres")
        self.valkey = Valkey(folder / "valkey")
        self.control_plane = ControlPlane(folder / "kubernetes")
        self.database_url = ""
        self.operator: Process
        self._ports: dict[str, int] = {}
        self._workers: dict[str, Process] = {}

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for server in (self.postgres, self.valkey, self.control_plane):
                starting.enter_context(server)
            self.control_plane.apply(MANIFESTS / "crd", MANIFESTS / "rbac")
            self.database_url = self.postgres.create_database(DATABASE)
            upgrade(self.database_url)
            self.operator = Process(self._program(OPERATOR, (OPERATOR,), self._operator_env()))
            starting.callback(lambda: self.operator.stop(STOP_WITHIN_S))
            self.start_operator()
            for brand in Brand:
                worker = Process(
                    self._program(f"worker-{brand.slug}", ("worker", "--brand", brand.slug), {"INTEGRATION_MOCK_MODE": "true"})
                )
                starting.callback(worker.stop, STOP_WITHIN_S)
                worker.start()
                self._workers[worker.program.name] = worker
            for worker in self._workers.values():
                worker.wait_ready(lambda name=worker.program.name: self.is_ready(name), READY_WITHIN_S)  # type: ignore[misc]  # bound early
            self._life = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._life.close()

    def start_operator(self) -> None:
        """Starts it and waits until it says that it is ready."""
        self.operator.start()
        self.operator.wait_ready(lambda: self.is_ready(OPERATOR), READY_WITHIN_S)

    def parts(self) -> dict[str, int]:
        """Process id by part: where CPU and memory are read, with each one's descendants."""
        etcd, apiserver = self.control_plane.pids()
        workers = {name: worker.pid for name, worker in self._workers.items()}
        return {
            OPERATOR: self.operator.pid,
            **workers,
            "kube-apiserver": apiserver,
            "etcd": etcd,
            "postgres": self.postgres.pid,
            "valkey": self.valkey.pid,
        }

    def samples(self, name: str = OPERATOR) -> Samples:
        """The process's metrics as they are now. Raises `OSError` where it does not answer."""
        families = text_string_to_metric_families(self._get(name, "/metrics"))
        return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for family in families for sample in family.samples}

    def _operator_env(self) -> dict[str, str]:
        account = next(
            a["metadata"] for a in resources_in(MANIFESTS / "rbac", kind="ServiceAccount") if "operator" in a["metadata"]["name"]
        )
        kubeconfig = self.control_plane.kubeconfig_for(account["name"], account.get("namespace", "default"))
        return {"KUBECONFIG": str(kubeconfig), "RESYNC_SECONDS": f"{self._resync_s:g}"}

    def _program(self, name: str, arguments: tuple[str, ...], env: Mapping[str, str]) -> Program:
        self._ports[name] = free_port()
        common = {"DATABASE_URL": self.database_url, "REDIS_URL": self.valkey.url, "METRICS_PORT": str(self._ports[name])}
        argv = (sys.executable, "-c", _SOLARINVEST, *arguments)
        return Program(name, argv, folder=ROOT, log=self._folder / f"{name}.log", env={**common, "LOG_LEVEL": "WARNING", **env})

    def is_ready(self, name: str) -> bool:
        """Whether the role says so."""
        try:
            self._get(name, "/readyz")
        except OSError:
            return False
        return True

    def _get(self, name: str, path: str) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self._ports[name]}{path}", timeout=10) as answer:
            content: bytes = answer.read()
        return content.decode()
