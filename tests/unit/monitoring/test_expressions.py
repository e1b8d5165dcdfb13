"""No rule, panel or runbook asks for a metric, a label or a value that the code does not have."""

import pytest

from controller.metrics import Metrics
from tests.unit.monitoring.expressions import (
    ALERTS,
    CASES,
    LOOPS,
    RUNBOOKS,
    Expression,
    faults,
    metrics_in,
    of_dashboards,
    of_rules,
    of_runbooks,
)

NOT_ON_A_DASHBOARD: dict[str, str] = {}
"""Metric ▶ why no panel shows it."""


@pytest.mark.parametrize("expression", [*of_rules(), *of_dashboards(), *of_runbooks()], ids=lambda expression: expression.where)
def test_an_expression_asks_for_what_the_code_has(expression: Expression) -> None:
    assert faults(expression.text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("solarinvest_pollz_total", "no metric solarinvest_pollz_total"),
        ("solarinvest_poll_duration_seconds", "no metric solarinvest_poll_duration_seconds"),
        ('rate(solarinvest_polls_total{vendor="SOLIS"}[5m])', "solarinvest_polls_total has no label vendor"),
        ('solarinvest_plants{status="ORANGE"}', "status is never ORANGE"),
        ('solarinvest_adapter_errors_total{type=~"VENDOR_ERROR|TIMEOUT"}', "type is never TIMEOUT"),
        ('solarinvest_polls_total{result="ok"}', "result is never ok"),
        ('solarinvest_loop_turns_total{loop="sheduler"}', "loop is never sheduler"),
        ("sum by (brand) (solarinvest_mirror_lag_seconds)", "nothing to group by: brand"),
        ("max by (status) (sum by (brand) (solarinvest_plants))", "nothing to group by: status"),
        ("sum by (brand) (solarinvest_plants) / on (status) solarinvest_plants", "not on both sides: status"),
        (
            "process_open_fds * on (instance) group_left (role) max by (instance) (solarinvest_build_info)",
            "not on the one side: role",
        ),
    ],
)
def test_a_wrong_one_would_be_found(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_an_expression_that_is_none_would_be_found() -> None:
    assert faults("sum by (brand (solarinvest_plants)") != []


def test_every_metric_is_on_a_dashboard_or_has_a_reason_not_to_be() -> None:
    shown = metrics_in(expression.text for expression in of_dashboards())
    assert set(Metrics().names()) - shown == set(NOT_ON_A_DASHBOARD)
    assert all(NOT_ON_A_DASHBOARD.values())


def test_no_text_names_a_metric_that_does_not_exist() -> None:
    texts = [ALERTS.read_text(), CASES.read_text(), *(page.read_text() for page in RUNBOOKS.glob("*.md"))]
    assert metrics_in(texts) <= set(Metrics().names())


def test_the_loops_are_those_of_all_roles() -> None:
    assert {"scheduler", "recovery", "mirror", "watch", "worker", "heartbeat", "fleet"} <= LOOPS
