"""`promtool check metrics`: what /metrics shows follows Prometheus' naming rules, with every series there is."""

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from controller.metrics import Described, Metrics

PROMTOOL_SECONDS = 30


@pytest.fixture
def promtool() -> Path:
    found = shutil.which("promtool")
    if found is None:
        pytest.fail("promtool is missing: install it (Debian has it in the package prometheus)")
    return Path(found)


def test_promtool_finds_nothing_to_complain_of(promtool: Path) -> None:
    body, content_type = with_a_sample_of_each(Metrics()).exposition()
    assert content_type.startswith("text/plain")  # the format that promtool reads

    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=PROMTOOL_SECONDS, check=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_every_metric_was_checked_with_a_sample() -> None:
    body, _ = with_a_sample_of_each(Metrics()).exposition()
    sampled = {line.split("{")[0].split(" ")[0] for line in body.decode().splitlines() if not line.startswith("#")}
    for name, metric in Metrics().names().items():
        assert (f"{name}_bucket" if metric.kind == "histogram" else name) in sampled


def with_a_sample_of_each(metrics: Metrics) -> Metrics:
    """A metric with labels shows nothing, and promtool sees nothing of it, until it has a value."""
    for metric in vars(metrics).values():
        if not isinstance(metric, Counter | Gauge | Histogram):
            continue
        labels = described(metrics, metric).labels
        series = metric.labels(*("x" for _ in labels)) if labels else metric
        match series:
            case Histogram():
                series.observe(1)
            case Counter() | Gauge():
                series.inc()
    return metrics


def described(metrics: Metrics, metric: Counter | Gauge | Histogram) -> Described:
    [family] = metric.describe()
    names = metrics.names()
    return names.get(family.name) or names[f"{family.name}_total"]
