"""What the commands refuse before they begin."""

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.settings import ConfigurationError


@pytest.mark.rule("D8.2")
@pytest.mark.parametrize("value", [None, "false", "0"])
def test_a_worker_refuses_to_start_unless_in_mock_mode(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@localhost/solar")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.delenv("INTEGRATION_MOCK_MODE", raising=False)
    if value is not None:
        monkeypatch.setenv("INTEGRATION_MOCK_MODE", value)
    result = CliRunner().invoke(app, ["worker", "--brand", "solis"])
    assert isinstance(result.exception, ConfigurationError)
    assert "INTEGRATION_MOCK_MODE" in str(result.exception)
