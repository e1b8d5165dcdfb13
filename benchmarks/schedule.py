"""The operator's scheduler and recovery without Kubernetes, as a process: `python -m benchmarks.schedule`. Ends with SIGTERM.

The product's own loops at the product's own pace; only what needs an API server is left out.
"""

import threading
from datetime import UTC, datetime

from controller import settings as conf
from controller.logs import configure
from controller.metrics import Metrics
from controller.operator.loops import Loop, join_loops, start_loops
from controller.polling.ports import pass_by
from controller.probes import Progress
from controller.queueing.queue import RedisQueue
from controller.scheduling.recovery import Recovery
from controller.scheduling.scheduler import Scheduler
from controller.stop_signals import StopSignals
from controller.storage.database import Database
from controller.storage.store import PostgresStore


def main() -> None:
    database, redis = conf.read(conf.DatabaseSettings), conf.read(conf.RedisSettings)
    configure("INFO", (database.database_url, redis.redis_url))
    store = PostgresStore(Database(database.database_url, "solarinvest-operator", max_connections=8))
    queue, metrics = RedisQueue(redis.redis_url), Metrics()
    scheduler, recovery = Scheduler(store, queue, pass_by), Recovery(store, queue, _clock, pass_by)

    loops = [
        Loop("scheduler", lambda: metrics.record_tick(scheduler.tick(_clock())), period_s=1.0, bound_s=30.0),
        Loop("recovery", lambda: metrics.record_sweep(recovery.sweep()), period_s=5.0, bound_s=60.0),
        Loop("fleet", lambda: store.fleet(_clock()), period_s=5.0, bound_s=60.0),
    ]
    signals, stop = StopSignals(), threading.Event()
    threads = start_loops(loops, stop, Progress(), metrics)
    while not signals.came:
        stop.wait(0.1)
    stop.set()
    join_loops(threads, 10)


def _clock() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
