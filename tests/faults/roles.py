"""The product's roles as processes that a test starts, freezes, continues and kills, at a known place on a job's way."""

import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from hack.devstack.ports import free_port
from hack.devstack.program import Process, Program, send, tail
from hack.devstack.waiting import wait_until

START_S = 60.0
"""Until a role has got as far as a failpoint: a cold import takes 3 s, five at once on two busy cores many times that."""
_CLI = "from controller.cli import main; main()"
SCHEDULER = Path(__file__).with_name("scheduler_process.py")


def boottime() -> float:
    """The clock of leases and of the ledger, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Role:
    """One process of the product, run from `code` (the checkout or a mutant). Never restarted: a new one is another `Role`."""

    def __init__(self, name: str, argv: tuple[str, ...], code: Path, folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.metrics_port = free_port()
        self.died_at: float | None = None
        """When it was seen to have ended (`boottime`), at most some milliseconds late."""
        environment = {**env, "PYTHONPATH": str(code), "METRICS_PORT": str(self.metrics_port)}
        # SIGKILL where the test ends first: a frozen process would never hear SIGTERM.
        program = Program(name, (sys.executable, *argv), folder=folder, log=self.log, env=environment, stop_signal=signal.SIGKILL)
        self._process = Process(program)

    @classmethod
    def of_cli(cls, name: str, arguments: tuple[str, ...], code: Path, folder: Path, env: Mapping[str, str]) -> Self:
        """`solarinvest ...`, by module, so that a mutant's code can stand in for the installed one."""
        return cls(name, ("-c", _CLI, *arguments), code, folder, env)

    @classmethod
    def of_scheduler(cls, name: str, code: Path, folder: Path, env: Mapping[str, str]) -> Self:
        """The operator's scheduling loops without Kubernetes (scheduler_process.py)."""
        return cls(name, (str(SCHEDULER),), code, folder, env)

    def start(self) -> Self:
        self._process.start()
        threading.Thread(target=self._note_death, name=f"death of {self.name}", daemon=True).start()
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def is_frozen(self) -> bool:
        """Stopped by SIGSTOP, by its own failpoint or by `freeze`. Raises `RuntimeError` with its log if it has ended instead."""
        if not self.running:
            raise RuntimeError(f"{self.name} ended with code {self.returncode}. Last lines of its log:\n{tail(self.log, 40)}")
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def wait_frozen(self, bound_s: float = START_S) -> Self:
        """Waits until it has stopped itself at its failpoint."""
        wait_until(lambda: self.is_frozen, bound_s, f"{self.name} to stop at its failpoint")
        return self

    def freeze(self) -> None:
        """SIGSTOP."""
        send(self.pid, signal.SIGSTOP)

    def proceed(self) -> None:
        """SIGCONT. A failpoint stops it again at its next pass: see `proceed_for_good`."""
        send(self.pid, signal.SIGCONT)

    def proceed_for_good(self) -> "Pacer":
        """Continues it now and whenever its failpoint stops it again; ends with the `with` block."""
        return Pacer(self)

    def kill(self) -> float:
        """kill -9, also of a frozen one. When it was gone (`boottime`)."""
        self._process.kill()
        return boottime()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        send(self.pid, signal.SIGTERM)

    def wait(self, bound_s: float) -> int:
        """The exit code, once it has ended by itself."""
        return self._process.wait(bound_s)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of a metric that have these labels; 0 where there is none, or nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())

    @property
    def has_started_afresh(self) -> bool:
        """A worker's crew that lost its heartbeat has let go of what it held, and takes under a new name."""
        return self.metric("solarinvest_worker_retirements_total") >= 1

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _note_death(self) -> None:
        # Does not reap it: `Process` does, perhaps before we look.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self.died_at = boottime()


class Pacer:
    """Sends SIGCONT to a role whenever it is stopped: past a failpoint that every job passes."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pacer of {role.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self._role.running and not self._stop.wait(0.005):
            self._role.proceed()
