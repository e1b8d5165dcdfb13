import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import Status
from controller.kubectl_plugin import fleet
from controller.kubectl_plugin.fleet import TROUBLE, FleetRow, Follower, View, by_trouble, counts_of, hopeless
from controller.kubectl_plugin.plants import Change, Page, PlantRow, Plants
from controller.kubectl_plugin.troubles import Expired, Forbidden, NotFound, Trouble, Unreachable
from hack.devstack.waiting import wait_until
from tests.unit.kubectl_plugin.plants import NOW, ago, listed

HEALTHS = st.sampled_from([None, "GREY", "RED", "YELLOW", "GREEN"])


def fleet_row(name: str, health: str | None, hours: float | None) -> FleetRow:
    return FleetRow.of(listed(name, health, **({} if hours is None else {"since": ago(hours=hours)})))


def test_every_status_has_its_place() -> None:
    assert set(TROUBLE) == set(Status)


def test_worst_first_then_who_has_been_so_longest_then_by_name() -> None:
    rows = [
        fleet_row("well", "GREEN", 900),
        fleet_row("fresh", None, None),
        fleet_row("waiting", "GREY", 5),
        fleet_row("new-red", "RED", 1),
        fleet_row("undated-red", "RED", None),
        fleet_row("stale", "YELLOW", 70),
        fleet_row("b-old-red", "RED", 50),
        fleet_row("a-old-red", "RED", 50),
    ]
    names = [row.name for row in sorted(rows, key=by_trouble)]
    assert names == ["a-old-red", "b-old-red", "new-red", "undated-red", "stale", "waiting", "fresh", "well"]


@given(st.lists(st.tuples(HEALTHS, st.none() | st.integers(0, 10_000)), max_size=40))
def test_no_plant_stands_above_one_in_more_trouble(plants: list[tuple[str | None, int | None]]) -> None:
    rows = sorted((fleet_row(f"p{number}", *plant) for number, plant in enumerate(plants)), key=by_trouble)
    order = ["RED", "YELLOW", "GREY", None, "GREEN"]
    places = [order.index(row.status) for row in rows]
    assert places == sorted(places)
    for above, below in pairwise(rows):
        if above.status == below.status and below.since is not None:
            assert above.since is not None
            assert above.since <= below.since
    assert counts_of(rows) == Counter(health for health, _ in plants)


def test_a_status_written_by_hand_does_not_break_the_table() -> None:
    row = FleetRow.of(listed("odd", "MAUVE", since="long ago", lastSeenTime=""))
    assert row.since is None
    assert row.seen is None
    assert min([fleet_row("well", "GREEN", 1), row], key=by_trouble) is row


def test_only_what_waiting_does_not_mend_and_only_before_the_first_list_is_hopeless() -> None:
    assert hopeless(View([], {}, None, Unreachable("away"), been_away=True)) is None
    assert hopeless(View([], {}, None, None)) is None
    for trouble in (Forbidden("no"), NotFound("no")):
        assert hopeless(View([], {}, None, trouble)) is trouble
        assert hopeless(View([], {}, NOW - timedelta(hours=1), trouble)) is None
        assert hopeless(View([], {}, None, trouble, been_away=True)) is None, "roles are not read yet as an API server starts"


class Scripted:
    """An API server that answers each list and each watch with the next of its answers, and then goes on as it last was."""

    def __init__(self, *answers: Trouble | list[PlantRow | Change]) -> None:
        self._answers = list(answers)
        self._over = threading.Event()

    def pages(self, *_: object) -> Iterator[Page]:
        yield Page([row for row in self._next() if isinstance(row, PlantRow)], "1")

    def changes(self, *_: object) -> Iterator[Change]:
        yield from (change for change in self._next() if isinstance(change, Change))

    def _next(self) -> list[PlantRow | Change]:
        if not self._answers:
            self._over.wait(10)
            raise Unreachable("over")
        answer = self._answers.pop(0)
        if isinstance(answer, Trouble):
            raise answer
        return answer


def followed(monkeypatch: pytest.MonkeyPatch, *answers: Trouble | list[PlantRow | Change]) -> Follower:
    monkeypatch.setattr(fleet, "RETRY_FIRST_S", 0.0)
    monkeypatch.setattr(fleet, "RETRY_MAX_S", 0.0)
    follower = Follower(cast(Plants, Scripted(*answers)), None, None)
    follower.start()
    return follower


def test_the_follower_lists_watches_and_lists_again_after_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = listed("first", "GREEN"), listed("second", "RED"), listed("third", "GREY")
    follower = followed(
        monkeypatch,
        Unreachable("away"),
        Forbidden("its roles are not read yet"),
        [first, second],
        [Change(True, first, "2"), Change(False, listed("second", "YELLOW"), "3"), Change(False, None, "4")],
        Expired("too old"),
        [second, third],
        [Change(False, first, "9")],
    )
    wait_until(lambda: follower.view(10).counts == {"RED": 1, "GREY": 1, "GREEN": 1}, 10, "all answers to be followed")
    view = follower.view(2)
    assert [row.name for row in view.rows] == ["second", "third"]
    assert (view.trouble, view.been_away) == (None, True)
    follower.stop()
