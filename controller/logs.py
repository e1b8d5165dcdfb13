"""Logging: one JSON object a line, with secrets taken out of the rendered line whatever way they got into it.

Set up once, in `cli`. Log events are constants with their data in keywords.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import unquote

import msgspec
import structlog
from pydantic import SecretStr

from controller.domain.outcome import Outcome

log = structlog.get_logger()

REDACTED = "[redacted]"
SECRET_KEYS = re.compile(r"pass(word|wd)?|secret|token|authorization|api_?key|credential|database_url|redis_url", re.IGNORECASE)
_NOT_PRINTABLE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Controls, line separators and marks that turn the direction of text: legal inside JSON, but a viewer of logs may obey them."""
_URL_PASSWORD = re.compile(r"(\w+://[^\s:/@\"]*):[^\s@/\"]+@")


class Redaction:
    """The one stage that every log line passes: by key name, by known value, and by the shape of a URL with a password."""

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        whole = [secret.get_secret_value() for secret in secrets]
        passwords = [_password(text) for text in whole]
        values = {*whole, *passwords, *map(unquote, passwords)}
        # The longest first, so that a secret inside another does not leave the rest of it.
        self._values = sorted((value for value in values if len(value) >= 4), key=len, reverse=True)

    def keys(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """structlog processor: values under a name that sounds like a secret, however deep."""
        return {key: REDACTED if SECRET_KEYS.search(key) else _without_secret_keys(value) for key, value in event.items()}

    def line(self, text: str) -> str:
        """A rendered line without the known secrets, in their JSON spelling too."""
        for value in self._values:
            text = text.replace(value, REDACTED).replace(msgspec.json.encode(value).decode()[1:-1], REDACTED)
        return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)


def configure(level: str, secrets: Iterable[SecretStr] = (), stream: TextIO | None = None) -> None:
    """Sends structlog and the standard library's logging through one chain to `stream` (default: standard error)."""
    redaction = Redaction(tuple(secrets))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redaction.keys,
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda *args: _escaped(redaction.line(_render(args[2]))),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Chatty libraries: their INFO says nothing an operator of plants wants to read.
    for name in ("kopf", "huey", "urllib3", "kubernetes", "aiohttp", "asyncio", "uvicorn", "alembic"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def log_outcome(outcome: Outcome) -> None:
    """The line of a judgement: a transition or a failure at INFO, everything else at DEBUG."""
    entry = outcome.log
    error = None if entry is None else entry.adapter_error_type
    level = logging.INFO if outcome.transition or error else logging.DEBUG
    declaration, live = outcome.before.declaration, outcome.live
    log.log(
        level,
        "plant_judged",
        plant=f"{declaration.namespace}/{declaration.name}",
        plant_id=str(outcome.plant_id),
        brand=outcome.brand,
        job_id=entry and entry.job_id,
        attempt=entry and entry.attempt,
        error=error,
        status_before=outcome.before.live.status,
        status=live.status,
        reason=live.reason,
        refused=outcome.refusals,
    )


def _without_secret_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: REDACTED if SECRET_KEYS.search(str(key)) else _without_secret_keys(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secret_keys(inner) for inner in value]
    return value


def _render(event: structlog.typing.EventDict) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (UnicodeEncodeError, TypeError, ValueError):
        # Half a character, or a key that is no string: a line that reads badly is better than none.
        return json.dumps({str(key): repr(value) for key, value in event.items()})


def _escaped(line: str) -> str:
    return _NOT_PRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _password(url: str) -> str:
    _, _, rest = url.partition("://")
    userinfo, at, _ = rest.rpartition("@")
    return userinfo.partition(":")[2] if at else ""
