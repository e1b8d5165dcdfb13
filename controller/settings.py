"""Everything that can be set, from the environment. Read once, in `cli`, and handed on as values; nothing else looks at the environment.

A wrong value ends the process with a line a variable: its name, the value (never a secret's) and what is allowed.
"""

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import AnyUrl, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

JWT_SECRET_MIN_BYTES = 32
MIN_REQUESTS_PER_MINUTE = 10
"""A poll of a plant with several devices needs this many; with less, its limit would keep it from ever being polled."""


S = TypeVar("S", bound="Section")


class ConfigurationError(Exception):
    """A setting is missing or wrong. The message has one line a variable and no secret."""


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Section(BaseSettings):
    """One topic of settings: frozen, strict about what it knows, silent about the rest of the environment. An empty variable is unset."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )


class CommonSettings(Section):
    log_level: LogLevel = Field(LogLevel.INFO, validation_alias="LOG_LEVEL")
    """INFO has one line a transition and a failure; DEBUG one a poll."""
    metrics_host: str = Field("127.0.0.1", validation_alias="METRICS_HOST")
    """Where /metrics, /healthz and /readyz listen. Loopback unless told otherwise; the chart says 0.0.0.0."""
    metrics_port: int = Field(9100, ge=0, le=65535, validation_alias="METRICS_PORT")
    """TCP port of the probes; 0 picks a free one."""


class DatabaseSettings(Section):
    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    """postgresql://user:password@host:port/database"""

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        return _with_scheme(value, ("postgresql", "postgresql+psycopg", "postgres"))


class RedisSettings(Section):
    redis_url: SecretStr = Field(validation_alias="REDIS_URL")
    """redis://[:password@]host:port[/db]; Redis 7 or Valkey 8 and later, one instance."""

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        return _with_scheme(value, ("redis", "rediss", "unix"))


class IntegrationSettings(Section):
    mock_mode: bool = Field(False, validation_alias="INTEGRATION_MOCK_MODE")
    """Must be true in this phase: no adapter that talks to a real vendor exists yet (DOMAIN 8)."""
    fixtures_dir: Path | None = Field(None, validation_alias="INTEGRATION_FIXTURES_DIR")
    """A folder of one's own recordings, laid out as fixtures/; the ones that ship otherwise."""
    ledger_file: Path | None = Field(None, validation_alias="INTEGRATION_LEDGER_FILE")
    """Where the fixture transport appends one line for the begin and the end of every exchange; unset: nowhere."""

    @field_validator("mock_mode", mode="before")
    @classmethod
    def _is_asked_for(cls, value: object) -> bool:
        # The word itself and no other: whoever writes something else may mean something else.
        return value is True or value == "true"

    def assert_mock_mode(self) -> None:
        """Raises `ConfigurationError` unless fixtures are asked for: workers refuse to start otherwise (DOMAIN 8, locked)."""
        if not self.mock_mode:
            raise ConfigurationError(
                "INTEGRATION_MOCK_MODE: is not true. No adapter for real vendors exists in this version, so a worker can only read "
                "fixtures; set INTEGRATION_MOCK_MODE=true"
            )


class LimitSettings(Section):
    """Limits on what all workers of a brand ask of its cloud together (DOMAIN 2). A value here replaces the adapter's."""

    solis_requests_per_minute: int | None = Field(None, ge=MIN_REQUESTS_PER_MINUTE, validation_alias="LIMIT_SOLIS_REQUESTS_PER_MINUTE")
    """Requests a minute to SOLIS's cloud, over all workers; unset: what the adapter says, and for fixtures that is any number."""
    solis_concurrency: int | None = Field(None, ge=1, validation_alias="LIMIT_SOLIS_CONCURRENCY")
    """Requests at once to SOLIS's cloud, over all workers; unset: as for the requests a minute."""
    huawei_requests_per_minute: int | None = Field(None, ge=MIN_REQUESTS_PER_MINUTE, validation_alias="LIMIT_HUAWEI_REQUESTS_PER_MINUTE")
    """Requests a minute to HUAWEI's cloud, over all workers; unset: what the adapter says, and for fixtures that is any number."""
    huawei_concurrency: int | None = Field(None, ge=1, validation_alias="LIMIT_HUAWEI_CONCURRENCY")
    """Requests at once to HUAWEI's cloud, over all workers; unset: as for the requests a minute."""
    goodwe_requests_per_minute: int | None = Field(None, ge=MIN_REQUESTS_PER_MINUTE, validation_alias="LIMIT_GOODWE_REQUESTS_PER_MINUTE")
    """Requests a minute to GOODWE's cloud, over all workers; unset: what the adapter says, and for fixtures that is any number."""
    goodwe_concurrency: int | None = Field(None, ge=1, validation_alias="LIMIT_GOODWE_CONCURRENCY")
    """Requests at once to GOODWE's cloud, over all workers; unset: as for the requests a minute."""
    dele_requests_per_minute: int | None = Field(None, ge=MIN_REQUESTS_PER_MINUTE, validation_alias="LIMIT_DELE_REQUESTS_PER_MINUTE")
    """Requests a minute to DELE's cloud, over all workers; unset: what the adapter says, and for fixtures that is any number."""
    dele_concurrency: int | None = Field(None, ge=1, validation_alias="LIMIT_DELE_CONCURRENCY")
    """Requests at once to DELE's cloud, over all workers; unset: as for the requests a minute."""

    def of(self, brand: str) -> tuple[int | None, int | None]:
        """Requests a minute and requests at once, as set for the brand (`SOLIS`)."""
        values = self.model_dump()
        return values[f"{brand.lower()}_requests_per_minute"], values[f"{brand.lower()}_concurrency"]


class KubernetesSettings(Section):
    kubeconfig: Path | None = Field(None, validation_alias="KUBECONFIG")
    """The operator's own identity; unset: the pod's service account."""
    resync_s: float = Field(60.0, ge=1, le=3600, validation_alias="RESYNC_SECONDS")
    """Seconds between two comparisons of the resources with the rows: the bound on how long a missed deletion goes unseen."""


class RetentionSettings(Section):
    poll_log_days: int = Field(30, ge=1, le=3650, validation_alias="POLL_LOG_RETENTION_DAYS")
    """Days for which poll logs are kept; whole daily partitions are dropped after that."""


class ApiSettings(Section):
    host: str = Field("127.0.0.1", validation_alias="API_HOST")
    """Where the API listens. Loopback unless told otherwise; the chart says 0.0.0.0."""
    port: int = Field(8080, ge=0, le=65535, validation_alias="API_PORT")
    """TCP port of the API; 0 picks a free one."""


class TokenSettings(Section):
    jwt_secret: SecretStr = Field(validation_alias="JWT_SECRET")
    """Signs the API's tokens (HS256). At least 32 bytes."""

    @field_validator("jwt_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < JWT_SECRET_MIN_BYTES:
            raise ValueError(f"must have at least {JWT_SECRET_MIN_BYTES} bytes")
        return value


def read(section: type[S]) -> S:
    """The section, from the environment. Raises `ConfigurationError`."""
    try:
        return section()
    except ValidationError as error:
        secrets = {str(field.validation_alias) for field in section.model_fields.values() if field.annotation is SecretStr}
        lines = [_line(entry, secrets) for entry in error.errors(include_url=False, include_context=False)]
        raise ConfigurationError("\n".join(lines)) from None


def _line(entry: ErrorDetails, secrets: set[str]) -> str:
    name = ".".join(map(str, entry["loc"]))
    value = entry["input"]
    shown = f" is {value!r}" if isinstance(value, str) and name not in secrets else ""
    return f"{name}{shown}: {entry['msg'].removeprefix('Value error, ')}"


def _with_scheme(value: SecretStr, allowed: tuple[str, ...]) -> SecretStr:
    text = value.get_secret_value()
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme not in allowed:
        raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in allowed)}")
    try:
        TypeAdapter(AnyUrl).validate_python(text)
    except ValidationError:
        raise ValueError("is not a URL") from None
    return value
