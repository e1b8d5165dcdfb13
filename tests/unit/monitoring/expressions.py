"""Every PromQL expression that ships (rules, dashboards, runbooks), and what is wrong with one, by the metrics of the code.

`faults(text)` parses an expression and follows its labels from the series up: names, matchers, their values, `by`, `on`, `group_left`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import yaml

from controller.api.main import LOOP as API_LOOP
from controller.domain.plant import JobType, PollError, Status
from controller.metrics import Metrics, ProcessRole
from controller.operator import main as operator
from controller.operator.reconcile import ReconcileResult
from controller.operator.watch import LOOP as WATCH_LOOP
from controller.worker.ports import HEARTBEAT_LOOP, WORKER_LOOP
from integrations.contract import Brand

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "charts" / "solarinvest-monitor" / "files"
ALERTS = FILES / "alerts.yaml"
CASES = FILES / "alerts.test.yaml"
DASHBOARDS = sorted((FILES / "dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs" / "operations"

BY_SCRAPE = frozenset({"namespace", "pod", "instance", "job"})
OF_ALERTS = frozenset({"alertname", "alertstate", "severity", "brand", "namespace", "loop", "result", "instance"})
LOOPS = {*re.findall(r'\bLoop\(\s*"(\w+)"', Path(operator.__file__).read_text()), WATCH_LOOP, WORKER_LOOP, HEARTBEAT_LOOP, API_LOOP}
VALUES: Mapping[str, frozenset[str]] = {
    "brand": frozenset(Brand),
    "status": frozenset(Status),
    "to": frozenset(Status),
    "type": frozenset(PollError),
    "kind": frozenset(JobType),
    "role": frozenset(ProcessRole),
    "loop": frozenset(LOOPS),
}
RESULTS: Mapping[str, frozenset[str]] = {
    "solarinvest_polls_total": frozenset({"success", "error"}),
    "solarinvest_daily_jobs_total": frozenset({"success", "error"}),
    "solarinvest_reconciles_total": frozenset(ReconcileResult),
}
VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*", "$brand": ".*"}
"""Of the dashboards, and something that stands for them."""


class Expression(NamedTuple):
    where: str
    text: str


def series() -> dict[str, frozenset[str]]:
    """Every series that a process of ours may show ▶ its labels."""
    found: dict[str, frozenset[str]] = {}
    metrics = Metrics()
    for name, metric in metrics.names().items():
        labels = frozenset(metric.labels)
        if metric.kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    body = metrics.exposition()[0].decode()
    return found | dict.fromkeys(re.findall(r"^(process_\w+) ", body, re.MULTILINE), frozenset())


SERIES = series()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels(dashboard: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.read_text())["panels"]
    return found


def of_rules() -> Iterator[Expression]:
    for rule in rules():
        yield Expression(rule["alert"], rule["expr"])


def of_dashboards() -> Iterator[Expression]:
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for target in panel.get("targets", ()):
                yield Expression(f"{dashboard.name}: {panel['title']}", substituted(target["expr"]))


def of_runbooks() -> Iterator[Expression]:
    for page in sorted(RUNBOOKS.glob("*.md")):
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                if text := line.partition("#")[0].strip():
                    yield Expression(page.name, text)


def substituted(text: str) -> str:
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


def metrics_in(texts: Iterable[str]) -> set[str]:
    """Names of ours in any text, as docs/metrics.md lists them."""
    names = {name for text in texts for name in re.findall(r"\bsolarinvest_[a-z0-9_]+", text)}
    histograms = {name for name, metric in Metrics().names().items() if metric.kind == "histogram"}
    return {base if (base := re.sub(r"_(bucket|sum|count)$", "", name)) in histograms else name for name in names}


def faults(text: str) -> list[str]:
    """What is wrong with an expression; nothing where it can be answered by the series that the code makes."""
    try:
        parsed = promql.parse(text)
    except ValueError as error:
        return [str(error)]
    found: list[str] = []
    labels_of(parsed, found)
    return found


def labels_in(text: str) -> frozenset[str]:
    """The labels that the result of an expression may have."""
    return labels_of(promql.parse(text), [])


def labels_of(node: Any, found: list[str]) -> frozenset[str]:
    """The labels that the node's result may have; faults met on the way go into `found`."""
    match node:
        case promql.VectorSelector():
            return _selected(node, found)
        case promql.MatrixSelector():
            return _selected(node.vector_selector, found)
        case promql.AggregateExpr():
            return _aggregated(node, found)
        case promql.BinaryExpr():
            return _joined(node, found)
        case promql.Call():
            of_arguments = [labels_of(argument, found) for argument in node.args]
            return frozenset().union(*of_arguments)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return labels_of(node.expr, found)
        case _:
            return frozenset()


def _selected(selector: Any, found: list[str]) -> frozenset[str]:
    own = OF_ALERTS if selector.name == "ALERTS" else SERIES.get(selector.name)
    if own is None:
        found.append(f"no metric {selector.name}")
        return BY_SCRAPE
    for matcher in selector.matchers.matchers:
        if matcher.name not in own | BY_SCRAPE:
            found.append(f"{selector.name} has no label {matcher.name}")
        known = RESULTS.get(selector.name) if matcher.name == "result" else VALUES.get(matcher.name)
        if known is not None and selector.name != "ALERTS":
            found += [f"{matcher.name} is never {value}" for value in matcher.value.split("|") if value not in known | {".*"}]
    return own | BY_SCRAPE


def _aggregated(node: Any, found: list[str]) -> frozenset[str]:
    there = labels_of(node.expr, found)
    if node.modifier is None:
        return frozenset()
    named = frozenset(node.modifier.labels)
    if node.modifier.type == promql.AggModifierType.Without:
        return there - named
    found += [f"nothing to group by: {label}" for label in sorted(named - there)]
    return named


def _joined(node: Any, found: list[str]) -> frozenset[str]:
    left, right = labels_of(node.lhs, found), labels_of(node.rhs, found)
    modifier = node.modifier
    on = frozenset(modifier.matching.labels) if modifier and modifier.matching else frozenset()
    brought = frozenset(modifier.group_labels or ()) if modifier else frozenset()
    found += [f"not on both sides: {label}" for label in sorted(on - (left & right))]
    found += [f"not on the one side: {label}" for label in sorted(brought - right)]
    return left | right if str(node.op) == "or" else left | brought
