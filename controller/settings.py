"""Everything that can be set, from the environment. Read once, in `cli`, and handed on as values; nothing else looks at the environment.

A wrong value ends the process with a line a variable: its name, the value (never a secret's) and what is allowed.
"""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import AnyUrl, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

JWT_SECRET_MIN_BYTES = 32
MIN_REQUESTS_PER_MINUTE = 10
"""A poll of a plant with several devices needs this many; with less, its limit would keep it from ever being polled."""

MUST_BE_ALIKE = 0.85
MUST_BE_ALIKE_IF_PREFIXED = 0.7
"""Of 0 to 1 (difflib): from where on a name is taken for a misspelt one of ours."""
SHOWN_MAX = 80
"""Characters of a wrong value that are shown."""

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
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        # What stands under a field is what an error says of it.
        use_attribute_docstrings=True,
    )


class CommonSettings(Section):
    log_level: LogLevel = Field(LogLevel.INFO, validation_alias="LOG_LEVEL")
    """INFO has one line a transition and a failure; DEBUG one a poll."""
    metrics_host: str = Field("127.0.0.1", validation_alias="METRICS_HOST")
    """Where /metrics, /healthz and /readyz listen. Loopback unless told otherwise; the chart says 0.0.0.0."""
    metrics_port: int = Field(9100, ge=0, le=65535, validation_alias="METRICS_PORT")
    """TCP port of the probes; 0 picks a free one."""

    @field_validator("metrics_host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        return _host(value)


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
        if value not in (True, False, "true", "false"):
            raise ValueError("allowed is the word true, or false; workers need it: set INTEGRATION_MOCK_MODE=true")
        return value is True or value == "true"

    @field_validator("fixtures_dir")
    @classmethod
    def _is_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("no such folder; allowed is one laid out as fixtures/")
        return value

    @field_validator("ledger_file")
    @classmethod
    def _is_in_folder(cls, value: Path | None) -> Path | None:
        if value is not None and (value.is_dir() or not value.parent.is_dir()):
            raise ValueError("allowed is a file, new or not, in a folder that exists")
        return value

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
    """Seconds between two comparisons of the resources with the rows: the bound on how long a missed deletion goes unseen. With many
    Plants it takes longer: a comparison may take a tenth of the time."""

    @field_validator("kubeconfig")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        # Several may be joined, as kubectl has it; one of them is enough.
        if value is not None and not any(Path(part).is_file() for part in str(value).split(os.pathsep)):
            raise ValueError("no such file; allowed is a kubeconfig")
        return value


class RetentionSettings(Section):
    poll_log_days: int = Field(30, ge=1, le=3650, validation_alias="POLL_LOG_RETENTION_DAYS")
    """Days for which poll logs are kept; whole daily partitions are dropped after that."""


class ApiSettings(Section):
    host: str = Field("127.0.0.1", validation_alias="API_HOST")
    """Where the API listens. Loopback unless told otherwise; the chart says 0.0.0.0."""
    port: int = Field(8080, ge=0, le=65535, validation_alias="API_PORT")
    """TCP port of the API; 0 picks a free one."""
    requests_per_second: int = Field(300, ge=1, le=100_000, validation_alias="API_REQUESTS_PER_SECOND")
    """What one token may ask, as a mean over 10 s; counted over all copies where REDIS_URL is set. One copy answers about 500 a second."""
    serves_schema: bool = Field(True, validation_alias="API_SCHEMA")
    """Whether /schema answers with the OpenAPI document, to whoever asks: it says nothing of any plant."""

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        return _host(value)


class TokenSettings(Section):
    jwt_secret: SecretStr = Field(validation_alias="JWT_SECRET")
    """Signs the API's tokens (HS256). At least 32 bytes."""
    jwt_secret_previous: SecretStr | None = Field(None, validation_alias="JWT_SECRET_PREVIOUS")
    """Also accepted, so that no token fails while the secret is changed; unset it 15 minutes after the change. At least 32 bytes."""

    @field_validator("jwt_secret", "jwt_secret_previous")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < JWT_SECRET_MIN_BYTES:
            raise ValueError(f"must have at least {JWT_SECRET_MIN_BYTES} bytes")
        return value


def read(section: type[S]) -> S:
    """The section, from the environment. Raises `ConfigurationError`."""
    try:
        return section()
    except ValidationError as error:
        raise ConfigurationError("\n".join(_lines(error, section))) from None


def read_if_set(section: type[S]) -> S | None:
    """The section; None where something it needs is not set, or is wrong."""
    try:
        return section()
    except ValidationError:
        return None


def wrong_values(section: type[Section]) -> list[str]:
    """A line for each variable that is set to something that is not allowed."""
    try:
        section()
    except ValidationError as error:
        return list(_lines(error, section, but="missing"))
    return []


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that nothing reads and that look like one of ours, with the nearest one. What begins as limits do is told sooner."""
    ours = sorted({str(field.validation_alias) for section in Section.__subclasses__() for field in section.model_fields.values()})
    found: dict[str, str] = {}
    for name in sorted(environment.keys() - set(ours)):
        alike = MUST_BE_ALIKE_IF_PREFIXED if name.startswith(("LIMIT_", "INTEGRATION_")) else MUST_BE_ALIKE
        for nearest in get_close_matches(name.upper(), ours, n=1, cutoff=alike):
            found[name] = nearest
    return found


def _lines(error: ValidationError, section: type[Section], but: str | None = None) -> Iterator[str]:
    fields = {str(field.validation_alias): field for field in section.model_fields.values()}
    return (_line(entry, fields) for entry in error.errors(include_url=False) if entry["type"] != but)


def _line(entry: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    name = ".".join(map(str, entry["loc"]))
    field, value = fields[name], entry["input"]
    if entry["type"] == "missing":
        return f"{name} is not set: needed is {field.description}"
    is_secret = SecretStr in (field.annotation, *get_args(field.annotation))
    shown = f" is {_short(value)}" if isinstance(value, str) and not is_secret else ""
    if entry["type"] == "value_error":
        return f"{name}{shown}: {entry['msg'].removeprefix('Value error, ')}"
    return f"{name}{shown}: allowed is {_allowed(field)}"


def _short(value: str) -> str:
    """As Python writes it, so that nothing in it can act on a terminal. Where somebody put a whole URL, its password stays out."""
    without_password = re.sub(r"://([^:/@\s]*):[^/\s]*@", r"://\1:[redacted]@", value)
    return repr(without_password if len(without_password) <= SHOWN_MAX else f"{without_password[:SHOWN_MAX]}...")


def _allowed(field: FieldInfo) -> str:
    """What a variable may be, from its type and its bounds."""
    kind = next((part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)), str)
    if issubclass(kind, StrEnum):
        return f"one of {', '.join(kind)}"
    if issubclass(kind, bool):
        return "true or false"
    if not issubclass(kind, int | float):
        return str(field.description)
    bounds = {name: bound for part in field.metadata for name in ("ge", "le") if (bound := getattr(part, name, None)) is not None}
    number = "a whole number" if issubclass(kind, int) else "a number"
    if "ge" in bounds and "le" in bounds:
        return f"{number} from {bounds['ge']} to {bounds['le']}"
    return f"{number}, {bounds['ge']} or more" if "ge" in bounds else number


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", value):
        raise ValueError("allowed is an address or a host name, such as 127.0.0.1 or 0.0.0.0")
    return value


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
