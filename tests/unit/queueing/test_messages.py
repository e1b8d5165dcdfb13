"""The bytes in the queue: ids only, and never a surprise for whoever reads them."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from huey.registry import Message
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.outcome import Job
from controller.domain.plant import JobType
from controller.queueing.messages import JobSerializer, MalformedMessage, decode_job, encode_job
from integrations.contract import Brand

PLANT = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
numbers = st.integers(1, 2**53 - 1)


@given(st.uuids(), numbers, st.integers(1, 10**6), st.sampled_from(Brand), st.none() | st.dates())
def test_a_job_survives_its_message(plant_id: UUID, attempt: int, ttl: int, brand: Brand, day: date | None) -> None:
    job = Job(plant_id, attempt, JobType.POLL if day is None else JobType.DAILY, brand, ttl, day)
    assert decode_job(encode_job(job), brand) == job


@given(st.binary())
def test_any_bytes_are_a_job_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_job(data, Brand.SOLIS)


@given(st.binary(min_size=1, max_size=3), st.integers(0, 130))
def test_a_damaged_message_is_a_job_or_malformed(damage: bytes, at: int) -> None:
    message = encode_job(Job(PLANT, 5, JobType.DAILY, Brand.SOLIS, 1200, date(2026, 1, 31)))
    try:
        decode_job(message[:at] + damage + message[at + len(damage) :], Brand.SOLIS)
    except MalformedMessage:
        return


@pytest.mark.parametrize(
    "job_id",
    ["", "poll", f"poll:plant:{PLANT}:earliest", f"weekly:plant:{PLANT}:latest", f"daily:plant:{PLANT}:2026-02-31", "poll:plant:x:latest"],
)
def test_a_job_id_of_another_form_is_malformed(job_id: str) -> None:
    with pytest.raises(MalformedMessage):
        decode_job(f'{{"id":"{job_id}","name":"solarinvest.poll_plant","args":["{PLANT}",1,1200]}}'.encode(), Brand.SOLIS)


@pytest.mark.rule("D1.7", "D2.4")
def test_a_message_has_the_locked_job_id_and_nothing_but_ids() -> None:
    message = encode_job(Job(PLANT, 5, JobType.POLL, Brand.SOLIS, 1200))
    assert message == f'{{"id":"poll:plant:{PLANT}:latest","name":"solarinvest.poll_plant","args":["{PLANT}",5,1200]}}'.encode()


def test_the_serializer_takes_no_results() -> None:
    with pytest.raises(TypeError):
        JobSerializer().serialize({"result": 1})


def test_the_serializer_takes_no_schedules() -> None:
    with pytest.raises(TypeError, match="eta"):
        JobSerializer().serialize(Message("id", "name", eta=datetime(2026, 1, 1, tzinfo=UTC)))
