"""The count of plants that are silent by day, over pages of any length."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from controller.domain.judge import judge_declared
from controller.domain.outcome import Outcome
from controller.domain.plant import Declaration, Status
from controller.operator import daylight
from controller.operator.daylight import count_stale_in_daylight
from controller.storage.memory import MemoryStore
from integrations.contract import Brand

NOON = datetime(2026, 1, 15, 15, tzinfo=UTC)
"""In Sao Paulo."""


def silent(store: MemoryStore, number: int, brand: Brand, longitude: float | None, hours: float = 3) -> None:
    """One ACTIVE plant, near the tropic, last seen that many hours before NOON."""
    plant_id = UUID(int=number)
    latitude = None if longitude is None else -23.5
    name = f"plant-{number}"
    declared = Declaration(
        namespace="n", name=name, uid=name, generation=1, brand=brand, vendor_plant_id=name, latitude=latitude, longitude=longitude
    )
    store.apply(plant_id, declared, number, NOON, judge_declared)
    before = store.read([plant_id])[plant_id]
    live = replace(before.live, last_seen_at=NOON - timedelta(hours=hours), status=Status.YELLOW)
    assert store.write([Outcome(before=before, live=live)])


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_silent_plants_count_by_brand_where_the_sun_is_up(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daylight, "PAGE", page)
    store = MemoryStore()
    silent(store, 1, Brand.SOLIS, -46.6)
    silent(store, 2, Brand.SOLIS, None)
    silent(store, 3, Brand.SOLIS, 140.0)
    silent(store, 4, Brand.DELE, -50.0)
    silent(store, 5, Brand.DELE, -50.0, hours=1.9)
    assert count_stale_in_daylight(store, NOON) == {Brand.SOLIS: 2, Brand.HUAWEI: 0, Brand.GOODWE: 0, Brand.DELE: 1}


def test_at_night_nobody_is_missed() -> None:
    store = MemoryStore()
    silent(store, 1, Brand.SOLIS, -46.6)
    silent(store, 2, Brand.SOLIS, None)
    assert sum(count_stale_in_daylight(store, NOON + timedelta(hours=10)).values()) == 0
