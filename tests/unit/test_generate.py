"""`make generate`: what is made from other files is up to date, and the comments of the chart's values say what they must."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from hack import chart_values, generate

VALUES = """\
# What the file is.

# -- Copies.
# @schema {minimum: 0, group: role}
replicas: 1
# @schema {accepts: [role]}
operator:
  # -- What is logged,
  # -- and how much.
  # @schema {enum: [INFO, DEBUG]}
  level: INFO
  # -- Whether it runs.
  enabled: true
  # -- Labels.
  # @schema {$ref: "#/$defs/texts"}
  labels: {}
  # -- Names.
  # @schema {items: {$ref: "#/$defs/named"}}
  names:
    - name: first
"""


def test_everything_that_is_made_from_other_files_is_up_to_date() -> None:
    assert [str(path.relative_to(generate.ROOT)) for path in generate.stale()] == [], "run: make generate"


@pytest.fixture
def one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATED", {"made.txt": lambda: "made\n"})
    return tmp_path / "made.txt"


def test_a_check_names_what_is_stale_and_the_command_and_writes_nothing(
    one_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1
    assert capsys.readouterr().out == "not up to date: made.txt\nRun: make generate\n"
    assert not one_file.exists()


def test_what_is_stale_is_written_and_then_no_longer_stale(one_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_file.write_text("made by hand\n")
    monkeypatch.setattr("sys.argv", ["generate"])
    assert generate.main() == 0
    assert one_file.read_text() == "made\n"
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 0


def test_a_page_keeps_everything_but_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("before\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n\nafter\n")
    assert generate._with_table(page, "| a | b |", "| a | b |\n|---|---|\n| \\3 | 4 |\n") == (
        "before\n\n| a | b |\n|---|---|\n| \\3 | 4 |\n\n| c |\n|---|\n\nafter\n"
    )
    with pytest.raises(ValueError, match=r"page\.md has 0 tables"):
        generate._with_table(page, "| x |", "")


# The comments of values.yaml


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(chart_values, "DEFINITIONS", {name: chart_values.DEFINITIONS[name] for name in ("texts", "named")})
    made: dict[str, Any] = json.loads(chart_values.schema(chart_values.read(VALUES)))
    return made


ACCEPTED = {"replicas": 1, "operator": {"level": "INFO", "enabled": True, "labels": {}, "names": []}}


@pytest.mark.parametrize("change", [{}, {"level": "DEBUG"}, {"replicas": 3}, {"labels": {"a": "b"}}, {"names": [{"name": "x"}]}])
def test_the_schema_takes_what_the_comments_allow(schema: dict[str, Any], change: dict[str, Any]) -> None:
    jsonschema.validate({**ACCEPTED, "operator": {**ACCEPTED["operator"], **change}}, schema)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "change",
    [{"level": "info"}, {"replicas": -1}, {"replica": 1}, {"enabled": "yes"}, {"labels": {"a": 1}}, {"names": [{}]}, {"names": {}}],
)
def test_the_schema_takes_nothing_else(schema: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**ACCEPTED, "operator": {**ACCEPTED["operator"], **change}}, schema)  # type: ignore[dict-item]


def test_the_table_says_path_default_and_meaning() -> None:
    assert chart_values.table(chart_values.read(VALUES)).splitlines()[2:] == [
        "| `replicas` | `1` | Copies. |",
        '| `operator.level` | `"INFO"` | What is logged, and how much. |',
        "| `operator.enabled` | `true` | Whether it runs. |",
        "| `operator.labels` | `{}` | Labels. |",
        '| `operator.names` | `[{"name": "first"}]` | Names. |',
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("a:\n  b: 1\n", r"a\.b has no line"),
        ("# -- Things.\na: []\n", "a: its default"),
        ("# -- Things.\na: {}\n", "a: its default"),
        ("# -- Things.\na: null\n", "a: its default"),
    ],
)
def test_a_value_without_a_meaning_or_a_type_is_refused(source: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        chart_values.schema(chart_values.read(source))
