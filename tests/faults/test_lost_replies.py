"""Fault 6: replies of the queue server get lost after what was asked is done, and the server itself stops answering for a while."""

import hashlib
from pathlib import Path

import pytest

from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.lost_replies import LostReplies
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, World, let_pass

PLANTS = 20
LOST = 2
"""Replies in a row: the repetition's is lost, too."""
KEEPS_THE_NAME = Mutation(
    rule="PROTOCOL 21: a TAKE without reply retires the incarnation",
    file="controller/worker/batches.py",
    old='            incarnation.retire("take-unanswered")\n',
    new="",
)
REPEATS_BLINDLY = Mutation(
    rule="PROTOCOL 12: ENQUEUE skips what waits or is taken",
    file="controller/queueing/scripts/enqueue.lua",
    old="  if waiting < attempt and (held or 0) < attempt then\n",
    new="  if true then\n",
)


def marker(code: Path, script: str) -> bytes:
    """What a call of a script has in it: the name that the server gives it."""
    folder = code / "controller" / "queueing" / "scripts"
    source = (folder / "common.lua").read_bytes() + (folder / f"{script}.lua").read_bytes()
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()


def lose(world: World, script: str) -> float:
    """Polls while the replies of a script get lost; seconds until every plant was polled."""
    ids = world.seed(PLANTS, interval_s=600)
    with LostReplies(world.valkey.port) as proxy:
        url = world.valkey.url.replace(f":{world.valkey.port}/", f":{proxy.port}/")
        world.scheduler(REDIS_URL=url)
        world.until(lambda: world.waiting() == PLANTS, 60, "the scripts to be known to the server")
        world.worker("mid-exchange:sleep=0.05", REDIS_URL=url)
        world.polled_again(ids, 0)
        before, since = world.last_attempt(), boottime()
        proxy.lose(marker(world.code, script), LOST)
        world.make_due(ids)
        world.until(lambda: proxy.lost == LOST or world.waiting() > PLANTS, 30, "replies to get lost")
        if world.waiting() > PLANTS:
            raise PromiseBroken([Violation(Kind.QUEUED_TWICE, f"{world.waiting()} messages of {PLANTS} plants")])
        took = world.polled_again(ids, before, since=since)
        world.settle_and_check(ids)
    return took


@pytest.mark.fault
@pytest.mark.parametrize("script", ["enqueue", "take", "release", "beat", "check"])
def test_a_lost_reply_loses_and_doubles_nothing(world: World, measure: Measure, script: str) -> None:
    measure(f"{LOST} replies of {script} lost, to all polled", lose(world, script), AGAIN_S)


@pytest.mark.fault
def test_a_lost_reply_when_jobs_are_given_back_loses_none(world: World, measure: Measure) -> None:
    ids = world.seed(200, interval_s=600)
    with LostReplies(world.valkey.port) as proxy:
        url = world.valkey.url.replace(f":{world.valkey.port}/", f":{proxy.port}/")
        world.scheduler()
        world.until(lambda: world.waiting() == len(ids), 60, "all jobs to wait")
        stopping = world.worker("mid-exchange:sleep=1", REDIS_URL=url)
        world.until(world.exchanges, 60, "an exchange to begin")
        proxy.lose(marker(world.code, "give_back"), LOST)
        stopping.terminate()
        stopped_at = boottime()
        assert stopping.wait(45) == 0
        assert proxy.lost == LOST
        assert world.waiting() > 0
        world.worker()
        measure(f"{LOST} replies of RETURN lost, to all polled", world.polled_again(ids, 0, since=stopped_at), AGAIN_S)
        world.settle_and_check(ids)
    assert not world.lost()


@pytest.mark.fault
@pytest.mark.parametrize("seconds", [12, 60])
def test_a_queue_server_that_stops_answering_is_outlived(world: World, measure: Measure, seconds: int) -> None:
    ids = world.seed(PLANTS, interval_s=600)
    world.scheduler()
    world.worker("mid-exchange:sleep=0.2")
    world.worker("mid-exchange:sleep=0.2")
    world.polled_again(ids, 0)
    before, began = world.last_attempt(), len(world.exchanges())
    world.make_due(ids)
    world.until(lambda: len(world.exchanges()) > began, 10, "exchanges")
    world.valkey.pause()
    let_pass(seconds, f"the queue server does not answer for {seconds} s")
    world.valkey.resume()
    measure(f"Redis stopped for {seconds} s, back to all polled", world.polled_again(ids, before), AGAIN_S)
    world.settle_and_check(ids)


@pytest.mark.fault
def test_control_a_worker_that_keeps_its_name_keeps_jobs_it_knows_nothing_of(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        lose(make_world(KEEPS_THE_NAME), "take")
    assert Kind.NOT_RECOVERED in broken.value.kinds
