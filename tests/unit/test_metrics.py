"""The exposition is what Prometheus reads, and each number is what was recorded."""

import re
import subprocess
from shutil import which

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from controller.domain.outcome import Failed, Seen, SeenDays
from controller.domain.plant import PollError, Status
from controller.metrics import Metrics
from controller.scheduling.recovery import SweepReport
from controller.scheduling.scheduler import TickReport
from integrations.contract import Brand
from tests.unit.domain.cases import NOON, TODAY, active, close, day_job, plant, reading, sees


def samples(metrics: Metrics) -> dict[str, float]:
    """Every series of ours as `name{label="value"}`, without those at 0."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition()[0].decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            if sample.name.startswith("solarinvest_") and sample.value and "_bucket" not in sample.name:
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


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
    metrics.record_turn("tick", "ok", 0.1)
    metrics.record_dropped(Brand.SOLIS, "broken")
    metrics.record_given_back(Brand.SOLIS, 1)
    metrics.record_budget_refusals(Brand.SOLIS, 1)
    metrics.record_retries(Brand.SOLIS, 2)
    metrics.record_abandoned(Brand.SOLIS, 1)
    metrics.record_retired(Brand.SOLIS, "late")
    metrics.set_fleet({(Brand.SOLIS, Status.GREEN): 3}, {Brand.SOLIS: 1.5}, 2.5, {Brand.SOLIS: 2})
    metrics.set_queue_depths({Brand.SOLIS: 4})
    return metrics


def test_the_list_of_names_is_the_exposition() -> None:
    metrics = filled()
    text = metrics.exposition()[0].decode()
    exposed = dict(re.findall(r"^# TYPE (solarinvest_\S+) (\S+)$", text, re.MULTILINE))
    assert exposed == {name: kind for name, (kind, _, _) in metrics.names().items()}
    for name, (_, labels, told) in metrics.names().items():
        assert f"# HELP {name} {told}" in text
        (first, *_) = re.findall(rf"^{name}(?:_count)?(?:{{(.*)}})? ", text, re.MULTILINE)
        assert set(re.findall(r"(\w+)=", first)) == set(labels)


def test_the_names_that_others_build_on_are_there() -> None:
    names = Metrics().names()
    assert {name: names[name][1] for name in ("solarinvest_polls_total", "solarinvest_adapter_errors_total", "solarinvest_plants")} == {
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
    labels = {label for _, names, _ in Metrics().names().values() for label in names}
    assert labels <= {"brand", "result", "type", "field", "to", "reason", "kind", "loop", "status"}


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


def test_a_status_or_brand_without_plants_falls_to_zero() -> None:
    metrics = Metrics()
    metrics.set_fleet({(Brand.SOLIS, Status.GREEN): 3}, {Brand.SOLIS: 9.0}, 2.5, {Brand.SOLIS: 2})
    metrics.set_queue_depths({Brand.DELE: 4})
    metrics.set_fleet({(Brand.SOLIS, Status.RED): 1}, {}, 0.0, {})
    metrics.set_queue_depths({})
    assert samples(metrics) == {"solarinvest_plants{brand=SOLIS,status=RED}": 1}


def test_two_processes_in_one_interpreter_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.record_patch()
    assert samples(other) == {}


def test_gauges_of_the_fleet_are_shown_by_the_operator_only() -> None:
    assert b"solarinvest_mirror_lag_seconds" in Metrics().exposition()[0]
    assert b"solarinvest_mirror_lag_seconds" not in Metrics(shows_fleet=False).exposition()[0]
