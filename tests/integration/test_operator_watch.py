"""The watch on a real API server that goes away, forgets, or refuses us: events flow again, and whoever looks sees that they did not."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.domain.plant import plant_id_for
from controller.metrics import Metrics
from controller.operator.kubernetes_api import PlantsApi, load_configuration
from controller.operator.reconcile import Reconciler
from controller.operator.watch import LOOP, Watch
from controller.probes import Progress
from controller.storage.memory import MemoryStore
from hack.devstack.control_plane import ControlPlane
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from integrations.registry import ADAPTERS

PLANTS = "/apis/monitor.solarinvest.info/v1alpha1/namespaces/default/plants"
ACCOUNT = "watch-test"
NEVER_HEARD_OF = 10**12
"""No object has come as far as this resourceVersion."""
SOON_S = 15.0
AGAIN_S = 20.0
"""kopf pauses up to 3 s between its tries, we 2 s between its lives, and starts take a second or two on a busy machine."""
pytestmark = [pytest.mark.xdist_group("control-plane-operator"), pytest.mark.lasts(120)]


class Watched:
    """A watch over a store in memory, as the operator runs it, and one Plant at a time that a person edits."""

    def __init__(self, cluster: ControlPlane, kubeconfig: Path, deaf_after_s: float) -> None:
        self._cluster = cluster
        self.configuration = load_configuration(kubeconfig)
        self.store, self.metrics, self.progress = MemoryStore(), Metrics(), Progress()
        self._stop = threading.Event()
        api = PlantsApi(self.configuration)
        capabilities = {brand: adapter.capabilities for brand, adapter in ADAPTERS.items()}
        reconciler = Reconciler(self.store, api, capabilities, lambda: datetime.now(UTC), lambda *_: None)
        self.watch = Watch(reconciler, api, self.configuration, self.metrics, deaf_after_s)
        self._thread = self.watch.start(self._stop, self.progress, bound_s=3.0)

    def stop(self) -> bool:
        """Whether it ended in time."""
        self._stop.set()
        self._thread.join(SOON_S)
        return not self._thread.is_alive()

    def declare(self, name: str, timezone: str) -> None:
        spec = {"brand": "SOLIS", "vendorPlantId": name, "timezone": timezone}
        body = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": {"name": name}, "spec": spec}
        self._cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def has_seen(self, name: str, timezone: str) -> bool:
        plant_id = plant_id_for("default", Brand.SOLIS, name)
        row = self.store.read([plant_id]).get(plant_id)
        return row is not None and row.declaration.timezone == timezone

    def ends(self) -> dict[str, float]:
        """How often kopf's lives ended, by what."""
        return {
            sample.labels["result"]: sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "solarinvest_loop_turns_total" and sample.labels["loop"] == LOOP
        }

    @property
    def succeeds(self) -> bool:
        """What /readyz says of the watch."""
        return self.progress.health()[LOOP].is_succeeding

    @property
    def turns(self) -> bool:
        """What /healthz says of it."""
        return self.progress.health()[LOOP].is_turning


@pytest.fixture
def watched(cluster: ControlPlane, operator_kubeconfig: Path) -> Iterator[Watched]:
    watched = Watched(cluster, operator_kubeconfig, deaf_after_s=0.5)
    yield watched
    assert watched.stop(), "the watch does not end"


def raise_revision(cluster: ControlPlane) -> None:
    """The API server's memory of events begins after this when it starts again: a watch that goes on from before is refused (410)."""
    path = "/api/v1/namespaces/default/configmaps"
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "revision-"}}
    for _ in range(3):
        name = cluster.request("POST", path, body)["metadata"]["name"]
        cluster.request("DELETE", f"{path}/{name}")


def test_events_flow_again_after_the_api_server_was_away_and_has_forgotten_them(watched: Watched, cluster: ControlPlane) -> None:
    watched.declare("watched-1", "America/Sao_Paulo")
    wait_until(lambda: watched.has_seen("watched-1", "America/Sao_Paulo"), SOON_S, "the first event")
    assert watched.succeeds
    raise_revision(cluster)
    cluster.stop_apiserver()
    wait_until(lambda: not watched.succeeds, SOON_S, "the watch to be seen failing")
    assert watched.turns, "an outage is none of its own failures: nothing is gained by a restart"
    cluster.start_apiserver()
    watched.declare("watched-1", "Asia/Tokyo")
    wait_until(lambda: watched.has_seen("watched-1", "Asia/Tokyo"), AGAIN_S, "events to flow again")


def test_refused_credentials_are_seen_and_right_ones_taken_up(cluster: ControlPlane) -> None:
    watched = Watched(cluster, an_account(cluster), deaf_after_s=60)
    try:
        watched.declare("watched-2", "America/Sao_Paulo")
        wait_until(lambda: watched.has_seen("watched-2", "America/Sao_Paulo"), SOON_S, "the first event")
        # A stream that was let in goes on: only the next one is refused.
        cluster.kubectl("delete", "serviceaccount", ACCOUNT)
        cluster.restart_apiserver()
        wait_until(lambda: watched.ends().get("KubernetesRefused"), AGAIN_S, "the refusal to be told")
        wait_until(lambda: not watched.succeeds, SOON_S, "the watch to be seen failing")
        assert watched.turns
        watched.configuration.refresh_api_key_hook = load_configuration(an_account(cluster)).refresh_api_key_hook
        watched.declare("watched-2", "Asia/Tokyo")
        wait_until(lambda: watched.has_seen("watched-2", "Asia/Tokyo"), AGAIN_S, "events to flow again")
    finally:
        assert watched.stop(), "the watch does not end"


def an_account(cluster: ControlPlane) -> Path:
    """A kubeconfig of an account with the operator's rights, which may be deleted."""
    cluster.kubectl("create", "serviceaccount", ACCOUNT)
    binding = cluster.kubectl(
        "create", "clusterrolebinding", ACCOUNT, "--clusterrole=solarinvest-operator", f"--serviceaccount=default:{ACCOUNT}",
        "--dry-run=client", "--output=yaml",
    )  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=binding)
    return cluster.kubeconfig_for(ACCOUNT, "default")


def test_a_watch_that_misses_what_is_listed_begins_anew(watched: Watched) -> None:
    watched.declare("watched-3", "America/Sao_Paulo")
    wait_until(lambda: watched.has_seen("watched-3", "America/Sao_Paulo"), SOON_S, "the first event")

    def is_started_again() -> bool:
        watched.watch.compare(NEVER_HEARD_OF)
        return watched.ends().get("WatchDeaf", 0) > 0

    wait_until(is_started_again, SOON_S, "the watch to be started again")
    watched.declare("watched-3", "Asia/Tokyo")
    wait_until(lambda: watched.has_seen("watched-3", "Asia/Tokyo"), AGAIN_S, "events to flow again")
