"""How many requests a bearer of the read API may make, counted in the queue server so that it holds over all copies of the API.

Where that server is away, each copy counts by itself: a limit that is a little too wide harms less than an API that is down with Redis.
The counting is the library limits'; it stands here because only this package may know Redis. Its keys begin with `api:rate` and expire.
"""

import threading
import time
from collections.abc import Callable

import structlog
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import RedisError

from controller.queueing.server import Secret, connect

log = structlog.get_logger()

WINDOW_S = 10
"""The rate is a mean over this: a client that was held up for a moment may catch up."""
TIMEOUT_S = 0.25
"""To connect, and for an answer: a request shall not wait longer for permission."""
AWAY_FOR_S = 5.0
"""After a server that did not answer, nobody asks it for so long."""
PREFIX = "api:rate"


class RequestRates:
    """Thread-safe. `on_fallback` is called each time that the server is given up for a while."""

    def __init__(self, redis_url: Secret | None, per_second: int, on_fallback: Callable[[], None]) -> None:
        self._item = RateLimitItemPerSecond(per_second * WINDOW_S, WINDOW_S)
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = None if redis_url is None else _shared(redis_url)
        self._on_fallback = on_fallback
        self._lock = threading.Lock()
        self._away_until = 0.0

    def admits(self, bearer: str) -> bool:
        """Whether one more request of the bearer is within its rate; counts it if so. `bearer` is stored: no token, no name."""
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                return self._shared.hit(self._item, bearer)
            except RedisError as error:
                self._note_away(error)
        return self._local.hit(self._item, bearer)

    def _note_away(self, error: RedisError) -> None:
        with self._lock:
            if time.monotonic() < self._away_until:
                return
            self._away_until = time.monotonic() + AWAY_FOR_S
        log.warning("rates_counted_locally", error=type(error).__name__, seconds=AWAY_FOR_S)
        self._on_fallback()


def _shared(redis_url: Secret) -> SlidingWindowCounterRateLimiter:
    # Our client: it repeats nothing and is bounded in every wait, and knows the url's scheme.
    pool = connect(redis_url, TIMEOUT_S, TIMEOUT_S).connection_pool
    return SlidingWindowCounterRateLimiter(RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX))
