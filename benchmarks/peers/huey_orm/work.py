"""A brand's consumer with four threads: `python -m benchmarks.peers.huey_orm.work SOLIS`."""

import sys

from benchmarks.passes import READY
from benchmarks.peers.huey_orm.tasks import queues, redis
from integrations.contract import Brand

THREADS = 4


def main() -> None:
    brand = Brand(sys.argv[1])
    consumer = queues[brand].create_consumer(workers=THREADS, periodic=False, check_worker_health=False)
    redis.sadd(READY, brand.value)
    consumer.run()


if __name__ == "__main__":
    main()
