"""What a count in SQL cannot tell of the fleet, for metrics: where the sun is up. Called by the operator once a minute."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.domain.status import STALE_AFTER, was_day
from controller.storage.ports import Store
from integrations.contract import Brand

PAGE = 5_000
"""Plants a read. At night half a fleet may be silent: memory stays that of a page."""


def count_stale_in_daylight(store: Store, now: datetime) -> Mapping[Brand, int]:
    """Plants a brand, not RED and not silenced, whose silence has lasted for 2 h of day by now. Raises `StoreUnavailable`.

    A plant whose logger sleeps at night is stale at dawn and no news: it counts from two hours after its sunrise on.
    """
    found = dict.fromkeys(Brand, 0)
    after = None
    while plants := store.silent_plants(now - STALE_AFTER, now, PAGE, after):
        after = plants[-1].plant_id
        for plant in plants:
            found[plant.brand] += was_day(plant.site, ZoneInfo(plant.timezone), now)
    return found
