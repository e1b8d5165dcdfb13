"""The failpoints themselves: a process stops where it says, with all its threads, and not a moment later."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.failpoints import EXIT_CODE
from hack.devstack.waiting import wait_until
from tests.faults.mutants import CHECKOUT

PASSES_ON_A_THREAD = """
import os, sys, threading
from controller.failpoints import Failpoints

def work():
    Failpoints.parse(sys.argv[1]).at("here")
    os.write(1, b"ran on")

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
"""As a worker does: jobs run on a thread of their own while the main thread waits."""


def start(fail: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PASSES_ON_A_THREAD, fail], stdout=subprocess.PIPE, env={"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT
    )


@pytest.mark.parametrize("repetition", range(10))
def test_a_stopped_process_has_not_run_on(repetition: int) -> None:
    """A signal to the process instead of to the thread lets the thread run on, in one case of three."""
    with start("here:stop") as process:
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 30, "the process to stop")
        # Killed where it stands: whatever it has written by now is all there is.
        process.kill()
        written, _ = process.communicate(timeout=10)
    assert written == b""


def test_a_process_that_exits_does_so_at_once() -> None:
    with start("here:exit") as process:
        written, _ = process.communicate(timeout=30)
    assert (process.returncode, written) == (EXIT_CODE, b"")


def test_another_point_is_passed() -> None:
    with start("elsewhere:exit") as process:
        written, _ = process.communicate(timeout=30)
    assert (process.returncode, written) == (0, b"ran on")
