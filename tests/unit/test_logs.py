"""Every log line is one JSON object, and no secret is in it, whatever way it came."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from controller import logs
from controller.logs import REDACTED, Redaction, configure

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


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    found = Lines()
    configure("DEBUG", SECRETS, found.stream)
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


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
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("WARNING", (), stream)
    structlog.get_logger("quiet").info("no")
    logging.getLogger("kopf").info("no")
    structlog.get_logger("quiet").warning("yes")
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_a_short_secret_does_not_tear_lines_apart() -> None:
    assert Redaction([SecretStr("in")]).line('{"level":"info"}') == '{"level":"info"}'


def test_a_secret_inside_of_another_leaves_nothing_of_it() -> None:
    redaction = Redaction([SecretStr("alpha"), SecretStr("alpha-beta-gamma")])
    assert redaction.line("x alpha-beta-gamma y") == f"x {REDACTED} y"


@given(st.text(min_size=4, max_size=30), st.text(), st.text())
def test_no_text_around_a_secret_saves_it(secret: str, before: str, after: str) -> None:
    rendered = logs._render({"event": before + secret + after})
    spelled = logs._render({"event": secret})[len('{"event":"') : -2]
    shown = Redaction([SecretStr(secret)]).line(rendered).replace(REDACTED, "")
    assert spelled not in shown or spelled in logs._render({"event": before + after})
