"""How long pgbench took, by what it says. A script stands in for pgbench."""

from pathlib import Path

import pytest

from benchmarks import limit
from hack.devstack.program import DevStackError

URL = "postgresql://postgres:s3cr3t@127.0.0.1:5/bench"


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in: prints the file `said`, notes its arguments and its surroundings, ends with the code in `code`."""
    program = tmp_path / "pgbench"
    program.write_text('#!/bin/sh\necho "$@" > arguments\nenv > environment\ncat said\necho trouble >&2\nexit $(cat code)\n')
    program.chmod(0o700)
    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(limit, "_program", lambda: program)
    return tmp_path


def test_seconds_are_polls_by_transactions_a_second(says: Path) -> None:
    (says / "said").write_text("latency average = 1 ms\ntps = 50.000000 (without initial connection time)\n")
    assert limit.run_pgbench(URL, 4000, says) == pytest.approx(4000 / (50 * 100))


def test_every_client_gets_the_same_run_of_plants(says: Path) -> None:
    (says / "said").write_text("tps = 1 (without initial connection time)\n")
    limit.run_pgbench(URL, 4000, says)
    arguments = (says / "arguments").read_text()
    assert "--client=4" in arguments
    assert "--transactions=10" in arguments
    assert "per_client=1000" in arguments


def test_the_password_is_given_by_the_environment_and_not_on_the_command_line(says: Path) -> None:
    (says / "said").write_text("tps = 1 (without initial connection time)\n")
    limit.run_pgbench(URL, 400, says)
    assert "s3cr3t" not in (says / "arguments").read_text()
    assert "PGPASSWORD=s3cr3t" in (says / "environment").read_text()
    assert "PGPORT=5" in (says / "environment").read_text()


def test_plants_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 400"):
        limit.run_pgbench(URL, 4001, Path())


@pytest.mark.parametrize(("said", "code"), [("tps = 1 (without initial connection time)\n", "1"), ("nothing of use\n", "0")])
def test_a_run_that_failed_or_says_nothing_is_told_with_its_words(says: Path, said: str, code: str) -> None:
    (says / "said").write_text(said)
    (says / "code").write_text(code)
    with pytest.raises(DevStackError, match=rf"code {code}: trouble"):
        limit.run_pgbench(URL, 400, says)
