"""Plants of the plugin's tests, as the API server hands them out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from controller.kubectl_plugin.plants import Alert, Plant, PlantRow
from controller.kubectl_plugin.text import rfc3339

NOW = datetime(2026, 1, 15, 15, 0, tzinfo=UTC)


def ago(**span: float) -> str:
    return rfc3339(NOW - timedelta(**span))


def document(name: str = "roof", namespace: str = "default", brand: str = "SOLIS", **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": "240", "generation": 3}
    return {"metadata": metadata, "spec": {"brand": brand, "vendorPlantId": "1298"}, "status": status}


def listed(name: str = "roof", health: str | None = None, **fields: Any) -> PlantRow:
    status = {"health": health, **fields} if health else fields
    return msgspec.convert(document(name, **status), PlantRow)


def plant(**status: Any) -> Plant:
    return msgspec.convert(document(**{"observedGeneration": 3, **status}), Plant)


def alert(alert_id: str, severity: str = "CRITICAL", state: str = "NEW", **fields: Any) -> dict[str, Any]:
    return {"id": alert_id, "type": "MOCK_FAULT", "severity": severity, "state": state, "since": ago(hours=3), **fields}


def alerts(*ids: str) -> list[Alert]:
    return [msgspec.convert(alert(alert_id), Alert) for alert_id in ids]
