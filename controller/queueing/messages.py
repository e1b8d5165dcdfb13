"""A job as the bytes that wait in the list: Huey's message as a JSON object, with ids only (DOMAIN 2)."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from huey.registry import Message
from huey.serializer import Serializer

from controller.domain.outcome import Job
from controller.domain.plant import JobType
from integrations.contract import Brand

TASK_MODULE = "solarinvest"
TASK_FUNCTION = "poll_plant"
TASK_NAME = f"{TASK_MODULE}.{TASK_FUNCTION}"
"""The task's name in every message: said here rather than taken from where the code lies, so that moving it strands no message."""


class MalformedMessage(Exception):
    """A message that is none of ours, or says less than it must."""


class _Args(msgspec.Struct, frozen=True, array_like=True):
    """In this order. What a later release adds behind is passed over."""

    plant_id: str
    attempt: int
    lock_ttl_s: int
    alone: bool = False


class _Wire(msgspec.Struct, frozen=True):
    id: str
    name: str
    args: _Args


_decoder = msgspec.json.Decoder(_Wire)


class JobSerializer(Serializer):  # type: ignore[misc]  # huey has no types
    """Huey's messages as JSON without pickle. Schedules, retries, results and revocation, which we do not use, are refused."""

    def _serialize(self, data: Any) -> bytes:
        if not isinstance(data, Message):
            raise TypeError("only jobs are put into the queue: no results, no revocations")
        used = {field for field, value in data._asdict().items() if value}
        if used - {"id", "name", "args"}:
            raise TypeError(f"a job carries ids only, not {', '.join(sorted(used - {'id', 'name', 'args'}))}")
        return msgspec.json.encode({"id": data.id, "name": data.name, "args": data.args})

    def _deserialize(self, data: bytes) -> Message:
        """Raises `MalformedMessage`."""
        wire = _decode(data)
        args = wire.args
        return Message(id=wire.id, name=wire.name, args=_arguments(args.plant_id, args.attempt, args.lock_ttl_s, args.alone))


def job_arguments(job: Job, job_id: str) -> tuple[str, int, int] | tuple[str, int, int, bool]:
    """What Huey's task is called with: plant id, attempt, TTL of the lock in seconds, and True where it is to run alone."""
    return _arguments(_plant_of(job_id), job.attempt, job.lock_ttl_s, job.alone)


def _arguments(plant_id: str, attempt: int, lock_ttl_s: int, alone: bool) -> tuple[str, int, int] | tuple[str, int, int, bool]:
    # Only where it says something: workers of the release before know three.
    return (plant_id, attempt, lock_ttl_s, True) if alone else (plant_id, attempt, lock_ttl_s)


def encode_job(job: Job) -> bytes:
    """What `huey.serialize_task` gives for the job, three times as fast (`PollTasks` compares the two when it is made)."""
    return encode_named(job, job.id)


def encode_named(job: Job, job_id: str) -> bytes:
    """`encode_job` for who knows the id already: to make a UUID's text costs as much as all the rest."""
    alone = ",true" if job.alone else ""
    return f'{{"id":"{job_id}","name":"{TASK_NAME}","args":["{_plant_of(job_id)}",{job.attempt},{job.lock_ttl_s}{alone}]}}'.encode()


def decode_job(message: bytes, brand: Brand) -> Job:
    """The job in a message of the brand's queue. Raises `MalformedMessage`."""
    wire = _decode(message)
    args = wire.args
    try:
        kind, _, named_id, day = wire.id.split(":")
        if named_id != args.plant_id:
            raise ValueError("id and plant differ")
        if (kind, day) == ("poll", "latest"):
            return Job(UUID(args.plant_id), args.attempt, JobType.POLL, brand, args.lock_ttl_s, alone=args.alone)
        if kind == "daily":
            return Job(UUID(args.plant_id), args.attempt, JobType.DAILY, brand, args.lock_ttl_s, date.fromisoformat(day), args.alone)
        raise ValueError("unknown kind")
    except ValueError as error:
        raise MalformedMessage(f"job id {wire.id[:100]!r}: {error}") from None


def _plant_of(job_id: str) -> str:
    return job_id.split(":", 3)[2]


def lock_fields(message: bytes) -> tuple[str, int]:
    """Plant id and attempt under which TAKE has locked a message, whatever else it says. Raises `MalformedMessage`."""
    args = _decode(message).args
    return args.plant_id, args.attempt


def _decode(message: bytes) -> _Wire:
    try:
        return _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(str(error)) from None
