"""Valkey and Postgres killed and started again under load: everything claimed ends in its log, every plant is polled again."""

from uuid import UUID

import pytest

from hack.devstack.postgres import Postgres
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, World

pytestmark = pytest.mark.lasts(60)

PLANTS = 250
SLOW = "mid-exchange:sleep=0.5"
"""So that a batch of hundreds is on its way for seconds."""


def put_under_load(world: World) -> list[UUID]:
    """A scheduler and two workers that have polled every plant once, and have begun to do so again."""
    ids = world.seed(PLANTS, interval_s=600)
    world.scheduler()
    world.worker(SLOW)
    world.worker(SLOW)
    world.polled_again(ids, 0)
    done = len(world.logs())
    world.make_due(ids)
    world.until(lambda: world.open_claims() > PLANTS / 2, 10, "claims")
    began = len(world.exchanges())
    world.until(lambda: len(world.exchanges()) > began, 10, "exchanges")
    assert len(world.logs()) < done + PLANTS
    return ids


@pytest.mark.fault
def test_valkey_killed_and_started_again(world: World, measure: Measure) -> None:
    ids = put_under_load(world)
    world.valkey.kill()
    killed_at = boottime()
    world.valkey.start()
    took = world.polled_again(ids, PLANTS, since=killed_at)
    measure(f"Valkey killed with {PLANTS} polls on their way, to all polled", took, AGAIN_S)
    world.settle_and_check(ids)


@pytest.mark.fault
def test_postgres_killed_and_started_again(make_world: MakeWorld, own_postgres: Postgres, measure: Measure) -> None:
    world = make_world(postgres=own_postgres)
    ids = put_under_load(world)
    own_postgres.kill()
    killed_at = boottime()
    own_postgres.start()
    took = world.polled_again(ids, PLANTS, since=killed_at)
    measure(f"Postgres killed with {PLANTS} polls on their way, to all polled", took, AGAIN_S)
    world.settle_and_check(ids)
