"""Settings come from the environment; a wrong one is told by name, and a secret never."""

from pathlib import Path

import pytest

from controller.settings import (
    ApiSettings,
    CommonSettings,
    ConfigurationError,
    DatabaseSettings,
    IntegrationSettings,
    KubernetesSettings,
    LimitSettings,
    LogLevel,
    RedisSettings,
    RetentionSettings,
    Section,
    TokenSettings,
    read,
)
from integrations.contract import Brand

ALL: list[type[Section]] = [
    CommonSettings,
    DatabaseSettings,
    RedisSettings,
    IntegrationSettings,
    LimitSettings,
    KubernetesSettings,
    RetentionSettings,
    ApiSettings,
    TokenSettings,
]
NAMES = sorted(str(field.validation_alias) for section in ALL for field in section.model_fields.values())
SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def refusal(section: type[Section]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(section)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_every_variable_has_one_meaning() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert all(name == name.upper() for name in NAMES)


def test_nothing_set_is_loopback_and_no_mock_mode() -> None:
    common, api, integration = read(CommonSettings), read(ApiSettings), read(IntegrationSettings)
    assert (common.log_level, common.metrics_host, api.host) == (LogLevel.INFO, "127.0.0.1", "127.0.0.1")
    assert integration.mock_mode is False, "mock mode must be asked for (DOMAIN 8)"


@pytest.mark.parametrize(
    ("section", "name", "value", "said"),
    [
        (CommonSettings, "LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (CommonSettings, "METRICS_PORT", "70000", "less than or equal to 65535"),
        (CommonSettings, "METRICS_PORT", "http", "valid integer"),
        (KubernetesSettings, "RESYNC_SECONDS", "0.5", "greater than or equal to 1"),
        (LimitSettings, "LIMIT_DELE_REQUESTS_PER_MINUTE", "9", "greater than or equal to 10"),
        (LimitSettings, "LIMIT_SOLIS_CONCURRENCY", "0", "greater than or equal to 1"),
        (RetentionSettings, "POLL_LOG_RETENTION_DAYS", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    text = refusal(section)
    assert text.startswith(f"{name} is {value!r}: ")
    assert said in text


@pytest.mark.rule("D2.20")
def test_every_brand_has_limits_of_its_own_and_none_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {read(LimitSettings).of(brand) for brand in Brand} == {(None, None)}
    for number, brand in enumerate(Brand):
        monkeypatch.setenv(f"LIMIT_{brand}_REQUESTS_PER_MINUTE", str(10 + number))
        monkeypatch.setenv(f"LIMIT_{brand}_CONCURRENCY", str(1 + number))
    assert [read(LimitSettings).of(brand) for brand in Brand] == [(10 + number, 1 + number) for number in range(len(Brand))]


def test_two_wrong_values_are_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "x")
    monkeypatch.setenv("METRICS_PORT", "-1")
    assert [line.split()[0] for line in refusal(CommonSettings).splitlines()] == ["LOG_LEVEL", "METRICS_PORT"]


@pytest.mark.parametrize(
    ("section", "name"), [(DatabaseSettings, "DATABASE_URL"), (RedisSettings, "REDIS_URL"), (TokenSettings, "JWT_SECRET")]
)
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_or_empty_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv(name, value)
    assert refusal(section) == f"{name}: Field required"


@pytest.mark.parametrize(
    ("section", "name", "value", "allowed"),
    [
        (DatabaseSettings, "DATABASE_URL", f"mysql://u:{SECRET}@host/db", "postgresql://"),
        (DatabaseSettings, "DATABASE_URL", SECRET, "postgresql://"),
        (DatabaseSettings, "DATABASE_URL", f"postgresql://u:{SECRET}@host:port/db", "not a URL"),
        (RedisSettings, "REDIS_URL", f"http://:{SECRET}@host", "redis://"),
        (TokenSettings, "JWT_SECRET", SECRET, "at least 32 bytes"),
    ],
)
def test_a_wrong_secret_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    text = refusal(section)
    assert text.startswith(f"{name}: ")
    assert allowed in text
    assert SECRET not in text


@pytest.mark.parametrize("url", ["postgresql://u:p@h:5432/d", "postgresql+psycopg://u:p@h/d", "postgres://h/d"])
def test_the_usual_forms_of_a_database_url_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert read(DatabaseSettings).database_url.get_secret_value() == url


@pytest.mark.parametrize("url", ["redis://:p@h:6379/0", "rediss://h", "redis://h:1"])
def test_the_usual_forms_of_a_redis_url_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert read(RedisSettings).redis_url.get_secret_value() == url


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET * 3)
    settings = read(TokenSettings)
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_the_length_of_a_secret_counts_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "ü" * 16)
    assert read(TokenSettings)


def test_an_empty_path_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATION_FIXTURES_DIR", "")
    monkeypatch.setenv("KUBECONFIG", "some/config")
    assert read(IntegrationSettings).fixtures_dir is None
    assert read(KubernetesSettings).kubeconfig == Path("some/config")


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(CommonSettings).metrics_port = 1
