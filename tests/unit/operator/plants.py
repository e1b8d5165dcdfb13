"""A plant of the operator's tests, as an object and as a row."""

from datetime import UTC, datetime, timedelta
from typing import Any

from controller.domain.plant import Declaration, Integration, LiveState, PlantContext, Reason, Snapshot, Status
from controller.operator.resource import PlantResource
from integrations.contract import Brand

NOW = datetime(2026, 1, 15, 15, 0, tzinfo=UTC)
"""Noon in São Paulo."""


def body(
    *, annotations: dict[str, Any] | None = None, status: dict[str, Any] | None = None, generation: int = 3, **spec: Any
) -> dict[str, Any]:
    """A Plant as the API server hands it out. Keywords are fields of the spec; None removes one."""
    declared = {
        "brand": "SOLIS",
        "vendorPlantId": "1298491919448000001",
        "timezone": "America/Sao_Paulo",
        "location": {"latitude": -23.5, "longitude": -46},
        "capacityKWp": 6.6,
        "pollInterval": "10m",
        "suspend": False,
        "statusPolicy": "Strict",
        "historyPolicy": "Retain",
    } | spec
    return {
        "apiVersion": "monitor.solarinvest.info/v1alpha1",
        "kind": "Plant",
        "metadata": {
            "namespace": "default",
            "name": "roof",
            "uid": "13d08596-2999-4861-b7df-324373078bdb",
            "resourceVersion": "240",
            "generation": generation,
            "creationTimestamp": "2026-01-01T08:16:08Z",
            "annotations": annotations or {},
        },
        "spec": {name: value for name, value in declared.items() if value is not None},
        "status": status or {},
    }


def resource(**fields: Any) -> PlantResource:
    return PlantResource.parse(body(**fields))


def row(*, declared: dict[str, Any] | None = None, days: tuple[Snapshot, ...] = (), **live: Any) -> PlantContext:
    """A healthy plant at `NOW`; keywords are fields of its live state."""
    seen = NOW - timedelta(minutes=4)
    state: dict[str, Any] = {
        "integration": Integration.ACTIVE,
        "status": Status.GREEN,
        "reason": Reason.REPORTING,
        "status_since": NOW - timedelta(days=2),
        "explain": ("Last seen at 2026-01-15 11:56 -03, within 2 h, and no critical alert is active.",),
        "last_seen_at": seen,
        "sampled_at": seen,
        "current_power_w": 4200.0,
        "total_energy_kwh": 12543.0,
        "last_poll_at": NOW,
        "last_success_at": NOW,
        "polled_generation": 3,
    } | live
    plant = resource()
    declaration: dict[str, Any] = {"namespace": "default", "name": "roof", "uid": plant.uid, "generation": 3, "brand": Brand.SOLIS} | {
        "vendor_plant_id": "1298491919448000001",
        "latitude": -23.5,
        "longitude": -46.0,
        "capacity_kwp": 6.6,
        **(declared or {}),
    }
    return PlantContext(
        plant_id=plant.plant_id,
        declaration=Declaration(**declaration),
        live=LiveState(**state),
        version=7,
        next_poll_at=NOW + timedelta(minutes=10),
        days=days,
    )


def day(date: str, energy_kwh: float, peak_power_w: float | None = None) -> Snapshot:
    return Snapshot(
        date=datetime.fromisoformat(date).date(), timezone="America/Sao_Paulo", today_energy_kwh=energy_kwh, peak_power_w=peak_power_w
    )
