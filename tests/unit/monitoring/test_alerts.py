"""Each alert fires when it must and not otherwise, says what to do, and has a page for the person it wakes."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.unit.monitoring.expressions import ALERTS, CASES, ROOT, RUNBOOKS, labels_in, rules

SECTIONS = ("## First look", "## Causes, likeliest first", "## Silence")
TWO_MINUTES = 120

every_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])


def promtool(*arguments: str) -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.fail("promtool is missing: install it (Debian has it in the package prometheus)")
    done = subprocess.run([found, *arguments], cwd=CASES.parent, capture_output=True, text=True, timeout=TWO_MINUTES, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", ALERTS.name)


def test_every_case_comes_out_as_written() -> None:
    promtool("test", "rules", CASES.name)


@every_rule
def test_an_alert_has_cases_in_which_it_fires_and_in_which_it_is_over(rule: dict[str, Any]) -> None:
    checks = [check for case in yaml.safe_load(CASES.read_text())["tests"] for check in case.get("promql_expr_test", ())]
    own = [bool(check["exp_samples"]) for check in checks if f'"{rule["alert"]}"' in check["expr"]]
    fires = own.index(True)
    assert not all(own[:fires]), "a moment before it fires"
    assert len(own) > fires + 1, "a moment after"


@every_rule
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    text = rule["annotations"]["summary"] + rule["annotations"]["description"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    # Of a process that is gone there is no number.
    assert "{{ $value" in text or rule["alert"] in ("SolarinvestOperatorDead", "SolarinvestApiDown")
    assert re.search(r"kubectl |sum by |redis-cli |LIMIT_", rule["annotations"]["description"])


@every_rule
def test_an_alert_speaks_of_labels_that_it_has(rule: dict[str, Any]) -> None:
    spoken = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
    assert spoken <= labels_in(rule["expr"])


@every_rule
def test_an_alert_counts_by_namespace_and_gives_the_reason_for_its_patience(rule: dict[str, Any]) -> None:
    (block,) = re.findall(rf"- alert: {rule['alert']}\n(.*?)(?=\n\n|\Z)", ALERTS.read_text(), re.DOTALL)
    assert re.search(r"^ +# \w", block, re.MULTILINE)
    assert "for" in rule or "# No `for`" in block
    assert "namespace" in labels_in(rule["expr"])


@every_rule
def test_an_alert_has_a_page_of_its_name_and_severity(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook"]
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"].removeprefix("Solarinvest")).lower()
    assert page == RUNBOOKS / f"{name}.md"
    text = page.read_text()
    assert text.startswith(f"# {rule['alert']}\n\n`severity: {rule['labels']['severity']}`. ")
    assert "**Who feels it**: " in text
    assert [line for line in text.splitlines() if line in SECTIONS] == list(SECTIONS)


def test_the_index_lists_every_page_in_the_order_of_the_rules() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(([\w-]+\.md)\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert listed == [(rule["alert"], rule["annotations"]["runbook"].rpartition("/")[2], rule["labels"]["severity"]) for rule in rules()]
    assert {page.name for page in RUNBOOKS.glob("*.md")} == {page for _, page, _ in listed} | {"README.md"}
