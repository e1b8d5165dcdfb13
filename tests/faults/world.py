"""The world of one fault test: a database, a queue server, plants, and the product's roles as processes.

A test's body talks to it in the protocol's words (`waiting`, `locks`, `logs`), waits for conditions with a bound, and ends with
`World.settle_and_check`, which lets everything come to rest and runs the checker.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from msgspec.structs import replace
from psycopg import sql

from controller.domain.judge import judge_declared
from controller.domain.plant import Declaration, plant_id_for
from controller.storage.database import Database
from controller.storage.store import PostgresStore
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import WaitTimeoutError, wait_until
from integrations.contract import Brand
from tests.faults import ledger
from tests.faults.audit import Change, changes
from tests.faults.checker import AlertRow, Kind, LogRow, Observed, PromiseBroken, Violation, violations
from tests.faults.mutants import CHECKOUT
from tests.faults.roles import Role, boottime

AGAIN_S = 60.0
"""[60]: a killed worker's plant is polled again within this."""
REST_S = 90.0
"""Until everything claimed is closed: one recovery and a batch."""
MINUTE, DAY = 60, 86_400
"""Seconds. At an interval of a day no plant comes round by itself during a test."""
NAMESPACE = "faults"
FIRST_VENDOR_ID = 1298491919448000001
T = TypeVar("T")


class World:
    """Owned by one test. `code` is what the roles run from: the checkout or a mutant."""

    def __init__(self, folder: Path, database_url: str, valkey: Valkey, code: Path = CHECKOUT) -> None:
        self.folder = folder
        self.database_url = database_url
        self.valkey = valkey
        self.code = code
        self.ledger_file = folder / "ledger.jsonl"
        self.roles: list[Role] = []
        self.redis = valkey.client()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    # Roles

    def worker(self, fail: str | None = None, *, brand: Brand = Brand.SOLIS, **env: str) -> Role:
        """`solarinvest worker`, started. `fail` is its failpoint (FAIL=...), `env` what stands in the place of the world's servers."""
        return self._start(
            lambda name: Role.of_cli(name, ("worker", "--brand", brand.slug), self.code, self.folder, {**self._env(fail), **env}), "worker"
        )

    def scheduler(self, fail: str | None = None, **env: str) -> Role:
        """The operator's scheduling loops without Kubernetes, started."""
        return self._start(
            lambda name: Role.of_scheduler(name, self.code, self.folder, {**self._env(fail), "APPLICATION_NAME": name, **env}), "scheduler"
        )

    def operator(self, kubeconfig: Path, fail: str | None = None, *, code: Path | None = None) -> Role:
        """`solarinvest operator`, started; from another `code` than the rest where given. It compares resources and rows every 5 s."""
        env = {**self._env(fail), "KUBECONFIG": str(kubeconfig), "RESYNC_SECONDS": "5"}
        return self._start(lambda name: Role.of_cli(name, ("operator",), code or self.code, self.folder, env), "operator")

    def _start(self, make: Callable[[str], Role], kind: str) -> Role:
        role = make(f"{kind}-{len(self.roles) + 1}")
        self.roles.append(role)
        return role.start()

    def _env(self, fail: str | None) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.valkey.url,
            "INTEGRATION_MOCK_MODE": "true",
            "INTEGRATION_LEDGER_FILE": str(self.ledger_file),
            "LOG_LEVEL": "INFO",
            **({"FAIL": fail} if fail else {}),
        }

    def close(self) -> None:
        for role in self.roles:
            role.kill()
        self.redis.close()
        if self._connection is not None:
            self._connection.close()

    # Plants

    def seed(self, count: int, *, interval_s: int = MINUTE, brand: Brand = Brand.SOLIS, **declared: Any) -> list[UUID]:
        """Declares so many ACTIVE plants as the operator would, due at once. `declared` are more fields of their declarations."""
        now = datetime.now(UTC)
        ids = []
        with self.store() as store:
            for number in range(count):
                vendor_id = str(FIRST_VENDOR_ID + number)
                plant_id = plant_id_for(NAMESPACE, brand, vendor_id)
                declaration = Declaration(
                    namespace=NAMESPACE,
                    name=f"plant-{brand.slug}-{number}",
                    uid=f"uid-{plant_id}",
                    generation=1,
                    brand=brand,
                    vendor_plant_id=vendor_id,
                    poll_interval_s=interval_s,
                    **declared,
                )
                store.apply(plant_id, declaration, 1, now, judge_declared)
                ids.append(plant_id)
        return ids

    def multiply(self, plant_id: UUID, count: int) -> list[UUID]:
        """Makes `count` plants of one that was declared, as quickly as the database can."""
        self.rows(
            "INSERT INTO plants SELECT copy.* FROM plants p, generate_series(2, %s) AS number, LATERAL jsonb_populate_record(p,"
            " jsonb_build_object('plant_id', gen_random_uuid(), 'name', 'copy-' || number, 'uid', 'uid-' || number,"
            " 'vendor_plant_id', (%s + number)::text)) AS copy WHERE p.plant_id = %s RETURNING 1",
            count,
            FIRST_VENDOR_ID,
            plant_id,
        )
        return [found for (found,) in self.rows("SELECT plant_id FROM plants")]

    @contextmanager
    def store(self) -> Iterator[PostgresStore]:
        """The product's store, for what the operator does when a resource changes."""
        database = Database(self.database_url, "fault-test", max_connections=1)
        try:
            yield PostgresStore(database)
        finally:
            database.close()

    def change(self, plant_id: UUID, **declared: Any) -> None:
        """Applies a newer declaration of the plant, with other values where given; a deleted plant comes back."""
        with self.store() as store:
            before = store.read([plant_id])[plant_id].declaration
            changed = replace(before, **{"generation": before.generation + 1, **declared})
            store.apply(plant_id, changed, self._newer(plant_id), datetime.now(UTC), judge_declared)

    def delete(self, plant_id: UUID) -> None:
        """As the operator does when the resource is gone."""
        with self.store() as store:
            plant = store.read([plant_id])[plant_id].declaration
            store.delete(plant.namespace, plant.name, plant.uid, self._newer(plant_id), datetime.now(UTC))

    def purge(self) -> list[UUID]:
        """Removes deleted plants whose history goes with them, as the operator's maintenance does; those removed."""
        with self.store() as store:
            return store.purge(100)

    def _newer(self, plant_id: UUID) -> int:
        return int(self.value("SELECT resource_version + 1 FROM plants WHERE plant_id = %s", plant_id))

    def make_due(self, ids: Collection[UUID], *, within_s: float = 0) -> None:
        """Makes polls due now, or spread over so many seconds, without waiting for their interval."""
        self.execute(
            "UPDATE plants SET next_poll_at = now() + random() * make_interval(secs => %s), mirror_held_until = now()"
            " WHERE plant_id = ANY(%s)",
            within_s,
            list(ids),
        )

    def put_off(self, ids: Collection[UUID]) -> None:
        """Makes no job due for a day."""
        self.execute(
            "UPDATE plants SET next_poll_at = now() + '1 day', day_due_at = now() + '1 day' WHERE plant_id = ANY(%s)"
            " AND (next_poll_at < now() + '12 hours' OR day_due_at < now() + '12 hours')",
            list(ids),
        )

    def make_days_due(self, ids: Collection[UUID]) -> None:
        """Makes the daily job of the plant's yesterday due now."""
        self.execute(
            "UPDATE plants SET day_due_at = now(), day_due_date = (now() AT TIME ZONE timezone)::date - 1, version = version + 1"
            " WHERE plant_id = ANY(%s)",
            list(ids),
        )

    def last_seen(self, ids: Collection[UUID], *, hours: int, seconds_left: float) -> None:
        """Makes plants last seen so long ago, less some seconds: then the clock turns their status (2 h: YELLOW, 24 h: RED)."""
        self.execute(
            "UPDATE plants p SET last_seen_at = t.instant - make_interval(hours => %s), status = %s, reason = %s,"
            " clock_due_at = t.instant, clock_scan_at = t.instant, version = version + 1"
            " FROM (SELECT now() + make_interval(secs => %s) AS instant) t WHERE plant_id = ANY(%s)",
            hours,
            *{2: ("GREEN", "Reporting"), 24: ("YELLOW", "Stale")}[hours],
            seconds_left,
            list(ids),
        )

    @contextmanager
    def table_locked(self, table: str) -> Iterator[None]:
        """Nobody can write to the table meanwhile; reading it is free."""
        with psycopg.connect(self.database_url, connect_timeout=5) as connection:
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(table)))
            yield
            connection.rollback()

    # What is stored

    def status(self, plant_id: UUID) -> str:
        return str(self.value("SELECT status FROM plants WHERE plant_id = %s", plant_id))

    def shown(self) -> dict[str, tuple[str, str | None]]:
        """What the objects of all live plants should show, by name: health, and time of the last poll."""
        query: LiteralString = (
            "SELECT name, status, to_char(last_poll_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
            " FROM plants WHERE deleted_at IS NULL"
        )
        return {name: (health, polled) for name, health, polled in self.rows(query)}

    def sessions(self, role: Role) -> set[int]:
        """Backends of the database that serve a scheduler."""
        query: LiteralString = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        return {int(pid) for (pid,) in self.rows(query, role.name)}

    def rows(self, query: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        """Raises `psycopg.OperationalError` where the server is away; the next call connects anew."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database_url, autocommit=True, connect_timeout=5)
        return self._connection.execute(query, parameters).fetchall()

    def execute(self, query: LiteralString, *parameters: Any) -> None:
        self.rows(query + " RETURNING 1", *parameters)

    def execute_ddl(self, statement: LiteralString) -> None:
        with psycopg.connect(self.database_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def value(self, query: LiteralString, *parameters: Any) -> Any:
        return self.rows(query, *parameters)[0][0]

    def logs(self) -> list[LogRow]:
        query: LiteralString = "SELECT plant_id, attempt, job_type, status, adapter_error_type FROM poll_logs ORDER BY attempt"
        return [LogRow(*row) for row in self.rows(query)]

    def polled_since(self, attempt: int) -> set[UUID]:
        """Plants with a successful poll claimed after an attempt number."""
        return {log.plant_id for log in self.logs() if log.attempt > attempt and log.job_type == "POLL" and log.status == "SUCCESS"}

    def last_attempt(self) -> int:
        """The highest attempt handed out so far."""
        return int(self.value("SELECT coalesce(max(attempt), 0) FROM plants"))

    def open_claims(self) -> int:
        return int(self.value("SELECT count(*) FROM plants WHERE done_attempt < attempt"))

    def lost(self) -> list[LogRow]:
        return [log for log in self.logs() if log.error == "WORKER_LOST"]

    # What is queued

    def waiting(self, brand: Brand = Brand.SOLIS) -> int:
        """Messages that wait."""
        return int(self.redis.llen(f"huey.redis.queue:poll:{brand.slug}"))

    def locks(self) -> dict[UUID, str]:
        """Locked plants, and by whom."""
        found = {}
        for key in self.redis.scan_iter("lock:plant:*", count=1000):
            token = self.redis.get(key)
            if token is not None:
                found[UUID(str(key).rpartition(":")[2])] = str(token)
        return found

    def held(self) -> int:
        """Plants that a worker holds, barriers left out."""
        return sum(not token.startswith("barrier|") for token in self.locks().values())

    def keys_left(self, foreign: Collection[UUID] = ()) -> list[str]:
        """Everything that should not be there at rest."""
        lists = [key for key in self.redis.scan_iter("huey.redis.*", count=1000) if self.redis.type(key) == "list"]
        left = [f"{key}: {self.redis.llen(key)} messages" for key in lists]
        left += [f"{key}: {self.redis.hlen(key)} entries" for key in self.redis.scan_iter("waiting:*", count=1000)]
        return left + [f"lock:plant:{plant_id} = {token}" for plant_id, token in self.locks().items() if plant_id not in foreign]

    # Waiting

    def until(self, condition: Callable[[], T | None], bound_s: float, what: str) -> T:
        """Waits for a step of the test itself. A server that is away counts as not yet. Raises `WaitTimeoutError`."""

        def answered() -> T | None:
            try:
                return condition()
            except psycopg.OperationalError:
                return None

        found = wait_until(answered, bound_s, what, every_seconds=0.2)
        assert found is not None
        return found

    def expect(self, condition: Callable[[], T | None], bound_s: float, kind: Kind, what: str) -> T:
        """Waits for a promise; broken, it is a violation of its kind. Raises `PromiseBroken`."""
        try:
            return self.until(condition, bound_s, what)
        except WaitTimeoutError as error:
            raise PromiseBroken([Violation(kind, str(error))]) from error

    def hold(self, wrong: Callable[[], Sequence[Violation]], seconds: float, why: str) -> None:
        """Lets time pass, for the reason given, while nothing may be wrong. Raises `PromiseBroken` as soon as something is."""
        until = boottime() + seconds

        def over() -> bool:
            if found := wrong():
                raise PromiseBroken(found)
            return boottime() >= until

        wait_until(over, seconds + 30, why, every_seconds=0.5)

    def hold_until(self, condition: Callable[[], object], seconds: float, why: str) -> None:
        """Lets so much time pass, or less where the condition comes about, which it need not."""
        until = boottime() + seconds
        wait_until(lambda: bool(condition()) or boottime() >= until, seconds + 30, why, every_seconds=0.1)

    def polled_again(self, ids: Collection[UUID], after: int, bound_s: float = AGAIN_S, *, since: float | None = None) -> float:
        """Waits until every plant was polled with an attempt above `after`; seconds since `since` (or the call)."""
        began = since or boottime()
        missing = set(ids)

        def all_polled() -> bool:
            missing.difference_update(self.polled_since(after))
            return not missing

        left = bound_s - (boottime() - began)
        self.expect(all_polled, max(0.0, left), Kind.NOT_RECOVERED, f"{len(ids)} plants to be polled again")
        return boottime() - began

    # The end

    def settle_and_check(self, ids: Sequence[UUID], *, foreign: Collection[UUID] = (), more: Sequence[Violation] = ()) -> Observed:
        """Lets everything claimed come to its end, then runs the checker. Raises `PromiseBroken`."""

        def at_rest() -> bool:
            try:
                self.put_off(ids)
                return self.open_claims() == 0 and not self.keys_left(foreign)
            except psycopg.OperationalError:
                return False

        with suppress(WaitTimeoutError):  # what is left over, the checker says
            wait_until(at_rest, REST_S, "everything to come to rest", every_seconds=0.5)
        seen = self.observe(foreign)
        found = [*more, *violations(seen)]
        if found:
            raise PromiseBroken(found)
        return seen

    def observe(self, foreign: Collection[UUID] = ()) -> Observed:
        alerts = self.rows("SELECT plant_id, type, vendor_alarm_code, device_sn FROM alerts WHERE state <> 'RESOLVED'")
        return Observed(
            exchanges=self.exchanges(),
            changes=self.changes(),
            logs=self.logs(),
            alerts=[AlertRow(*row) for row in alerts],
            keys_left=self.keys_left(foreign),
        )

    def exchanges(self) -> list[ledger.Exchange]:
        return ledger.read(self.ledger_file, self._deaths())

    def changes(self) -> list[Change]:
        self.rows("SELECT 1")
        assert self._connection is not None
        return changes(self._connection)

    def _deaths(self) -> Mapping[int, float]:
        return {role.pid: role.died_at for role in self.roles if role.died_at is not None}


def let_pass(seconds: float, why: str) -> None:
    """Waits on the clock, where the passage of time itself is what the test is about."""
    until = boottime() + seconds
    wait_until(lambda: boottime() >= until, seconds + 10, why, every_seconds=0.2)


def ago(**duration: float) -> datetime:
    return datetime.now(UTC) - timedelta(**duration)
