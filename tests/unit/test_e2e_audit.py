"""The end-to-end tests' own eyes: a poll that is missing or done twice is seen, and so is a connection to the world."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from controller.domain.schedule import next_slot
from tests.e2e.connections import remotes
from tests.e2e.discovery import targets
from tests.e2e.fleet import MINUTE, PLANTS, Slots
from tests.e2e.product import Product

PLANT = UUID("11111111-2222-4333-8444-555555555555")
SINCE = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
FIRST = next_slot(PLANT, MINUTE, SINCE)


class Rows:
    """Stands for the product's database: one plant, polled at these seconds after its first slot."""

    def __init__(self, *polls: tuple[float, str | None]) -> None:
        self._polls = polls

    def rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return [(PLANT,)] if query == PLANTS else [(PLANT, FIRST + timedelta(seconds=at), error) for at, error in self._polls]


def slots(*polls: float, lost: float | None = None) -> Slots:
    errors = [(lost, "WORKER_LOST")] if lost is not None else []
    found = Slots(cast(Product, Rows(*((at, None) for at in polls), *errors)), since=SINCE)
    found.until = FIRST + timedelta(seconds=130)
    return found


def test_a_poll_in_each_minute_is_as_it_should_be() -> None:
    seen = slots(0.5, 61, 125)
    seen.assert_each_once()
    assert seen.latest_start_s() == 5


def test_a_minute_without_a_poll_is_missed() -> None:
    seen = slots(0.5, 125)
    assert [told.rpartition(" ")[2] for told in seen.missed()] == [f"{FIRST + timedelta(seconds=60):%H:%M:%S}"]
    with pytest.raises(AssertionError):
        seen.assert_each_once()


def test_a_minute_with_two_polls_is_told() -> None:
    seen = slots(0.5, 61, 119.9, 121)
    assert [told.rpartition(" ")[2] for told in seen.repeated()] == [f"{FIRST + timedelta(seconds=60):%H:%M:%S}"]
    with pytest.raises(AssertionError):
        seen.assert_each_once()


def test_a_poll_that_was_lost_is_counted() -> None:
    seen = slots(0.5, 125, lost=61)
    assert (seen.missed(), seen.lost()) == ([], 1)
    with pytest.raises(AssertionError):
        seen.assert_each_once()


def test_a_connection_to_the_world_is_seen_and_one_from_it_is_not() -> None:
    tables = """\
  sl  local_address rem_address   st tx_queue
   0: 00000000:238C 00000000:0000 0A 00000000:00000000
   1: 0100007F:238C 0200007F:A1B2 01 00000000:00000000
   2: 0A00F40A:A1B2 01020304:01BB 01 00000000:00000000
"""
    assert remotes(tables) == {"4.3.2.1:443"}


def test_pods_are_found_by_their_annotations() -> None:
    said = {"prometheus.io/scrape": "true", "prometheus.io/port": "9100", "prometheus.io/path": "/metrics"}
    status = {"phase": "Running", "podIP": "10.0.0.1"}
    pods: list[dict[str, Any]] = [
        {"metadata": {"name": "a", "namespace": "n", "annotations": said}, "status": status},
        {"metadata": {"name": "b", "namespace": "n"}, "status": status},
        {"metadata": {"name": "c", "namespace": "n", "annotations": said}, "status": {"phase": "Pending"}},
    ]
    assert targets(pods) == [{"targets": ["10.0.0.1:9100"], "labels": {"namespace": "n", "pod": "a", "__metrics_path__": "/metrics"}}]
