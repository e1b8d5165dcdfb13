"""What `solarinvest doctor` asks of the queue server: a few reads, each bounded. Changes nothing."""

import time
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from controller.domain.errors import QueueUnavailable
from controller.queueing.keys import BRANDS, EPOCH, HUEY_PREFIX, brand_keys, list_key, queue_name, waiting_key
from controller.queueing.server import Secret, connect, translated

WITHIN_S = 5.0
"""Seconds for each command."""
_SCANS = 20
"""Rounds of 1,000 keys in which foreign queues are looked for: enough for what people try, and bounded for what they run."""


class QueueHealth(msgspec.Struct, frozen=True):
    """What the server says of itself, and what it holds of ours."""

    product: str
    """Redis or Valkey."""
    version: str
    is_replica: bool
    is_cluster: bool
    eviction: str
    """maxmemory-policy."""
    memory_share: float | None
    """Of maxmemory; None where there is no such limit."""
    clock_ahead_s: float
    took_s: float
    epoch: str
    """open, missing or foreign (PROTOCOL 11)."""
    depths: dict[str, int]
    """Messages by queue name."""
    wrong_types: dict[str, str]
    """Keys of ours that hold something else, and what."""
    foreign_queues: list[str]
    """Huey's lists under names that are none of ours."""


def examine(server: str | Secret) -> QueueHealth:
    """Raises `QueueUnavailable` with the cause in words, never with what was given."""
    client = connect(server, read_timeout_s=WITHIN_S)
    try:
        client.ping()
    except RedisError as error:
        raise QueueUnavailable(_cause(error)) from None
    with translated("doctor"):
        return _read(client)


def _read(client: Redis) -> QueueHealth:
    began, before = time.time(), time.monotonic()
    seconds, microseconds = client.time()
    took_s = time.monotonic() - before
    info: dict[str, Any] = client.info()
    limit = int(info.get("maxmemory", 0))
    types = {key: _text(client.type(key)) for key in brand_keys()}
    expected = {key: kind for brand in BRANDS for key, kind in ((list_key(brand), "list"), (waiting_key(brand), "hash"))}
    wrong = {key: kind for key, kind in types.items() if kind not in ("none", expected[key])}
    return QueueHealth(
        product="Valkey" if "valkey_version" in info else "Redis",
        version=str(info.get("valkey_version", info.get("redis_version", "unknown"))),
        is_replica=info.get("role") != "master",
        is_cluster=bool(info.get("cluster_enabled")),
        eviction=str(info.get("maxmemory_policy", "unknown")),
        memory_share=int(info.get("used_memory", 0)) / limit if limit else None,
        clock_ahead_s=seconds + microseconds / 1e6 - began - took_s / 2,
        took_s=took_s,
        epoch=_epoch(client, str(info.get("run_id", ""))),
        depths={queue_name(brand): client.llen(list_key(brand)) for brand in BRANDS if list_key(brand) not in wrong},
        wrong_types=wrong,
        foreign_queues=_foreign_queues(client),
    )


def _epoch(client: Redis, run_id: str) -> str:
    stored = _text(client.get(EPOCH) or b"")
    if not stored:
        return "missing"
    return "open" if run_id and stored.startswith(f"{run_id}|") else "foreign"


def _foreign_queues(client: Redis) -> list[str]:
    """Such as `huey.redis.queuepollsolis`, which Huey makes where nobody told it to keep punctuation."""
    ours = {list_key(brand) for brand in BRANDS}
    found: set[str] = set()
    cursor = 0
    for _ in range(_SCANS):
        cursor, keys = client.scan(cursor, match=f"{HUEY_PREFIX}*", count=1000)
        found |= {_text(key) for key in keys} - ours
        if not cursor:
            break
    return sorted(found)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")


def _cause(error: RedisError) -> str:
    if isinstance(error, AuthenticationError):
        return "the server refuses this user or password"
    if isinstance(error, NoPermissionError):
        return "the server's access list does not let this user do what is needed"
    if isinstance(error, RedisTimeoutError):
        return "the server does not answer in time"
    text = str(error).lower()
    if "refused" in text:
        return "nothing listens at this address"
    if "name or service not known" in text or "name resolution" in text:
        return "the host name is not known"
    return f"the server cannot be reached ({type(error).__name__})"
