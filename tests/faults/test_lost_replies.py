"""Fault 6: replies of the queue server get lost after what was asked is done, and the server itself stops answering for a while."""

import hashlib
from pathlib import Path

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.lost_replies import LostReplies
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, DAY, World, let_pass

PLANTS = 20
LOST = {"enqueue": 2, "take": 1, "release": 2, "beat": 2, "check": 2, "give_back": 2}
"""Replies in a row, so that the repetition's is lost, too. A TAKE is not repeated: the next one begins when the jobs were found lost."""
LOOKED_FOR = "mid-exchange:sleep=12"
"""Polls that outlast the grace by two sweeps, so that CHECK asks for them twice, and end within the lease."""
KEEPS_THE_NAME = Mutation(
    rule="PROTOCOL 21: a TAKE without reply retires the incarnation",
    file="controller/worker/batches.py",
    old='            incarnation.retire("take-unanswered")\n',
    new="",
)


def marker(code: Path, script: str) -> bytes:
    """What a call of a script has in it: the name that the server gives it."""
    folder = code / "controller" / "queueing" / "scripts"
    source = (folder / "common.lua").read_bytes() + (folder / f"{script}.lua").read_bytes()
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()


def lose(world: World, script: str) -> float:
    """Polls while the replies of a script get lost; seconds until every plant was polled."""
    ids = world.seed(PLANTS, interval_s=DAY)
    with LostReplies(world.valkey.port) as proxy:
        url = world.valkey.url.replace(f":{world.valkey.port}/", f":{proxy.port}/")
        world.scheduler(REDIS_URL=url)
        world.until(lambda: world.waiting() == PLANTS, 60, "the scripts to be known to the server")
        world.worker(LOOKED_FOR if script == "check" else None, REDIS_URL=url)
        world.polled_again(ids, 0)
        before, since = world.last_attempt(), boottime()
        proxy.lose(marker(world.code, script), LOST[script])
        world.make_due(ids)
        world.until(lambda: proxy.lost == LOST[script], 30, "replies to get lost")
        took = world.polled_again(ids, before, since=since)
        world.settle_and_check(ids)
    return took


@pytest.mark.lasts(60)
@pytest.mark.fault
@pytest.mark.parametrize("script", ["enqueue", "take", "release", "beat", "check"])
def test_a_lost_reply_loses_and_doubles_nothing(world: World, measure: Measure, script: str) -> None:
    measure(f"{LOST[script]} replies of {script} lost, to all polled", lose(world, script), AGAIN_S)


@pytest.mark.lasts(60)
@pytest.mark.fault
def test_a_lost_reply_when_jobs_are_given_back_loses_none(world: World, measure: Measure) -> None:
    ids = world.seed(200, interval_s=DAY)
    with LostReplies(world.valkey.port) as proxy:
        url = world.valkey.url.replace(f":{world.valkey.port}/", f":{proxy.port}/")
        world.scheduler()
        world.until(lambda: world.waiting() == len(ids), 60, "all jobs to wait")
        stopping = world.worker("mid-exchange:sleep=1", REDIS_URL=url)
        world.until(world.exchanges, 60, "an exchange to begin")
        proxy.lose(marker(world.code, "give_back"), LOST["give_back"])
        stopping.terminate()
        stopped_at = boottime()
        assert stopping.wait(45) == 0
        assert proxy.lost == LOST["give_back"]
        assert world.waiting() > 0
        world.worker()
        measure("2 replies of RETURN lost, to all polled", world.polled_again(ids, 0, since=stopped_at), AGAIN_S)
        world.settle_and_check(ids)
    assert not world.lost()


@pytest.mark.lasts(80)
@pytest.mark.fault
@pytest.mark.parametrize("seconds", [12, 60])
def test_a_queue_server_that_stops_answering_is_outlived(world: World, measure: Measure, seconds: int) -> None:
    ids = world.seed(PLANTS, interval_s=DAY)
    world.scheduler()
    world.worker("mid-exchange:sleep=2")
    world.worker("mid-exchange:sleep=2")
    world.polled_again(ids, 0)
    before, began = world.last_attempt(), len(world.exchanges())
    # Half of them are with the workers when it happens; the others fall due meanwhile.
    world.make_due(ids[: PLANTS // 2])
    world.until(lambda: len(world.exchanges()) > began, 10, "exchanges")
    world.valkey.pause()
    world.make_due(ids[PLANTS // 2 :])
    let_pass(seconds, f"the queue server does not answer for {seconds} s")
    world.valkey.resume()
    measure(f"Redis stopped for {seconds} s, back to all polled", world.polled_again(ids, before), AGAIN_S)
    # A lock that could not be released stands until the plant's next poll replaces it (PROTOCOL 13).
    before = world.last_attempt()
    world.make_due(ids)
    world.polled_again(ids, before)
    world.settle_and_check(ids)


@pytest.mark.lasts(100)
@pytest.mark.fault
def test_control_a_worker_that_keeps_its_name_keeps_jobs_it_knows_nothing_of(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        lose(make_world(KEEPS_THE_NAME), "take")
    assert Kind.NOT_RECOVERED in broken.value.kinds
