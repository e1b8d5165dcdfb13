"""The way to the queue server: one client without retries, one call a script, and errors that carry no address (PROTOCOL, Redis).

Used by `queue`, `worker_queue` and `huey`; nothing above sees an exception of redis-py.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Protocol

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from controller.domain.errors import EpochMissing, IncarnationRetired, QueueUnavailable

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 5.0
"""Longer than any wait we ask of the server (`worker_queue.MAX_WAIT_S`), so that an empty queue is not taken for a dead server."""
HEALTH_CHECK_S = 15
"""A connection that was idle this long is tried with a PING before it carries a command."""

SCRIPTS = ("open_epoch", "enqueue", "take", "release", "give_back", "check", "beat", "depths", "promote", "reserve", "settle", "room")
Argument = str | bytes | int


class Secret(Protocol):
    """What pydantic's SecretStr offers: text that is not printed by accident."""

    def get_secret_value(self) -> str: ...


def connect(server: Redis | str | Secret, read_timeout_s: float = READ_TIMEOUT_S, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> Redis:
    """A client of the server at a URL (`redis://`, `rediss://`, `unix://`); a client is returned as it is.

    It connects at its first command, and threads may share it. It never repeats a command by itself: what was pushed twice would be
    there twice.
    """
    if isinstance(server, Redis):
        return server
    return Redis.from_url(
        server if isinstance(server, str) else server.get_secret_value(),
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=connect_timeout_s,
        socket_timeout=read_timeout_s,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_S,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of redis-py as `EpochMissing`, `IncarnationRetired` or `QueueUnavailable`, without a word of where the server is."""
    try:
        yield
    except ResponseError as error:
        code, _, text = str(error).partition(" ")
        if code == "EPOCH":
            raise EpochMissing(text) from None
        if code == "RETIRED":
            raise IncarnationRetired(text) from None
        # Such as OutOfMemoryError, or ReadOnlyError after a failover. The rest of the text may quote what was sent.
        answer = code if type(error) is ResponseError else type(error).__name__
        raise QueueUnavailable(f"{what}: the server answered {answer}") from None
    except RedisError as error:
        raise QueueUnavailable(f"{what}: {type(error).__name__}") from None


class QueueServer:
    """The scripts of `scripts/`, ready to be called. Threads may share one."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._scripts = {name: client.register_script(_source(name)) for name in SCRIPTS}

    def call(self, script: str, keys: Sequence[str], args: Iterable[Argument] = ()) -> Any:
        """What the script returns. Raises `QueueUnavailable`, `EpochMissing`, `IncarnationRetired`."""
        with translated(script):
            return self._scripts[script](keys=keys, args=args)

    def delete(self, key: str) -> None:
        """Raises `QueueUnavailable`."""
        with translated("delete"):
            self.client.delete(key)

    def wait_at_right_end(self, key: str, timeout_s: float) -> bool:
        """Whether the list has an element, after up to `timeout_s` of waiting for one; moves nothing (PROTOCOL 13).

        Raises `QueueUnavailable`.
        """
        with translated("wait"):
            # redis-py leaves this method without annotations.
            moved = self.client.execute_command("BLMOVE", key, key, "RIGHT", "RIGHT", timeout_s)  # type: ignore[no-untyped-call]
            return moved is not None


def _source(name: str) -> str:
    folder = files("controller.queueing") / "scripts"
    return (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
