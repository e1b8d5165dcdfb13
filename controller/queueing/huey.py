"""The brand's Huey instance and its one task (DOMAIN 1, locked: Huey on Redis, one queue a brand).

The worker takes, runs and closes jobs in batches; here each job then passes through stock `Huey.execute`, so that Huey's signals and
hooks see it done, after its commit (PROTOCOL 24).
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from huey import RedisHuey
from huey.api import Task
from huey.storage import RedisStorage
from redis import Redis

from controller.domain.outcome import Job
from controller.domain.plant import JobType
from controller.queueing.keys import list_key, queue_name
from controller.queueing.messages import TASK_FUNCTION, TASK_MODULE, JobSerializer, encode_job, job_arguments
from integrations.contract import Brand

_SAMPLE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


class JobStorage(RedisStorage):  # type: ignore[misc]  # huey has no types
    """Huey's Redis storage, of which only the list is used."""

    def put_data(self, key: str, value: bytes, is_result: bool = False) -> None:
        raise NotImplementedError("jobs have no results and cannot be revoked")


class JobHuey(RedisHuey):  # type: ignore[misc]
    """Huey without revocation, which would cost two round trips a job. A queue is emptied by suspending plants."""

    def is_revoked(self, task: Any, timestamp: datetime | None = None, peek: bool = True) -> bool:
        return False

    def delete(self, key: str) -> bool:
        return False


class NotTaken(Exception):
    """A job reached Huey without having been taken and closed by a worker: only `solarinvest worker` consumes this queue."""


class PollTasks:
    """Huey's view of one brand's jobs. Used by one thread."""

    def __init__(self, brand: Brand, client: Redis) -> None:
        self.brand = brand
        self.huey = JobHuey(
            queue_name(brand),
            storage_class=JobStorage,
            connection_pool=client.connection_pool,
            serializer=JobSerializer(),
            results=False,
            clean_name=False,
        )
        self._verdicts: dict[tuple[str, int], str] = {}
        self._task = self.huey.task(name=TASK_FUNCTION, __module__=TASK_MODULE)(self._poll_plant)
        self._check_names_and_bytes()

    def task_for(self, job: Job) -> Task:
        """The Huey task of a job; its id is the job id."""
        job_id = job.id
        return self._task.task_class(job_arguments(job, job_id), id=job_id)

    def replay(self, job: Job, verdict: str) -> None:
        """Lets Huey see a closed job done. `verdict` is what the task returns: SUCCESS or the error's name."""
        task = self.task_for(job)
        key = task.args[:2]
        self._verdicts[key] = verdict
        try:
            self.huey.execute(task)
        finally:
            self._verdicts.pop(key, None)

    def _poll_plant(self, plant_id: str, attempt: int, lock_ttl_s: int, alone: bool = False) -> str:
        try:
            return self._verdicts.pop((plant_id, attempt))
        except KeyError:
            raise NotTaken(plant_id) from None

    def _check_names_and_bytes(self) -> None:
        """The scripts know Huey's list and read its messages, and messages are written without Huey: a new Huey must not change either."""
        if self.huey.storage.queue_key != list_key(self.brand):
            raise RuntimeError(f"Huey names its list {self.huey.storage.queue_key}, not {list_key(self.brand)}")
        poll = Job(_SAMPLE, 1, JobType.POLL, self.brand, 1200)
        for job in (poll, Job(_SAMPLE, 2**40, JobType.DAILY, self.brand, 1200, date(2026, 1, 31), alone=True)):
            if self.huey.serialize_task(self.task_for(job)) != encode_job(job):
                raise RuntimeError(f"Huey writes {job.id} in another way than encode_job")
