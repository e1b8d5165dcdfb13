"""The read API against its own OpenAPI document, by schemathesis: what is valid is answered as documented, what is not is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import api_fleet
from tests.integration.api_fleet import Served

pytestmark = [pytest.mark.xdist_group("read-api-schema"), pytest.mark.lasts(80)]

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = CHECKOUT / "docs" / "openapi.json"
PROGRAM = Path(sys.executable).parent / "schemathesis"
EXAMPLES = 5
"""A route and phase; the phase that goes through the document's bounds and enumerations comes on top, and is the same each time."""
BOUND_S = 300
served = api_fleet.served


@pytest.mark.parametrize("caller", ["ADMIN", "OPERATOR", "carla", "a customer without plants", "nobody"])
def test_every_answer_is_as_documented_and_none_is_an_error_of_ours(served: Served, caller: str, tmp_path: Path) -> None:
    phases = "examples,coverage,fuzzing,stateful" if caller == "ADMIN" else "examples,coverage,fuzzing"
    command = [str(PROGRAM), "run", str(DOCUMENT), "--url", f"http://127.0.0.1:{served.port}", "--phases", phases, "--checks", "all"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--no-color", "--generation-database", "none"]
    bearer = served.callers[caller].token
    if bearer is not None:
        command += ["--header", f"Authorization: Bearer {bearer}"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "4 selected / 4 total" in ended.stdout
    assert "request_failed" not in served.role.log_text()
