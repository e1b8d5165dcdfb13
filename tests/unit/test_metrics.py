"""The exposition is what Prometheus reads, and each number is what was recorded."""

import re
import subprocess
from shutil import which

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from controller.domain.outcome import Failed, Seen, SeenDays
from controller.domain.plant import PollError, Status
from controller.metrics import Metrics, ProcessRole
from controller.scheduling.recovery import SweepReport
from controller.scheduling.scheduler import TickReport
from controller.storage.ports import Fleet
from integrations.contract import Brand
from tests.unit.domain.cases import NOON, TODAY, active, close, day_job, plant, reading, sees


def samples(metrics: Metrics) -> dict[str, float]:
    """Every series of ours as `name{label="value"}`, without those at 0 and the one that says what the process is."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition()[0].decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            if sample.name.startswith("solarinvest_") and sample.value and not sample.name.endswith(("_bucket", "_info")):
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


API_LABELS = {"route", "method", "code"}
"""Of requests: the route's template, not its path."""

FLEET = Fleet(
    plants={(Brand.SOLIS, Status.GREEN): 3},
    silenced={(Brand.SOLIS, Status.GREEN): 2},
    paused={Brand.SOLIS: 1},
    schedule_lag_s={Brand.SOLIS: 1.5},
    claim_age_s={Brand.SOLIS: 7.5},
    mirror_lag_s=2.5,
)


def filled() -> Metrics:
    """A registry in which every metric has a sample."""
    metrics = Metrics()
    outcome = close(plant(active(status=Status.YELLOW)), sees(reading(current_power_w=-1.0)))
    metrics.record_outcome(replace(outcome, alarms_dropped=7))
    metrics.record_outcome(close(plant(), SeenDays({TODAY: 1.0}), NOON, day_job()))
    metrics.record_outcome(close(plant(), Failed(PollError.VENDOR_ERROR)))
    metrics.record_tick(TickReport(epoch_opened=True, polls_claimed=2, days_claimed=1))
    metrics.record_sweep(SweepReport(recovered=(close(plant(), Failed(PollError.WORKER_LOST)),)))
    metrics.record_reconcile("applied")
    metrics.record_patch()
    metrics.record_patch_conflict()
    metrics.record_repair()
    metrics.record_event("HealthChanged", "posted")
    metrics.record_event_wait()
    metrics.record_api_request("/api/v1/plants", "GET", 200, 0.01)
    metrics.record_rate_fallback()
    metrics.record_turn("tick", "ok", 0.1)
    metrics.record_dropped(Brand.SOLIS, "broken")
    metrics.record_given_back(Brand.SOLIS, 1)
    metrics.record_budget_refusals(Brand.SOLIS, 1)
    metrics.record_retries(Brand.SOLIS, 2)
    metrics.record_abandoned(Brand.SOLIS, 1)
    metrics.record_retired(Brand.SOLIS, "late")
    metrics.set_fleet(FLEET)
    metrics.set_stale_in_daylight({Brand.SOLIS: 5})
    metrics.set_gaps({Brand.SOLIS: 6})
    metrics.set_queue_depths({Brand.SOLIS: 4})
    return metrics


def test_the_list_of_names_is_the_exposition() -> None:
    metrics = filled()
    text = metrics.exposition()[0].decode()
    exposed = dict(re.findall(r"^# TYPE (solarinvest_\S+) (\S+)$", text, re.MULTILINE))
    assert exposed == {name: metric.kind for name, metric in metrics.names().items()}
    for name, metric in metrics.names().items():
        assert f"# HELP {name} {metric.text}" in text
        (first, *_) = re.findall(rf"^{name}(?:_count)?(?:{{(.*)}})? ", text, re.MULTILINE)
        assert set(re.findall(r"(\w+)=", first)) == set(metric.labels)


def test_the_names_that_others_build_on_are_there() -> None:
    names = Metrics().names()
    assert {name: names[name].labels for name in ("solarinvest_polls_total", "solarinvest_adapter_errors_total", "solarinvest_plants")} == {
        "solarinvest_polls_total": ("brand", "result"),
        "solarinvest_adapter_errors_total": ("brand", "type"),
        "solarinvest_plants": ("brand", "status"),
    }
    assert {
        "solarinvest_poll_duration_seconds",
        "solarinvest_queue_depth",
        "solarinvest_schedule_lag_seconds",
        "solarinvest_mirror_lag_seconds",
        "solarinvest_status_patches_total",
        "solarinvest_reconciles_total",
    } <= names.keys()


@pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=filled().exposition()[0], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def test_no_metric_has_a_label_that_grows_with_the_fleet() -> None:
    labels = {label for metric in Metrics().names().values() for label in metric.labels}
    assert labels <= {"brand", "result", "type", "field", "to", "reason", "kind", "loop", "status", "role", "version"} | API_LABELS


def test_a_successful_poll_counts_as_one() -> None:
    metrics = Metrics()
    metrics.record_outcome(close(plant(active(status=Status.GREEN)), sees()))
    assert samples(metrics) == {
        "solarinvest_polls_total{brand=SOLIS,result=success}": 1,
        "solarinvest_poll_duration_seconds_count{brand=SOLIS}": 1,
        "solarinvest_poll_duration_seconds_sum{brand=SOLIS}": 1,
    }


def test_a_failed_poll_counts_with_its_error() -> None:
    metrics = Metrics()
    metrics.record_outcome(close(plant(active(status=Status.GREEN)), Failed(PollError.NETWORK_TIMEOUT)))
    found = samples(metrics)
    assert found["solarinvest_polls_total{brand=SOLIS,result=error}"] == 1
    assert found["solarinvest_adapter_errors_total{brand=SOLIS,type=NETWORK_TIMEOUT}"] == 1


def test_a_failed_alarm_lookup_counts_as_success_with_an_error() -> None:
    metrics = Metrics()
    metrics.record_outcome(close(plant(), Seen(reading(), None, PollError.VENDOR_ERROR)))
    found = samples(metrics)
    assert found["solarinvest_polls_total{brand=SOLIS,result=success}"] == 1
    assert found["solarinvest_adapter_errors_total{brand=SOLIS,type=VENDOR_ERROR}"] == 1


def test_a_closed_day_is_no_poll() -> None:
    metrics = Metrics()
    metrics.record_outcome(close(plant(active(status=Status.GREEN)), SeenDays({TODAY: 1.0}), NOON, day_job()))
    assert samples(metrics) == {"solarinvest_daily_jobs_total{brand=SOLIS,result=success}": 1}


def test_a_lost_job_has_no_duration() -> None:
    metrics = Metrics()
    metrics.record_sweep(SweepReport(recovered=(close(plant(), Failed(PollError.WORKER_LOST)),)))
    found = samples(metrics)
    assert found["solarinvest_jobs_lost_total{brand=SOLIS}"] == 1
    assert found["solarinvest_polls_total{brand=SOLIS,result=error}"] == 1
    assert not any("duration" in name for name in found)


@pytest.mark.rule("D6.22")
def test_alarms_beyond_the_bound_are_counted() -> None:
    metrics = Metrics()
    metrics.record_outcome(replace(close(plant(), sees()), alarms_dropped=7))
    assert samples(metrics)["solarinvest_alarms_dropped_total{brand=SOLIS}"] == 7


@pytest.mark.rule("D3.5")
def test_refusals_and_transitions_are_counted() -> None:
    metrics = Metrics()
    metrics.record_outcome(close(plant(active(status=Status.RED)), sees(reading(current_power_w=-1.0, today_energy_kwh=-1.0))))
    found = samples(metrics)
    assert found["solarinvest_refused_values_total{brand=SOLIS,field=current_power_w}"] == 1
    assert found["solarinvest_refused_values_total{brand=SOLIS,field=today_energy_kwh}"] == 1
    assert found["solarinvest_status_transitions_total{brand=SOLIS,to=GREEN}"] == 1


def test_a_judgement_by_the_clock_counts_its_transition_only() -> None:
    metrics = Metrics()
    outcome = replace(close(plant(active(status=Status.RED)), sees()), log=None)
    metrics.record_tick(TickReport(judged=(outcome,)))
    assert samples(metrics) == {"solarinvest_status_transitions_total{brand=SOLIS,to=GREEN}": 1}


def test_gauges_show_the_fleet_as_it_was_counted() -> None:
    metrics = Metrics()
    metrics.set_fleet(FLEET)
    metrics.set_stale_in_daylight({Brand.DELE: 5})
    metrics.set_gaps({Brand.HUAWEI: 6})
    metrics.set_queue_depths({Brand.GOODWE: 4})
    assert samples(metrics) == {
        "solarinvest_plants{brand=SOLIS,status=GREEN}": 3,
        "solarinvest_plants_silenced{brand=SOLIS,status=GREEN}": 2,
        "solarinvest_plants_paused{brand=SOLIS}": 1,
        "solarinvest_plants_stale_in_daylight{brand=DELE}": 5,
        "solarinvest_plants_with_gaps{brand=HUAWEI}": 6,
        "solarinvest_queue_depth{brand=GOODWE}": 4,
        "solarinvest_schedule_lag_seconds{brand=SOLIS}": 1.5,
        "solarinvest_claim_age_seconds{brand=SOLIS}": 7.5,
        "solarinvest_mirror_lag_seconds": 2.5,
    }


def test_a_status_or_brand_without_plants_falls_to_zero() -> None:
    metrics = Metrics()
    metrics.set_fleet(FLEET)
    metrics.set_stale_in_daylight({Brand.DELE: 5})
    metrics.set_gaps({Brand.DELE: 5})
    metrics.set_queue_depths({Brand.DELE: 4})
    metrics.set_fleet(Fleet({(Brand.SOLIS, Status.RED): 1}, {}, {}, {}, {}, 0.0))
    metrics.set_stale_in_daylight({})
    metrics.set_gaps({})
    metrics.set_queue_depths({})
    assert samples(metrics) == {"solarinvest_plants{brand=SOLIS,status=RED}": 1}


def test_two_processes_in_one_interpreter_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.record_patch()
    assert samples(other) == {}


@pytest.mark.parametrize("role", ProcessRole)
def test_a_process_shows_what_its_role_can_set_and_nothing_else(role: ProcessRole) -> None:
    metrics = Metrics(role)
    shown = set(re.findall(r"^# TYPE (solarinvest_\S+) ", metrics.exposition()[0].decode(), re.MULTILINE))
    assert shown == {name for name, metric in metrics.names().items() if role in metric.roles}


def test_a_metric_of_another_role_is_counted_nowhere_and_harms_nobody() -> None:
    metrics = Metrics(ProcessRole.WORKER)
    metrics.record_patch()
    metrics.set_fleet(FLEET)
    assert samples(metrics) == {}


def test_what_is_counted_by_brand_is_shown_before_it_is_counted_first() -> None:
    """Else a rate would not see the first one: it is a difference."""
    text = Metrics(ProcessRole.WORKER, Brand.DELE).exposition()[0].decode()
    assert 'solarinvest_polls_total{brand="DELE",result="error"} 0.0' in text
    assert 'solarinvest_adapter_errors_total{brand="DELE",type="RATE_LIMIT_EXCEEDED"} 0.0' in text
    assert "SOLIS" not in text
    lost = re.findall(
        r'^solarinvest_jobs_lost_total{brand="(.*)"} 0.0', Metrics(ProcessRole.OPERATOR).exposition()[0].decode(), re.MULTILINE
    )
    assert set(lost) == set(Brand)


def test_a_process_says_what_it_is() -> None:
    text = Metrics(ProcessRole.WORKER, Brand.DELE, "1.2.3").exposition()[0].decode()
    assert 'solarinvest_build_info{brand="DELE",role="worker",version="1.2.3"} 1.0' in text
