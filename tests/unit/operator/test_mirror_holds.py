"""From when on Kubernetes is told again of a plant for its numbers alone, and which events are the echo of our own patches."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from controller.domain.plant import JobType, PlantContext
from controller.domain.schedule import next_slot
from controller.operator.echoes import KEPT, Echoes
from controller.operator.mirror import held_until
from integrations.registry import ADAPTERS
from tests.unit.operator.plants import NOW, body, resource, row

INTERVAL = timedelta(minutes=10)
PLANT = row().plant_id
SLOT = next_slot(PLANT, 600, NOW)
SECOND = timedelta(seconds=1)


def claimed(at: timedelta, *, done: bool = True, kind: JobType = JobType.POLL) -> PlantContext:
    """The plant, claimed so long after its slot."""
    return replace(row(declared={"poll_interval_s": 600}), attempt=5, done_attempt=5 if done else 4, claim_kind=kind, claimed_at=SLOT + at)


def test_a_plant_is_told_of_again_with_the_poll_of_its_next_slot() -> None:
    assert held_until(claimed(SECOND), SLOT + 3 * SECOND) == SLOT + INTERVAL


def test_a_poll_that_is_shown_late_does_not_hold_back_that_of_the_slot_that_has_begun_meanwhile() -> None:
    assert held_until(claimed(SECOND), SLOT + INTERVAL - SECOND) == SLOT + INTERVAL
    assert held_until(claimed(-SECOND), SLOT + 5 * SECOND) == SLOT


def test_nor_does_it_hold_back_a_poll_that_is_under_way() -> None:
    assert held_until(claimed(SECOND, done=False), SLOT + 3 * SECOND) == SLOT + SECOND
    assert held_until(claimed(SECOND, done=False, kind=JobType.DAILY), SLOT + 3 * SECOND) == SLOT + INTERVAL


def test_a_plant_that_is_not_polled_is_told_of_once_a_slot_of_the_clock() -> None:
    for plant in (row(declared={"poll_interval_s": 600}), claimed(-3 * INTERVAL)):
        assert held_until(plant, SLOT + SECOND) == SLOT + INTERVAL


def echoes() -> Echoes:
    return Echoes({brand: adapter.capabilities for brand, adapter in ADAPTERS.items()})


def at(version: int) -> dict[str, Any]:
    """The object at this resourceVersion."""
    plant = body()
    return plant | {"metadata": plant["metadata"] | {"resourceVersion": str(version)}}


def test_an_object_as_our_patch_left_it_is_an_echo() -> None:
    ours = echoes()
    ours.note(241)
    assert ours.is_echo(at(241))
    assert not ours.is_echo(at(240))


def test_so_is_one_that_comes_before_the_answer_to_the_patch() -> None:
    ours = echoes()
    with ours.expected(resource().declaration(60), {"health": "GREEN"}):
        assert ours.is_echo(body(status={"health": "GREEN"}))
        assert not ours.is_echo(body(status={"health": "RED"})), "somebody else's"
        assert not ours.is_echo(body(status={"health": "GREEN"}, pollInterval="20m")), "the spec has changed, too"
    assert not ours.is_echo(body(status={"health": "GREEN"}))


def test_a_patch_of_an_object_that_its_row_does_not_have_yet_is_none() -> None:
    """Of two changes kopf hands on the newer: its event may be all that tells of the declaration."""
    declared = resource().declaration(60)
    assert echoes().agrees(resource(), declared)
    assert not echoes().agrees(resource(pollInterval="20m"), declared)
    assert not echoes().agrees(resource(annotations={"monitor.solarinvest.info/poll-requested-at": "now"}), declared)
    assert not echoes().agrees(resource(timezone="Nowhere/Land"), declared)
    assert not echoes().agrees(resource(pollInterval="never"), declared)


def test_only_the_newest_patches_are_remembered() -> None:
    ours = echoes()
    for version in range(KEPT + 1):
        ours.note(version)
    assert [ours.is_echo(at(version)) for version in (0, 1, KEPT)] == [False, True, True]
