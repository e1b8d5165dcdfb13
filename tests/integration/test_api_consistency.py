"""What the API says of a plant is what `kubectl get plant -o json` says of it, value by value, for every recorded scenario.

Operator, workers and api run on real servers. Both sides are read again until they agree, for the mirror follows within a moment; a value
that is derived otherwise on one side never comes to agree.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.devstack.control_plane import ControlPlane
from hack.devstack.valkey import Valkey
from integrations.contract import Brand
from tests.api_client import SECRET, Client, token
from tests.integration.every_scenario import PLANTS, EveryScenario, scenarios
from tests.stack import wait_until

pytestmark = [pytest.mark.xdist_group("control-plane-consistency"), pytest.mark.lasts(45)]

API = "/api/v1/plants"
MIRRORED_WITHIN_S = 30

IN_BOTH: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "name": lambda plant: plant["metadata"]["name"],
    "namespace": lambda plant: plant["metadata"]["namespace"],
    "brand": lambda plant: plant["spec"]["brand"],
    "vendor_plant_id": lambda plant: plant["spec"]["vendorPlantId"],
    "timezone": lambda plant: plant["spec"]["timezone"],
    "capacity_kwp": lambda plant: plant["spec"]["capacityKWp"],
    "latitude": lambda plant: plant["spec"]["location"]["latitude"],
    "longitude": lambda plant: plant["spec"]["location"]["longitude"],
    "suspend": lambda plant: plant["spec"].get("suspend", False),
    "status_policy": lambda plant: plant["spec"]["statusPolicy"],
    "integration": lambda plant: plant["status"]["integrationStatus"],
    "status": lambda plant: plant["status"]["health"],
    "reason": lambda plant: plant["status"]["reason"],
    "status_since": lambda plant: plant["status"].get("since"),
    "last_seen_at": lambda plant: plant["status"].get("lastSeenTime"),
    "current_power_w": lambda plant: plant["status"].get("currentPowerW"),
    "total_energy_kwh": lambda plant: plant["status"].get("totalEnergyKWh"),
    "today_energy_kwh": lambda plant: plant["status"].get("today", {}).get("energyKWh"),
    "last_poll_at": lambda plant: plant["status"].get("lastPollTime"),
    "last_success_at": lambda plant: plant["status"].get("lastSuccessTime"),
    "next_poll_at": lambda plant: plant["status"].get("nextPollTime"),
    "consecutive_failures": lambda plant: plant["status"]["consecutiveFailures"],
    "open_alerts": lambda plant: plant["status"]["openAlerts"],
    "explain": lambda plant: plant["status"]["explain"],
}
"""Field of the API ▶ the same in the resource."""

ALERT_IN_BOTH = {
    "id": "id",
    "type": "type",
    "severity": "severity",
    "state": "state",
    "vendor_alarm_code": "vendorAlarmCode",
    "device_sn": "deviceSn",
    "opened_at": "since",
    "message": "message",
}


def mismatches(shown: dict[str, Any], plant: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By field, what the API says and what the resource says, where they differ."""
    pairs = {field: (shown[field], of(plant)) for field, of in IN_BOTH.items()}
    of_api = sorted(
        ({theirs: alert[ours] for ours, theirs in ALERT_IN_BOTH.items()} for alert in shown["alerts"]), key=lambda a: str(a["id"])
    )
    of_resource = sorted(
        ({name: alert.get(name) for name in ALERT_IN_BOTH.values()} for alert in plant["status"].get("alerts", [])),
        key=lambda a: str(a["id"]),
    )
    pairs["alerts"] = (of_api, of_resource)
    today = plant["status"].get("today")
    if today is not None:
        newest: dict[str, Any] = next((day for day in shown["snapshots"] if day["date"] == today["date"]), {})
        pairs["peak_power_w"] = (newest.get("peak_power_w"), today.get("peakPowerW"))
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.rule("D7.3")
def test_the_api_and_the_resource_say_the_same_of_every_plant(
    tmp_path: Path, cluster: ControlPlane, operator_kubeconfig: Path, database: str, valkey: Valkey
) -> None:
    env = {"DATABASE_URL": database, "REDIS_URL": valkey.url, "JWT_SECRET": SECRET}
    with EveryScenario(tmp_path, cluster, operator_kubeconfig, database, env) as world, Client(world.api_port, token()) as client:
        world.play()
        # What a poll or a closed day changes of numbers alone is told once a slot (PROTOCOL 27): as if the next one had begun.
        world.execute("UPDATE plants SET mirror_held_until = NULL")
        left: dict[str, Any] = {}

        def all_agree() -> bool:
            left.clear()
            listed = {plant["name"]: plant for plant in client.rows(API)}
            resources = {plant["metadata"]["name"]: plant for plant in cluster.request("GET", PLANTS)["items"]}
            assert listed.keys() == resources.keys()
            assert len(listed) == len(scenarios()) > 4 * len(Brand)
            for name, plant in listed.items():
                detail = client.get(f"{API}/{plant['plant_id']}").json
                found = mismatches(detail, resources[name])
                # A poll may come between the list and the detail.
                if found or {field for field, value in plant.items() if detail[field] != value}:
                    left[name] = found
            return not left

        try:
            wait_until(all_agree, MIRRORED_WITHIN_S, "API and resources to agree")
        finally:
            print("differ:", left)
        shown = client.rows(API)
        assert {plant["status"] for plant in shown} >= {"GREEN", "RED", "GREY"}, "the agreement is about something"
        assert any(plant["open_alerts"]["total"] for plant in shown)
        assert any(plant["today_energy_kwh"] for plant in shown)
