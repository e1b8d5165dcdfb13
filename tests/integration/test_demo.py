"""`make demo` on this machine, with every real part: it fills, it heals, it leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from hack.devstack.program import base_environment
from hack.devstack.supervision import Supervisor
from hack.devstack.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
"""60 on a machine that does nothing else."""
BOUND = 60
SAMPLES = 4
GREEN_ROW = re.compile(r"^(?:default +)?\S+ +(?:SOLIS|HUAWEI|GOODWE|DELE) +GREEN +Reporting +\S+W +\S+kWh", re.MULTILINE)
"""A filled row of `kubectl get plants`: status, reason, power, energy of the day."""
EXPECTED = "demo.solarinvest.info/expected"
REFUSED = {
    "auth-error": "AuthFailed",
    "malformed": "InvalidDataFormat",
    "not-found": "PlantNotFound",
    "rate-limit": "RateLimitExceeded",
    "timeout": "NetworkTimeout",
}
"""Why the polls of these scenarios bring no reading, as condition Polled says."""
PROGRAMS = {
    "etcd",
    "kube-apiserver",
    "postgres",
    "valkey",
    "operator",
    "worker-solis",
    "worker-huawei",
    "worker-goodwe",
    "worker-dele",
    "api",
}


class Demo:
    """The command `python -m hack.demo` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor = Supervisor(folder)

    def run(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        with self.begin(command, **env) as process:
            output, _ = process.communicate(timeout=START_SECONDS)
            return subprocess.CompletedProcess(command, process.returncode, output)

    def begin(self, command: str, **env: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("KUBEBUILDER_ASSETS", "XDG_CACHE_HOME") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "hack.demo", command, "--folder", str(self.folder)],
            cwd=ROOT,
            env={**base_environment(), **kept, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def shell(self, script: str) -> str:
        """What a POSIX shell prints that has sourced the demo's env."""
        command = ["sh", "-ec", f". {self.folder}/env\n{script}"]
        return subprocess.run(command, env=base_environment(), capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def demo() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-test-"))
    made = Demo(folder / ".demo")
    yield made
    made.supervisor.shut_down()
    shutil.rmtree(folder)


@pytest.mark.lasts(65)
def test_the_demo_fills_heals_itself_and_leaves_nothing_behind(demo: Demo) -> None:
    started = demo.run("up")
    assert started.returncode == 0, started.stdout
    assert len(GREEN_ROW.findall(started.stdout)) == SAMPLES, started.stdout

    assert all(colour in started.stdout for colour in ("GREEN", "YELLOW", "RED", "GREY"))
    _every_scenario_is_as_told_within_two_polls(demo)

    # A person's shell
    assert len(GREEN_ROW.findall(demo.shell("kubectl get plants"))) == SAMPLES
    url, token = demo.shell('echo "$API_URL $API_TOKEN"').split()
    request = urllib.request.Request(f"{url}/api/v1/health", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    metrics = demo.shell("echo $METRICS_URLS").split()
    assert len(metrics) == len(PROGRAMS) - 4
    for address in metrics:
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert b"solarinvest_" in answer.read()

    # What holds a password or a key
    for name in ("env", "jwt-secret", "supervisord.conf", "kubernetes/admin.kubeconfig", "kubernetes/operator.kubeconfig"):
        assert (demo.folder / name).stat().st_mode & 0o077 == 0, name

    again = demo.run("up")
    assert (again.returncode, "runs already" in again.stdout) == (0, True)

    # A worker is killed
    first = demo.supervisor.state("worker-solis").pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: demo.supervisor.state("worker-solis").pid not in (0, first), BOUND, "another worker")
    wait_until(lambda: demo.run("status").returncode == 0, BOUND, "everything to run")
    assert {state.name for state in demo.supervisor.states()} == PROGRAMS

    ended = demo.run("down")
    assert ended.returncode == 0, ended.stdout
    assert demo.supervisor.processes() == []
    assert not demo.folder.exists()
    assert demo.run("status").returncode == 3


def test_a_start_that_fails_says_why_and_leaves_no_process(demo: Demo) -> None:
    failed = demo.run("up", DATABASE_URL="postgresql://nobody:secret-of-nobody@127.0.0.1:9/none")
    assert failed.returncode == 1
    assert "migrate" in failed.stdout
    assert "secret-of-nobody" not in failed.stdout
    assert demo.supervisor.processes() == []
    assert [entry.name for entry in demo.folder.iterdir()] == ["logs"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_start_leaves_no_process(demo: Demo, number: signal.Signals) -> None:
    with demo.begin("up") as process:
        wait_until(lambda: "etcd" in _names(demo), START_SECONDS, "the first server to run")
        process.send_signal(number)
        output, _ = process.communicate(timeout=BOUND)
    assert process.returncode == 130, output
    assert demo.supervisor.processes() == []


def test_what_a_killed_demo_left_is_cleaned_up_by_down(demo: Demo) -> None:
    with demo.begin("up") as process:
        wait_until(lambda: "etcd" in _names(demo), START_SECONDS, "the first server to run")
        process.kill()
        process.communicate(timeout=BOUND)
    assert demo.supervisor.processes() != []
    assert demo.run("down").returncode == 0
    assert demo.supervisor.processes() == []


def _every_scenario_is_as_told_within_two_polls(demo: Demo) -> None:
    polls: LiteralString = "SELECT p.name, count(l.plant_id) FROM plants p LEFT JOIN poll_logs l USING (plant_id) GROUP BY p.name"
    with psycopg.connect(demo.shell("echo $DATABASE_URL").strip(), connect_timeout=5) as connection:
        counts: dict[str, int] = dict(connection.execute(polls).fetchall())
    plants = json.loads(demo.shell("kubectl get plants -n scenarios -o json"))["items"]
    told = {plant["metadata"]["name"]: plant["metadata"]["annotations"][EXPECTED] for plant in plants}
    assert {plant["metadata"]["name"]: f"{plant['status']['health']} {plant['status']['reason']}" for plant in plants} == told
    assert told.keys() >= REFUSED.keys()
    conditions = {plant["metadata"]["name"]: {c["type"]: c["reason"] for c in plant["status"]["conditions"]} for plant in plants}
    assert {name: conditions[name]["Polled"] for name in REFUSED} == REFUSED
    assert max(counts.values()) <= 2, counts


def _names(demo: Demo) -> set[str]:
    return {state.name for state in demo.supervisor.states() if state.pid} if demo.supervisor.alive() else set()
