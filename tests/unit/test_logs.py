"""Every log line is one JSON object, and no secret is in it, whatever way it came."""

import base64
import gc
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import quote, quote_plus

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from kubernetes import client
from pydantic import SecretStr

from controller.api.roles import Role
from controller.api.tokens import mint
from controller.logs import KEYS_KEPT, LINE_MAX, REDACTED, Redaction, configure, line
from controller.operator.kubernetes_api import secrets_in
from controller.probes import ProbeServer, Progress
from controller.settings import Section

PASSWORD = 'pä55"word/%41'
DATABASE = f"postgresql://solar:{'s3cr%40t-db'}@db:5432/solar"
SECRETS = (SecretStr(DATABASE), SecretStr(PASSWORD))


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def only(self) -> dict[str, Any]:
        (line,) = self.text.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(autouse=True)
def _everything_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Lines:
    found = Lines()
    configure("DEBUG", SECRETS, found.stream)
    return found


def test_a_line_has_event_level_time_and_data(lines: Lines) -> None:
    structlog.get_logger("solar").info("poll_closed", plant_id="p", duration_ms=12)
    line = lines.only()
    assert (line["event"], line["level"], line["plant_id"], line["duration_ms"]) == ("poll_closed", "info", "p", 12)
    assert line["timestamp"].endswith("Z")


def test_the_standard_library_logs_into_the_same_lines(lines: Lines) -> None:
    logging.getLogger("lib").warning("slow %s", "query")
    assert lines.only()["event"] == "slow query"


@pytest.mark.parametrize(
    "key", ["password", "DB_PASSWD", "jwt_secret", "api_token", "Authorization", "apiKey", "credentials", "database_url"]
)
def test_values_under_a_name_that_sounds_like_a_secret_are_taken_out(lines: Lines, key: str) -> None:
    structlog.get_logger().info("connected", **{key: "unheard-of"})
    assert lines.only()[key] == REDACTED


@pytest.mark.parametrize("nest", [lambda inner: {"deep": inner}, lambda inner: [inner], lambda inner: {"a": [{"b": inner}]}])
def test_also_deep_inside_of_a_value(lines: Lines, nest: Callable[[object], object]) -> None:
    structlog.get_logger().info("configured", settings=nest({"password": "unheard-of", "port": 1}))
    assert "unheard-of" not in lines.text
    assert '"port":1' in lines.text


@pytest.mark.parametrize("secret", [PASSWORD, DATABASE, "s3cr%40t-db", "s3cr@t-db"])
@pytest.mark.parametrize(
    "say",
    [
        lambda secret: structlog.get_logger().info(f"connecting with {secret}"),
        lambda secret: structlog.get_logger().info("connecting", to=f"<{secret}>", many=[secret]),
        lambda secret: logging.getLogger("lib").warning("connecting with %s", secret),
        lambda secret: structlog.get_logger().info("connecting", thing={secret: 1}),
    ],
    ids=["event", "value", "library", "key"],
)
@pytest.mark.rule("D2.11")
def test_a_known_secret_is_taken_out_wherever_it_stands(lines: Lines, say: Callable[[str], None], secret: str) -> None:
    say(secret)
    assert json.dumps(secret)[1:-1] not in lines.text
    assert secret not in json.dumps(lines.only(), ensure_ascii=False)
    assert secret not in lines.only().__repr__()
    assert REDACTED in lines.text


CONFIGURED = {
    str(field.validation_alias): f"scheme://user:{canary}@host/x" if str(field.validation_alias).endswith("_URL") else canary
    for section in Section.__subclasses__()
    for field in section.model_fields.values()
    if SecretStr in (field.annotation, *get_args(field.annotation))
    for canary in [f"canary of {field.validation_alias}/%+"]
}
TOKEN = mint(SecretStr("a-key-of-thirty-two-bytes-and-more"), Role.ADMIN, "somebody", datetime(2026, 1, 1, tzinfo=UTC))
KUBERNETES = client.Configuration(api_key={"authorization": "Bearer opaque-token-of-a-kubeconfig"}, password="of-a-kubeconfig/%+")
NEVER_TOLD = {"an API token": TOKEN, "a pod's token, an hour later": TOKEN, "what a header held": f"Bearer {'x1' * 20}"}
ALL = {**CONFIGURED, **{f"kubeconfig {n}": secret.get_secret_value() for n, secret in enumerate(secrets_in(KUBERNETES))}, **NEVER_TOLD}


def test_these_are_all_the_secrets_there_are() -> None:
    assert set(CONFIGURED) == {"DATABASE_URL", "REDIS_URL", "JWT_SECRET", "JWT_SECRET_PREVIOUS"}
    assert len(ALL) == len(CONFIGURED) + 2 + len(NEVER_TOLD)


@pytest.mark.parametrize("secret", ALL.values(), ids=ALL)
def test_no_secret_of_the_system_is_seen_however_it_is_logged_or_raised(secret: str) -> None:
    found = Lines()
    redaction = configure("DEBUG", [SecretStr(value) for value in CONFIGURED.values()], found.stream)
    redaction.learn(secrets_in(KUBERNETES))

    def fail() -> None:
        raise ConnectionError(f"cannot reach {secret}")

    structlog.get_logger().info("said", at=secret, deep=[{"at": {secret}}])
    logging.getLogger("urllib3").warning("retrying %s", secret)
    try:
        fail()
    except ConnectionError:
        structlog.get_logger().exception("failed")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    hidden = secret.rpartition("@")[0].rpartition("user:")[2] or secret.removeprefix("Bearer ")
    told = [json.loads(text) for text in found.text.splitlines()]
    assert len(told) == 4
    assert all(REDACTED in str(line) for line in told)
    assert [line for line in told if hidden in str(line) or hidden in json.dumps(line)] == []


def test_tracebacks_hold_neither_secrets_nor_local_variables(lines: Lines) -> None:
    def connect(local_only: str) -> None:
        raise ConnectionError(f"cannot connect to {DATABASE} with {PASSWORD}")

    try:
        connect("a-local-value")
    except ConnectionError:
        structlog.get_logger().exception("failed")
    line = lines.only()
    assert line["exception"][0]["exc_type"] == "ConnectionError"
    text = json.dumps(line, ensure_ascii=False)
    assert all(hidden not in text for hidden in ("s3cr%40t-db", PASSWORD, json.dumps(PASSWORD)[1:-1], "a-local-value"))


def test_causes_and_library_tracebacks_are_clean_too(lines: Lines) -> None:
    try:
        try:
            raise ValueError(PASSWORD)
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        logging.getLogger("lib").exception("failed")
    assert "RuntimeError" in lines.text
    assert PASSWORD not in json.dumps(lines.only(), ensure_ascii=False)


@pytest.mark.parametrize("url", ["redis://:unheard-of@h:1/0", "postgresql://solar:unheard-of@db/solar", "https://me:unheard-of@h"])
def test_the_password_of_any_url_is_taken_out(lines: Lines, url: str) -> None:
    structlog.get_logger().info(f"at {url}", url=url)
    assert "unheard-of" not in lines.text
    assert url.rpartition("@")[2] in lines.text, "the host helps"


@pytest.mark.parametrize(
    "nasty",
    [
        "a\nb",
        "a\r\nb",
        "\x1b[31mred",
        "nul\0",
        "\u202eright-to-left",
        "\u2028line",
        "\u2029par",
        "\x85nel",
        "\x9b31m",
        "\x7f",
        "half \ud800",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("where", ["event", "value", "key"])
def test_whatever_stands_in_a_value_the_line_stays_one_printable_line(lines: Lines, nasty: str, where: str) -> None:
    match where:
        case "event":
            structlog.get_logger().info(nasty)
        case "value":
            structlog.get_logger().info("said", value=nasty)
        case _:
            structlog.get_logger().info("said", **{nasty: 1})
    assert lines.text.endswith("\n")
    (line,) = lines.text.splitlines()
    assert line.isprintable()
    assert json.loads(line)


def test_names_of_places_stay_readable(lines: Lines) -> None:
    structlog.get_logger().info("said", name="Sítio São João")
    assert "Sítio São João" in lines.text


class Odd:
    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    "value", [Odd(), {(1, 2): 3}, float("nan"), {1, 2}, b"bytes", 10**400], ids=["object", "dict", "nan", "set", "bytes", "huge"]
)
def test_a_value_of_any_kind_makes_a_line(lines: Lines, value: object) -> None:
    structlog.get_logger().info("said", value=value)
    assert lines.only()["event"] == "said"


def test_secrets_are_taken_out_of_lines_that_are_rendered_in_need_too(lines: Lines) -> None:
    structlog.get_logger().info("said", value="half \ud800", other=PASSWORD)
    assert PASSWORD not in json.dumps(lines.only(), ensure_ascii=False)


def test_below_the_level_nothing_is_said() -> None:
    stream = io.StringIO()
    configure("WARNING", (), stream)
    structlog.get_logger("quiet").info("no")
    logging.getLogger("kopf").info("no")
    structlog.get_logger("quiet").warning("yes")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_a_short_secret_does_not_tear_lines_apart() -> None:
    assert Redaction([SecretStr("in")]).text("info") == "info"


def test_a_secret_inside_of_another_leaves_nothing_of_it() -> None:
    redaction = Redaction([SecretStr("alpha"), SecretStr("alpha-beta-gamma")])
    assert redaction.text("x alpha-beta-gamma y") == f"x {REDACTED} y"


def test_a_secret_that_becomes_known_later_is_taken_out_from_then_on() -> None:
    redaction = Redaction()
    redaction.learn([SecretStr("opaque-token")])
    assert redaction.text("with opaque-token") == f"with {REDACTED}"


@given(st.text(min_size=4, max_size=30), st.text(), st.text())
def test_no_text_around_a_secret_saves_it(secret: str, before: str, after: str) -> None:
    shown = Redaction([SecretStr(secret)]).text(before + secret + after).replace(REDACTED, "")
    assert secret not in shown or secret in before + after


SPELLINGS: dict[str, Callable[[str], str]] = {
    "URL": lambda secret: quote(secret, safe=""),
    "URL in lower case": lambda secret: re.sub("%..", lambda digits: digits[0].lower(), quote(secret, safe="")),
    "form": quote_plus,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "repr": lambda secret: repr(secret)[1:-1],
    "bytes": lambda secret: repr(secret.encode())[2:-1],
    "hexadecimal": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@given(secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=40))
def test_a_secret_is_found_in_the_spelling_of(spell: Callable[[str], str], secret: str) -> None:
    assert Redaction([SecretStr(secret)]).text(f"<{spell(secret)}>") == f"<{REDACTED}>"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(secret=st.binary(min_size=12, max_size=60).map(bytes.hex), before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_in_base64_a_secret_is_found_wherever_it_begins(encode: Callable[[bytes], bytes], secret: str, before: bytes, after: bytes) -> None:
    shown = Redaction([SecretStr(secret)]).text(encode(before + secret.encode() + after).decode())
    alone = encode(b"\0" * (len(before) % 3) + secret.encode()).decode()[4:-4]
    assert REDACTED in shown
    assert alone not in shown


@pytest.mark.parametrize("at", [65_536 - 30, 65_536 - 3, 65_536, 4_000 - 3, 200 - 3])
def test_no_half_of_a_secret_is_left_where_a_long_text_is_cut(at: int) -> None:
    # A long one: many of them are short once they are gone, and the place of the cut comes to light.
    secret = "s3cret-" + "x" * 993
    redaction = Redaction([SecretStr(secret)])
    text = (secret * (at // len(secret)) + "." * (at % len(secret)) + secret) * 2
    assert "s3c" not in redaction.text(text, 4_000).replace(REDACTED, "")
    assert "s3c" not in redaction.text("." * at + secret + "." * 100_000, 200)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("{'token': 'abcdef123456'}", "abcdef123456"),
        ('"client_secret":"abc def 123456"', "abc def"),
        ("host=db password=abc123456 dbname=solar", "abc123456"),
        ("user: {token: hunter2hunter2}", "hunter2hunter2"),
        ("token: 'no digits here'", "no digits"),
        ("GET /?api_key=abc123456&x=1", "abc123456"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjIn0.c2lnbmF0dXJl there", "c2lnbmF0dXJl"),
        ("postgresql://solar:p@ss@db/solar", "p@ss"),
        ("postgresql://solar:p@ss@db/solar", "ss@db"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_though_nobody_told(text: str, hidden: str) -> None:
    shown = Redaction().text(text)
    assert hidden not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(
    "text",
    [
        'FATAL: password authentication failed for user "solar"',
        "http://host:8080/path",
        "https://host/a:b@c",
        "bypass tokens passed",
        "no Kubernetes identity: set KUBECONFIG",
        "JWT_SECRET: must have at least 32 bytes",
        "unexpected token: }",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction([SecretStr(DATABASE)]).text(text) == text


@pytest.mark.parametrize("size", [10**5, 10**6, 10**7])
@pytest.mark.parametrize("piece", ["a", "://", "://a:", "-eyJ", "token=", "token: '", "Bearer ", "\u202e", "\ud800", "\0", "%2"])
def test_a_huge_text_makes_a_short_line_soon(lines: Lines, piece: str, size: int) -> None:
    began = time.process_time()
    structlog.get_logger().info("said", value=piece * (size // len(piece)))
    assert time.process_time() - began < 2
    assert len(lines.text.encode()) <= LINE_MAX + 1
    assert lines.only()["event"] == "said"


def nested(depth: int) -> object:
    return {"in": nested(depth - 1)} if depth else "end"


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [nested(400), LOOP, list(range(10**5)), {str(n): "x" * 500 for n in range(1000)}, ["\u202e" * 4000] * 100, {"k" * 10**6: 1}],
    ids=["deep", "loop", "long", "wide", "escaped", "key"],
)
def test_a_huge_value_makes_a_short_line(lines: Lines, value: object) -> None:
    structlog.get_logger().info("said", value=value)
    assert len(lines.text.encode()) <= LINE_MAX + 1
    assert lines.only()["event"] == "said"


NASTY = st.text(st.one_of(st.characters(), st.sampled_from('\n\r\0\x1b\u202e\u2028\x85\ud800\udfff\u00a0\ufeff\U000e0001"\\')))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), NASTY, st.binary(), st.dates(), st.datetimes(), st.uuids()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(NASTY, inner), st.sets(NASTY), st.tuples(inner, inner)),
    max_leaves=30,
)


@given(st.dictionaries(NASTY, VALUES), NASTY)
def test_any_event_is_one_printable_json_object_of_bounded_length(event: dict[str, object], said: str) -> None:
    text = line(Redaction(SECRETS), {**event, "event": said})
    assert text.isprintable()
    assert len(text.encode()) <= LINE_MAX
    assert isinstance(msgspec.json.decode(text.encode()), dict)


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError(PASSWORD)


class HostileMapping(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError(PASSWORD)


@pytest.mark.parametrize("value", [Hostile(), HostileMapping(a=1), {Hostile(): 1}], ids=["text", "mapping", "key"])
def test_an_object_that_cannot_be_said_loses_its_text_not_the_line(lines: Lines, value: object) -> None:
    structlog.get_logger().info("said", value=value)
    assert "said" in lines.only().values()
    assert PASSWORD not in json.dumps(lines.only(), ensure_ascii=False)


def test_a_wrong_format_is_told_in_one_line_without_its_arguments(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    root.handlers[:] = root.handlers[:1]  # without pytest's, which raises
    logging.getLogger("lib").warning("%d plants of %s", PASSWORD)
    assert (lines.only()["event"], lines.only()["said"], lines.only()["logger"]) == ("log_line_failed", "%d plants of %s", "lib")
    assert capsys.readouterr().err == ""


def test_a_closed_stream_harms_nobody(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    lines.stream.close()
    structlog.get_logger().info("said")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "name", ["kopf.objects", "urllib3.connectionpool", "uvicorn.error", "huey.consumer", "alembic", "asyncio", "psycopg"]
)
def test_libraries_say_what_they_have_to_say_through_the_same_stage(lines: Lines, name: str) -> None:
    try:
        raise ConnectionError(PASSWORD)
    except ConnectionError:
        logging.getLogger(name).exception("lost %s", DATABASE)
    assert lines.only()["logger"] == name
    assert all(hidden not in json.dumps(lines.only(), ensure_ascii=False) for hidden in ("s3cr%40t-db", PASSWORD))


def uncaught_in_a_thread() -> None:
    def fail() -> None:
        raise ConnectionError(PASSWORD)

    thread = threading.Thread(target=fail, name="loop")
    thread.start()
    thread.join()


def uncaught_in_main() -> None:
    try:
        raise ConnectionError(PASSWORD)
    except ConnectionError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def uncaught_in_a_finaliser() -> None:
    class Finalised:
        def __del__(self) -> None:
            raise ConnectionError(PASSWORD)

    Finalised()
    gc.collect()


@pytest.mark.parametrize("fail", [uncaught_in_a_thread, uncaught_in_main, uncaught_in_a_finaliser])
def test_what_nobody_catches_is_one_line_as_well(lines: Lines, capsys: pytest.CaptureFixture[str], fail: Callable[[], None]) -> None:
    fail()
    assert lines.only()["exception"][0]["exc_type"] == "ConnectionError"
    assert PASSWORD not in json.dumps(lines.only(), ensure_ascii=False)
    assert capsys.readouterr().err == ""


PROCESS = """
import threading, warnings
from pydantic import SecretStr
from controller.logs import configure

configure("INFO", [SecretStr("hunter2-hunter2")])
warnings.warn("deprecated\\nfor hunter2-hunter2")
thread = threading.Thread(target=lambda: 1 / 0, name="hunter2-hunter2")
thread.start()
thread.join()
raise ConnectionError("to hunter2-hunter2 in S\\xe3o Paulo \\udc80")
"""


def test_a_whole_process_says_nothing_but_lines_to_standard_error() -> None:
    # In the poorest environment: ASCII, and Python's own warnings on.
    command = [sys.executable, "-W", "always", "-c", PROCESS]
    env = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    told = [msgspec.json.decode(text, type=dict[str, Any]) for text in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout, b"hunter2" in ended.stderr) == (1, b"", False)
    assert [entry["logger"] for entry in told] == ["py.warnings", "controller.logs", "controller.logs"]
    assert [entry["exception"][0]["exc_type"] for entry in told[1:]] == ["ZeroDivisionError", "ConnectionError"]
    assert "São Paulo" in told[2]["exception"][0]["exc_value"]


def test_a_probe_that_fails_is_one_line(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> tuple[bytes, str]:
        raise ConnectionError(PASSWORD)

    server = ProbeServer("127.0.0.1", 0, fail, Progress())
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(100) == b""
    server.stop()
    assert (lines.only()["event"], lines.only()["exception"][0]["exc_type"]) == ("probe_failed", "ConnectionError")
    assert PASSWORD not in json.dumps(lines.only(), ensure_ascii=False)
    assert capsys.readouterr().err == ""


def test_a_key_that_was_shown_is_looked_at_anew_once_a_secret_is_learnt() -> None:
    redaction = Redaction()
    assert "opaque-token" in line(redaction, {"opaque-token": 1})
    redaction.learn([SecretStr("opaque-token")])
    assert "opaque-token" not in line(redaction, {"opaque-token": 1})


def test_no_more_keys_are_remembered_than_may_be() -> None:
    redaction = Redaction()
    for number in range(2 * KEYS_KEPT):
        line(redaction, {f"key{number}": 1, "k" * 100 + str(number): 1})
    assert len(redaction._keys) == KEYS_KEPT
