"""`make e2e`: image, cluster, chart, tests; and everything gone again, also after a failure and after Ctrl-C.

    [KEEP=1] [KIND_NODE_IMAGE=…] [REQUIRE_NETPOL=1] python -m hack.e2e [pytest's arguments]

Where docker, kind, helm or kubectl are missing, says so in one line and succeeds. KEEP=1 keeps the cluster, for looking around; the next
run makes its own all the same. A failed run leaves e2e-logs/.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from hack import image
from hack.e2e import cluster as kind
from hack.e2e.evidence import collect
from hack.e2e.tools import ToolsMissing, environment

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "e2e-logs"
SERVERS = ("postgres:18", "valkey/valkey:9", "prom/prometheus:v2")
"""Loaded into the cluster where this machine has them; the cluster pulls them otherwise."""
UPGRADED = f"{image.IMAGE}-again"
"""The same image by another name: what an upgrade goes to."""
TESTS_SECONDS = 1800


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    try:
        env = environment(ROOT)
    except ToolsMissing as missing:
        print(f"E2E NOT RUN: {missing}")
        return 0
    # hack.image runs docker from our own environment.
    os.environ["PATH"] = env["PATH"]
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-e2e-"))
    try:
        return _run(folder, env, began)
    except (kind.CommandError, image.ImageError) as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ne2e: interrupted", file=sys.stderr)
        return 130
    finally:
        _clean_up(folder, env)
        _say(began, "end")


def _run(folder: Path, env: Mapping[str, str], began: float) -> int:
    _say(began, "image")
    image.build()
    image.docker("tag", image.IMAGE, UPGRADED)
    _say(began, "cluster")
    cluster = kind.create(folder, env)
    _say(began, f"images into {cluster.name}")
    kind.load(cluster, image.IMAGE, UPGRADED, *(name for name in SERVERS if image.exists(name)))
    _say(began, "tests")
    passed = False
    try:
        code = _tests(cluster, env)
        passed = code == 0
        return code
    finally:
        if not passed:
            shutil.rmtree(LOGS, ignore_errors=True)
            collect(cluster, LOGS)
            print(f"e2e: what the cluster had to say lies in {LOGS.name}/", file=sys.stderr)


def _tests(cluster: kind.Cluster, env: Mapping[str, str]) -> int:
    """pytest's exit code. A group of its own, so that Ctrl-C reaches us alone and pytest is told in turn."""
    command = [sys.executable, "-m", "pytest", "tests/e2e", "-v", "--durations=15", *sys.argv[1:]]
    paths = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    settings = {**env, "PATH": paths, "E2E_KUBECONFIG": str(cluster.kubeconfig), "E2E_UPGRADED_IMAGE": UPGRADED}
    with subprocess.Popen(command, cwd=ROOT, env=settings, start_new_session=True) as tests:
        try:
            return tests.wait(TESTS_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise kind.CommandError(f"the tests did not end within {TESTS_SECONDS} s") from error
        finally:
            if tests.poll() is None:
                tests.send_signal(signal.SIGINT)
                _await(tests)


def _await(tests: "subprocess.Popen[bytes]") -> None:
    try:
        tests.wait(30)
    except subprocess.TimeoutExpired:
        tests.kill()


def _clean_up(folder: Path, env: Mapping[str, str]) -> None:
    """Not to be interrupted: a cluster that nobody knows of is worse than half a minute more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if not (folder / "name").exists():
        shutil.rmtree(folder)
        return
    if os.environ.get("KEEP") == "1":
        name = (folder / "name").read_text()
        print(f"e2e: kept. Look at it with: export KUBECONFIG={folder}/kubeconfig; end it with: kind delete cluster --name={name}")
        return
    kind.delete(folder, env)
    shutil.rmtree(folder)


def _say(began: float, step: str) -> None:
    passed = int(time.monotonic() - began)
    print(f"--- e2e {passed // 60}:{passed % 60:02}  {step}", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
