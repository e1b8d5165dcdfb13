"""The operator's scheduling loops as a process without Kubernetes: `Scheduler.tick` each second, `Recovery.sweep` every five.

Composed as `solarinvest operator` does, of the same parts and at the same pace, for the fault tests that are about Postgres, the queue
and workers alone. Run as a script; DATABASE_URL, REDIS_URL, LOG_LEVEL and FAIL as for the operator;
APPLICATION_NAME is what pg_stat_activity shows.
"""

import os
import signal
import threading
from datetime import UTC, datetime

from controller import settings
from controller.failpoints import Failpoints
from controller.logs import configure
from controller.metrics import Metrics
from controller.operator.loops import Loop, join_loops, start_loops
from controller.polling.ports import pass_by
from controller.probes import Progress
from controller.queueing.queue import RedisQueue
from controller.queueing.server import connect
from controller.scheduling.fast_lane import FastLane
from controller.scheduling.recovery import Recovery
from controller.scheduling.scheduler import Scheduler
from controller.storage.database import Database
from controller.storage.store import PostgresStore


def main() -> None:
    common, database, redis = (
        settings.read(settings.CommonSettings),
        settings.read(settings.DatabaseSettings),
        settings.read(settings.RedisSettings),
    )
    configure(common.log_level, (database.database_url, redis.redis_url))
    store = PostgresStore(Database(database.database_url, os.environ["APPLICATION_NAME"]))
    queue = RedisQueue(connect(redis.redis_url.get_secret_value()))
    at = Failpoints.parse(os.environ["FAIL"]).at if os.environ.get("FAIL") else pass_by
    scheduler, recovery = Scheduler(store, queue, at), Recovery(store, queue, _clock, at)
    fast_lane = FastLane(store, queue, at)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loops = [
        Loop("scheduler", lambda: scheduler.tick(_clock()), period_s=1.0, bound_s=30.0),
        Loop("urgent", lambda: fast_lane.tick(_clock()), period_s=0.2, bound_s=30.0),
        Loop("recovery", recovery.sweep, period_s=5.0, bound_s=60.0),
    ]
    threads = start_loops(loops, stop, Progress(), Metrics())
    stop.wait()
    join_loops(threads, 20.0)


def _clock() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
