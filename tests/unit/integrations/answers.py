"""Recorded vendors for unit tests: an `Exchange` that gives the answers it was told, path by path, and remembers what it was asked."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from integrations.contract import PlantRef, VendorRequest, VendorResponse

NOON = datetime(2026, 1, 15, 15, tzinfo=UTC)
"""12:00 in Sao Paulo: the instant of every example in VENDORS.md."""
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def plant(vendor_plant_id: str) -> PlantRef:
    return PlantRef(vendor_plant_id=vendor_plant_id, timezone=SAO_PAULO)


def answer(body: Any, status: int = 200) -> VendorResponse:
    return VendorResponse(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())


class Vendor:
    """A vendor whose answers are fixed. Paths it was not told of are an error of the test."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[VendorRequest] = []

    def __call__(self, request: VendorRequest) -> VendorResponse:
        self.asked.append(request)
        told = self.answers[request.path]
        return answer(told(request.body) if callable(told) else told)
