"""What the commands refuse before they begin."""

import json

import pytest
from typer.testing import CliRunner

from controller.cli import WorkerBrand, app
from controller.settings import ConfigurationError
from integrations.contract import Brand


@pytest.mark.rule("D8.2")
@pytest.mark.parametrize("value", [None, "false", "0", "1", "yes", "perhaps", ""])
def test_a_worker_refuses_to_start_unless_in_mock_mode(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@localhost/solar")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.delenv("INTEGRATION_MOCK_MODE", raising=False)
    if value is not None:
        monkeypatch.setenv("INTEGRATION_MOCK_MODE", value)
    result = CliRunner().invoke(app, ["worker", "--brand", "solis"])
    assert isinstance(result.exception, ConfigurationError)
    assert "INTEGRATION_MOCK_MODE" in str(result.exception)


def test_brands_on_the_command_line_are_all_brands() -> None:
    assert [brand.value for brand in WorkerBrand] == [brand.slug for brand in Brand]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(("--timezone", "Mars/Olympus"), "Mars/Olympus"), (("--now", "noon"), "noon"), (("--http-status", "9"), "--http-status")],
)
def test_a_wrong_argument_of_normalise_is_named(wrong: tuple[str, str], said: str) -> None:
    result = CliRunner().invoke(app, ["normalise", "--brand", "SOLIS", "--path", "/v1/api/stationDetail", *wrong, "-"], input="{}")
    assert result.exit_code == 2
    assert said in result.output


def test_normalise_prints_one_json_object() -> None:
    result = CliRunner().invoke(app, ["normalise", "--brand", "DELE", "--path", "/station/latest", "-"], input="no JSON")
    assert result.exit_code == 0
    assert json.loads(result.output)["error"] == "INVALID_DATA_FORMAT"
