"""Settings come from the environment; a wrong one is told by name, and a secret never."""

from pathlib import Path
from typing import get_args

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
    misspelt,
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
        (CommonSettings, "LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        (CommonSettings, "METRICS_PORT", "70000", "a whole number from 0 to 65535"),
        (CommonSettings, "METRICS_PORT", "http", "a whole number from 0 to 65535"),
        (KubernetesSettings, "RESYNC_SECONDS", "0.5", "a number from 1 to 3600"),
        (LimitSettings, "LIMIT_DELE_REQUESTS_PER_MINUTE", "9", "a whole number, 10 or more"),
        (LimitSettings, "LIMIT_SOLIS_CONCURRENCY", "0", "a whole number, 1 or more"),
        (RetentionSettings, "POLL_LOG_RETENTION_DAYS", "0", "a whole number from 1 to 3650"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    text = refusal(section)
    assert text == f"{name} is {value!r}: allowed is {said}"


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
    assert refusal(section).startswith(f"{name} is not set: needed is ")
    assert len(refusal(section)) > len(f"{name} is not set: needed is ") + 20


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
    assert read(IntegrationSettings).fixtures_dir is None


@pytest.mark.parametrize(
    ("section", "name", "said"),
    [
        (IntegrationSettings, "INTEGRATION_FIXTURES_DIR", "no such folder; allowed is one laid out as fixtures/"),
        (IntegrationSettings, "INTEGRATION_LEDGER_FILE", "allowed is a file, new or not, in a folder that exists"),
        (KubernetesSettings, "KUBECONFIG", "no such file; allowed is a kubeconfig"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: type[Section], name: str, said: str
) -> None:
    # A relative path: a long one would be shown cut.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "absent/more")
    assert refusal(section) == f"{name} is 'absent/more': {said}"


def test_of_joined_kubeconfigs_one_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/absent:{tmp_path}/config")
    assert read(KubernetesSettings).kubeconfig is not None


WRONG = {int: "many", float: "many", bool: "perhaps", LogLevel: "LOUD"}


@pytest.mark.parametrize(
    ("section", "name", "wrong"),
    [
        (section, str(field.validation_alias), WRONG[kind])
        for section in ALL
        for field in section.model_fields.values()
        for kind in (field.annotation, *get_args(field.annotation))
        if kind in WRONG
    ],
)
def test_every_wrong_value_is_told_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, wrong: str
) -> None:
    monkeypatch.setenv(name, wrong)
    assert f"{name} is {wrong!r}: allowed is " in refusal(section)


def test_every_section_is_tried_here() -> None:
    assert set(ALL) == set(Section.__subclasses__())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31m\u202e\n", r"'\x1b[31m\u202e\n'"),
        ("9" * 500 + "x", f"'{'9' * 80}...'"),
        (f"postgresql://solar:{SECRET}@host/db", "'postgresql://solar:[redacted]@host/db'"),
    ],
    ids=["controls", "long", "URL"],
)
def test_a_wrong_value_is_shown_such_that_it_harms_nobody(monkeypatch: pytest.MonkeyPatch, value: str, shown: str) -> None:
    monkeypatch.setenv("METRICS_PORT", value)
    assert refusal(CommonSettings) == f"METRICS_PORT is {shown}: allowed is a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LIMIT_SOLIS_REQUEST_PER_MINUTE", "LIMIT_SOLIS_REQUESTS_PER_MINUTE"),
        ("LIMIT_HUAWEI_MAX_CONCURRENCY", "LIMIT_HUAWEI_CONCURRENCY"),
        ("INTEGRATION_MOCKMODE", "INTEGRATION_MOCK_MODE"),
        ("INTEGRATION_FIXTURES", "INTEGRATION_FIXTURES_DIR"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("Log_Level", "LOG_LEVEL"),
        ("METRIC_PORT", "METRICS_PORT"),
        ("RESYNC_SECS", "RESYNC_SECONDS"),
        ("DATABASE_URI", "DATABASE_URL"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    assert misspelt({name: "x", meant: "y", "HOME": "z"}) == {name: meant}


@pytest.mark.parametrize(
    "name", [*NAMES, "API_URL", "API_TOKEN", "METRICS_URLS", "PATH", "REDIS_PORT", "HOSTNAME", "KUBERNETES_PORT", "API_PORT_80_TCP", "FAIL"]
)
def test_no_other_variable_is_taken_for_a_misspelt_one(name: str) -> None:
    assert misspelt({name: "x"}) == {}


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(CommonSettings).metrics_port = 1
