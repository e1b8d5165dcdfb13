"""Logging: one JSON object a line, of bounded length, with secrets taken out whatever way they got into it.

Set up once, in `cli`. Log events are constants with their data in keywords. What libraries log, warnings, and exceptions that nobody
caught, on threads too, pass the same stage: a process of ours writes nothing else to standard error.
"""

import base64
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple, TextIO
from urllib.parse import quote, quote_plus, unquote

import msgspec
import structlog
from pydantic import SecretStr

from controller.domain.outcome import Outcome

log = structlog.get_logger()

REDACTED = "[redacted]"
LINE_MAX = 16_000
"""Bytes of a line. Container runtimes cut lines at 16 KiB, and half an object is none."""
SECRET_MIN = 4
"""Characters from which on a secret is looked for: shorter ones stand in half of all words."""
KEYS_KEPT, KEY_MAX = 1_000, 40
"""Keys whose form without secrets is remembered, and characters of the longest of them."""
_ENCODED_MIN = 8
"""The same for base64 and hexadecimal digits, which are made of fewer different characters."""
_LOOKED_AT = 65_536
"""Characters of a text that are looked at; no more than the first thousands are ever shown."""
_SHAPE_MAX = 1_000

_NAMES = "(?:passw(?:or)?d|passphrase|secret|token|authorization|api_?key|credential)"
_ASSIGNED = r"""(?:["']\s{0,3}[=:]|\s{0,3}=|\s{0,3}:(?=\s{0,3}(?:["']|[^\s,;]{0,100}\d)))"""
_VALUE = r"""(?:"[^"]{0,1000}"|'[^']{0,1000}'|[^\s,;&"')}\]]+)"""
SECRET_KEYS = re.compile(f"{_NAMES}|^pass$|database_url|redis_url", re.IGNORECASE)
_SHAPES = tuple(
    (re.compile(shape, re.IGNORECASE), to)
    for shape, to in (
        # The password of a URL.
        (r"""://([^\s:/@"'\\]{0,200}):[^\s/"']{1,1000}@""", rf"://\1:{REDACTED}@"),
        # JSON Web Tokens, such as those of service accounts, which change while we run.
        (r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?", REDACTED),
        (r"\b(Bearer)\s{1,3}[\w.~+/=-]{8,}", rf"\1 {REDACTED}"),
        # password=…, "token": "…", and the like; not the next word of a sentence, which has no digit.
        (rf"""({_NAMES}s?{_ASSIGNED}\s{{0,3}}(?!\[redacted)){_VALUE}""", rf"\1{REDACTED}"),
    )
)
_MAY_HAVE_A_SHAPE = re.compile("[:=]|eyJ|Bearer", re.IGNORECASE)
"""Most texts are short words: one look instead of four."""


class Bounds(NamedTuple):
    """How much of an event is shown: characters of a text, items of a collection, levels of nesting."""

    text: int
    items: int
    depth: int = 8


_BOUNDS = (Bounds(4_000, 100), Bounds(1_000, 30), Bounds(200, 10))
"""Tried in this order until the line is short enough."""


class Redaction:
    """The one stage that every log line passes: by key name, by known value in any spelling, and by the shape of what is secret."""

    def __init__(self, secrets: Iterable[SecretStr] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._spellings: tuple[str, ...] = ()
        self._keys: dict[str, str] = {}
        """Keys as they are shown, of the few dozen that our own lines have."""
        self.learn(secrets)

    def learn(self, secrets: Iterable[SecretStr]) -> None:
        """Takes these out, too, from now on. A URL's password and the parts of a JSON Web Token count by themselves."""
        self._secrets |= {part for secret in secrets for part in _parts(secret.get_secret_value()) if len(part) >= SECRET_MIN}
        # The longest first, so that a secret inside another does not leave the rest of it.
        self._spellings = tuple(sorted({text for secret in self._secrets for text in spellings(secret)}, key=len, reverse=True))
        # Another object, and last: who looks for the former secrets just now keeps what he finds in the former one.
        self._keys = {}

    def text(self, text: str, at_most: int = _LOOKED_AT) -> str:
        """The text without secrets, cut to `at_most` characters. Secrets go before the cut: half of one would not be found."""
        looked_at = text[:_LOOKED_AT]
        for spelling in self._spellings if len(text) >= SECRET_MIN else ():
            if spelling in looked_at:
                looked_at = looked_at.replace(spelling, REDACTED)
        if _MAY_HAVE_A_SHAPE.search(looked_at):
            for shape, to in _SHAPES:
                looked_at = shape.sub(to, looked_at)
        if len(text) > _LOOKED_AT:
            # Its end may be the beginning of a secret.
            looked_at = looked_at[: -max(_SHAPE_MAX, *map(len, self._spellings), 0)]
        if len(text) <= _LOOKED_AT and len(looked_at) <= at_most:
            return looked_at
        return f"{looked_at[:at_most]}... ({len(text)} characters)"

    def plain(self, value: object, bounds: Bounds) -> Any:
        """The value as what JSON has, without secrets and within the bounds."""
        match value:
            case None | bool():
                return value
            case str():
                return _whole_characters(self.text(value, bounds.text))
            case int() | float():
                return self._number(value, bounds)
            case bytes() | bytearray():
                return _whole_characters(self.text(bytes(value[: 2 * _LOOKED_AT]).decode(errors="backslashreplace"), bounds.text))
            case date():
                return value.isoformat()
            case Mapping() | list() | tuple() | set() | frozenset() if bounds.depth == 0:
                return "..."
            case Mapping():
                inner = bounds._replace(depth=bounds.depth - 1)
                shown = {self._key(key): self._entry(key, entry, inner) for key, entry in islice(value.items(), bounds.items)}
                return shown if len(value) <= bounds.items else {**shown, "...": f"{len(value)} in all"}
            case list() | tuple() | set() | frozenset():
                inner = bounds._replace(depth=bounds.depth - 1)
                shown_items = [self.plain(item, inner) for item in islice(value, bounds.items)]
                return shown_items if len(value) <= bounds.items else [*shown_items, f"... ({len(value)} in all)"]
        return self.plain(_said(value), bounds)

    def _key(self, key: object) -> str:
        said = key if isinstance(key, str) else _said(key)
        keys = self._keys
        shown = keys.get(said)
        if shown is None:
            shown = _whole_characters(self.text(said, 200))
            if len(keys) < KEYS_KEPT and len(said) <= KEY_MAX:
                keys[said] = shown
        return shown

    def _entry(self, key: object, entry: object, bounds: Bounds) -> Any:
        return REDACTED if isinstance(key, str) and SECRET_KEYS.search(key) else self.plain(entry, bounds)

    def _number(self, value: float, bounds: Bounds) -> Any:
        try:
            digits = str(value)
        except ValueError:
            return "a number of thousands of digits"
        # Few readers of JSON know larger integers, and none what is not finite. A password may be a number.
        is_json = -(2**63) <= value < 2**63 if isinstance(value, int) else value - value == 0
        return value if is_json and self.text(digits) == digits else self.text(digits, bounds.text)


def spellings(secret: str) -> set[str]:
    """How a secret may look in a text: as it is, in URLs, in JSON, in Python's repr, in hexadecimal digits and in base64.

    Of base64 there are three, by where in a group of three bytes it begins; the characters at the edges depend on the neighbours and stay.
    """
    urls = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    urls |= {re.sub("%[0-9A-F]{2}", lambda digits: digits[0].lower(), url) for url in urls}
    plain = {secret, *urls}
    raw = secret.encode(errors="surrogatepass")
    spelt = {repr(secret)[1:-1], repr(raw)[2:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], raw.hex()}
    encoded = {text for source in plain for text in _base64(source.encode(errors="surrogatepass"))}
    return plain | {text for text in spelt if len(text) >= SECRET_MIN} | {text for text in encoded if len(text) >= _ENCODED_MIN}


def configure(level: str, secrets: Iterable[SecretStr] = (), stream: TextIO | None = None) -> Redaction:
    """Sends all that this process says through one chain to `stream` (default: standard error, as UTF-8).

    Of what it returns, `learn` takes secrets that become known later.
    """
    if stream is None and hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    redaction = Redaction(secrets)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=30)),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Lines(stream or sys.stderr, redaction)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, lambda *args: line(redaction, args[2])],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Chatty libraries: their INFO says nothing an operator of plants wants to read.
    for name in ("kopf", "huey", "urllib3", "kubernetes", "aiohttp", "asyncio", "uvicorn", "alembic"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    _hear_what_nobody_catches()
    return redaction


def line(redaction: Redaction, event: Mapping[str, Any]) -> str:
    """One JSON object without a line break, printable, of at most `LINE_MAX` bytes, without secrets."""
    for bounds in _BOUNDS:
        text = _rendered(redaction.plain(event, bounds))
        if len(text.encode()) <= LINE_MAX:
            return text
    kept = {key: event[key] for key in ("event", "level", "logger", "timestamp") if key in event}
    return _rendered({**redaction.plain(kept, _BOUNDS[-1]), "cut": True})


def log_outcome(outcome: Outcome) -> None:
    """The line of a judgement: a transition or a failure at INFO, everything else at DEBUG."""
    entry = outcome.log
    error = None if entry is None else entry.adapter_error_type
    level = logging.INFO if outcome.transition or error else logging.DEBUG
    if not logging.getLogger().isEnabledFor(level):
        # One line a poll at DEBUG: its fields cost more than the poll's own bookkeeping.
        return
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


class _Lines(logging.StreamHandler[TextIO]):
    """Says in a line of ours what cannot be formatted; the standard library would print a traceback and the arguments."""

    def __init__(self, stream: TextIO, redaction: Redaction) -> None:
        super().__init__(stream)
        self._redaction = redaction

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 the base class names it so
        said = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        error = type(sys.exc_info()[1]).__name__
        event = {"event": "log_line_failed", "level": "error", "logger": record.name, "said": _said(said), "error": error}
        try:
            self.stream.write(line(self._redaction, event) + self.terminator)
            self.flush()
        except (OSError, ValueError):
            """The stream is full or closed: there is nowhere left to say it."""


def _hear_what_nobody_catches() -> None:
    """Warnings, and exceptions that end a thread or the process, become lines like all others."""

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("uncaught_exception", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            thread = None if args.thread is None else args.thread.name
            error = args.exc_type() if args.exc_value is None else args.exc_value
            log.critical("uncaught_exception", thread=thread, exc_info=(args.exc_type, error, args.exc_traceback))

    def in_finaliser(args: "sys.UnraisableHookArgs") -> None:
        error = args.exc_type() if args.exc_value is None else args.exc_value
        log.error("unraisable_exception", where=args.object, exc_info=(args.exc_type, error, args.exc_traceback))

    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_finaliser


def _rendered(event: Any) -> str:
    text = msgspec.json.encode(event).decode()
    if text.isprintable():
        return text
    # Controls, line separators and marks that turn the direction of text: legal inside JSON, but a viewer of logs may obey them.
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def _whole_characters(text: str) -> str:
    """Without halves of characters, which no UTF-8 has."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 whatever an object's own __str__ raises, the line comes out
        return f"<{type(value).__name__}, whose text raises {type(error).__name__}>"


def _parts(secret: str) -> set[str]:
    parts = {secret}
    _, _, rest = secret.partition("://")
    userinfo, at, _ = rest.rpartition("@")
    if at:
        password = userinfo.partition(":")[2]
        parts |= {password, unquote(password)}
    if secret.startswith("eyJ") and secret.count(".") == 2:
        parts |= set(secret.split(".")[1:])
    return parts


def _base64(raw: bytes) -> set[str]:
    found = set()
    for before in range(3):
        # Whole groups of six bits only: those that lie between the neighbours' bits.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        standard = base64.b64encode(b"\0" * before + raw).decode()[first:last]
        found |= {standard, standard.translate(str.maketrans("+/", "-_"))}
    return found
