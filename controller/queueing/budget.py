"""A brand's limits, kept by the queue server so that they hold across all workers (DOMAIN 2).

Before a job's first exchange its worker sets aside as many requests as the job is likely to need, and after the last one it says how many
were made: two calls a job, none where the brand has no limit. A request counts from before it is made until a minute after it has ended,
so no window of 60 s ever holds more than the limit, whoever measures. A worker that dies keeps its share until its hold ends.

The budget is not part of an epoch: a flushed or replaced server begins with a fresh one, so that the minute of a flush may hold two.
"""

from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import msgspec
import structlog
from redis import Redis

from controller.domain.errors import BudgetSpent, QueueUnavailable
from controller.domain.outcome import Job
from controller.domain.plant import JobType
from controller.queueing.keys import average_key, jobs_key, list_key, requests_key
from controller.queueing.lease import boottime
from controller.queueing.server import QueueServer
from integrations.contract import Brand
from integrations.errors import AdapterError, AdapterErrorType

log = structlog.get_logger()

FIRST_GUESS = 4
"""Requests a job is taken to need before one of its kind was seen: summary, devices and alarms. What is not used goes back at once."""
HOLD_S = 30.0
"""How long a share is kept for a worker that says nothing: as long as its lease. Seconds."""
AHEAD = 10
"""Jobs that may wait for each one that runs, where only the number at once is limited: workers stay busy, and the queue short."""


class BrandLimit(msgspec.Struct, frozen=True):
    """What all workers of a brand may do together. None: as much as they can."""

    requests_per_minute: int | None = None
    requests_at_once: int | None = None

    @property
    def is_set(self) -> bool:
        return self.requests_per_minute is not None or self.requests_at_once is not None


class BrandBudget:
    """Implements `polling.ports.RequestBudget` for the workers of one brand. Owned by one thread."""

    def __init__(
        self, client: Redis, brand: Brand, limit: BrandLimit, exchange_timeout_s: float, clock: Callable[[], float] = boottime
    ) -> None:
        """`exchange_timeout_s` bounds one exchange: none begins that might outlast the share's hold."""
        self._server = QueueServer(client)
        self._requests, self._jobs, self._average = requests_key(brand), jobs_key(brand), average_key(brand)
        self._limit = limit
        self._exchange_timeout_s = exchange_timeout_s
        self._hold_s = max(HOLD_S, 2 * exchange_timeout_s)
        self._clock = clock
        self._needs: dict[tuple[UUID, JobType], int] = {}

    def reserve(self, job: Job) -> "Share | None":
        """A share for the job's exchanges, or None where the limits admit no more now, or the server that knows does not answer."""
        share = Share(self, job, self._clock)
        return share if share.extend(self._needs.get((job.plant_id, job.kind), FIRST_GUESS)) else None

    def learn(self, job: Job, requests: int) -> None:
        """Remembers the most that a plant's jobs have needed: an integer a plant, and only in limited brands."""
        key = (job.plant_id, job.kind)
        self._needs[key] = max(requests, self._needs.get(key, 0))

    def ask(self, token: str, wanted: int) -> int | None:
        """Requests that were set aside under the token, or None. A job is never promised more than a whole minute's worth."""
        wanted = min(wanted, self.per_minute) if self.per_minute else 0
        args = (token, wanted, self.per_minute, self._limit.requests_at_once or 0, round(self._hold_s * 1000))
        try:
            admitted = self._server.call("reserve", (self._requests, self._jobs), args)
        except QueueUnavailable as error:
            log.warning("budget_unknown", error=str(error))
            return None
        return wanted if admitted else None

    def settle(self, token: str, reserved: int, made: int) -> None:
        """What was not made is free again. Where the server does not answer, the hold's end does it."""
        try:
            self._server.call("settle", (self._requests, self._jobs, self._average), (token, reserved, made))
        except QueueUnavailable as error:
            log.warning("budget_not_settled", error=str(error))

    @property
    def per_minute(self) -> int:
        """Requests a minute; 0: any."""
        return self._limit.requests_per_minute or 0

    @property
    def usable_s(self) -> float:
        """For how many seconds after it was asked for a share's exchanges may begin."""
        return self._hold_s - self._exchange_timeout_s


class Share:
    """One job's part of the budget. Implements `polling.ports.Allowance`."""

    def __init__(self, budget: BrandBudget, job: Job, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._job = job
        self._clock = clock
        self._token = ""
        self._reserved = 0
        self._made = 0
        self._made_before = 0
        self._usable_until = 0.0

    def extend(self, requests: int) -> bool:
        """Settles what was had so far, and asks for so many more."""
        self._close()
        self._token = uuid4().hex
        self._usable_until = self._clock() + self._budget.usable_s
        reserved = self._budget.ask(self._token, requests)
        if reserved is None:
            self._token = ""
            return False
        self._reserved = reserved
        return True

    def spend(self) -> None:
        """One request is about to be made. Raises `BudgetSpent`, and `AdapterError` where no minute will ever be enough for this job."""
        per_minute = self._budget.per_minute
        total = self._made_before + self._made
        if per_minute and total >= per_minute:
            message = f"one job needs more than the {per_minute} requests a minute that the brand is limited to"
            raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, message)
        used_up = bool(per_minute) and self._made >= self._reserved
        if used_up or self._clock() >= self._usable_until:
            self._budget.learn(self._job, total + 1)
            if not self.extend(max(1, self._reserved - self._made)):
                raise BudgetSpent
        self._made += 1

    def settle(self) -> None:
        """After the job's last exchange."""
        if self._made_before + self._made:
            self._budget.learn(self._job, self._made_before + self._made)
        self._close()

    def _close(self) -> None:
        if self._token:
            self._budget.settle(self._token, self._reserved, self._made)
        self._made_before += self._made
        self._token, self._reserved, self._made = "", 0, 0


def room(server: QueueServer, limits: Mapping[Brand, BrandLimit]) -> dict[Brand, int]:
    """How many more jobs may be claimed of each limited brand. Raises `QueueUnavailable`. No call for brands without limit."""
    found: dict[Brand, int] = {}
    for brand, limit in limits.items():
        if limit.is_set:
            keys = (list_key(brand), requests_key(brand), average_key(brand))
            args = (limit.requests_per_minute or 0, limit.requests_at_once or 0, FIRST_GUESS, AHEAD)
            found[brand] = int(server.call("room", keys, args))
    return found
