"""`solarinvest doctor` on real servers: it finds what is wrong, and says what to do. And the database users of docs/security.md."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from pydantic import SecretStr

from controller.operator import rights
from controller.queueing.keys import list_key, waiting_key
from controller.queueing.queue import RedisQueue
from controller.storage.migrate import head, upgrade
from controller.tools.doctor import Finding, Report, State, Subject, examine
from hack.devstack.control_plane import ControlPlane
from hack.devstack.ports import free_port
from hack.devstack.postgres import Postgres
from hack.devstack.program import base_environment
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from integrations.transport import default_fixtures
from tests.stack import SolarProcess, revive

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BOUND_S = 120
PASSWORD = "a-password-of-this-test"
NOT_OWNER = "operator and migrate: no CREATE on the schema, no ownership of the tables"
OWNER, WORKER, API = "solarinvest", "solarinvest_worker", "solarinvest_api"
PLANT = {
    "apiVersion": "monitor.solarinvest.info/v1alpha1",
    "kind": "Plant",
    "metadata": {"name": "roof", "namespace": "default"},
    "spec": {"brand": "SOLIS", "vendorPlantId": "1001", "pollInterval": "1m"},
}


def report(
    database: str | None = None,
    valkey: str | None = None,
    kubeconfig: Path | None = None,
    fixtures: Path | None = None,
    within_s: float = 30,
) -> Report:
    return examine(
        Subject(
            version="0",
            fixtures=default_fixtures(),
            is_in_mock_mode=True,
            database_url=None if database is None else SecretStr(database),
            redis_url=None if valkey is None else SecretStr(valkey),
            kubeconfig=kubeconfig,
        ),
        within_s,
    )


def found(check: str, report: Report) -> Finding:
    (finding,) = [finding for finding in report.checks if finding.check == check]
    return finding


def states(report: Report) -> dict[str, State]:
    return {finding.check: finding.state for finding in report.checks}


# A system that is well


@pytest.fixture
def environment(database: str, valkey: Valkey, cluster: ControlPlane, operator_kubeconfig: Path) -> dict[str, str]:
    """Of everything that the doctor looks at, after an operator has been there."""
    RedisQueue(valkey.url).open_epoch()
    return {
        "DATABASE_URL": database,
        "REDIS_URL": valkey.url,
        "KUBECONFIG": str(operator_kubeconfig),
        "INTEGRATION_MOCK_MODE": "true",
        "JWT_SECRET": "of-at-least-thirty-two-characters",
    }


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "solarinvest"), *arguments]
    return subprocess.run(command, env={**base_environment(), **environment}, capture_output=True, text=True, timeout=BOUND_S, check=False)


def test_of_a_system_that_is_well_every_check_is_ok(environment: dict[str, str]) -> None:
    asked = run(environment, "doctor", "--output", "json")
    answer = json.loads(asked.stdout)
    assert (asked.returncode, asked.stderr, answer["ok"]) == (0, "", True)
    assert [finding for finding in answer["checks"] if finding["state"] != "ok"] == []
    assert {finding["check"] for finding in answer["checks"]} == {
        "settings",
        "time zones",
        "fixtures",
        "database",
        "clock of the database",
        "migrations",
        "database rights",
        "queue server",
        "clock of the queue server",
        "queue memory",
        "queue names",
        "queue epoch",
        "kubernetes",
        "plant definition",
        "kubernetes rights",
    }


def test_in_a_pipe_it_is_plain_lines_that_end_with_the_sum(environment: dict[str, str]) -> None:
    lines = run(environment, "doctor").stdout.splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[-1].startswith("ok: 15 ok (solarinvest ")
    assert all(line.startswith("ok  ") for line in lines[:-1])


def test_it_names_the_wrong_variable_and_the_misspelt_one_and_no_secret(environment: dict[str, str]) -> None:
    asked = run({**environment, "METRICS_PORT": "http", "LIMIT_SOLIS_CONCURENCY": "1", "JWT_SECRET": "hunter2-too-short"}, "doctor")
    assert asked.returncode == 1
    assert "METRICS_PORT is 'http': allowed is a whole number from 0 to 65535" in asked.stdout
    assert "LIMIT_SOLIS_CONCURENCY is set, and nothing reads it" in asked.stdout
    assert "JWT_SECRET: must have at least 32 bytes" in asked.stdout
    assert "hunter2" not in asked.stdout + asked.stderr


# Postgres


def test_a_wrong_password_is_told_without_it(database: str) -> None:
    wrong = re.sub(r":[^:@]+@", ":hunter2-hunter2@", database)
    answer = report(database=wrong)
    assert found("database", answer).said == "the server refuses this user or password"
    assert not answer.ok
    assert "hunter2" not in repr(answer)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:p@127.0.0.1:1/db", "nothing listens at this address"),
        ("postgresql://u:p@no-such-host.invalid/db", "the host name"),
    ],
)
def test_a_server_that_is_not_there_is_told(url: str, said: str) -> None:
    assert said in found("database", report(database=url)).said


def test_a_database_that_does_not_exist_is_told(postgres_server: Postgres) -> None:
    revive(postgres_server)
    assert found("database", report(database=postgres_server.url_of("absent"))).said == "the server has no such database or user"


def test_an_empty_database_wants_migrations(postgres_server: Postgres) -> None:
    revive(postgres_server)
    name = f"test_{uuid4().hex}"
    answer = report(database=postgres_server.create_database(name))
    postgres_server.drop_database(name)
    assert (found("migrations", answer).state, found("migrations", answer).advice) == (State.FAILED, "run `solarinvest migrate`")


@pytest.mark.parametrize(("revision", "state"), [("0001", State.FAILED), ("9999", State.OK)])
def test_an_older_schema_fails_and_a_later_one_does_not(database: str, revision: str, state: State) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))
    finding = found("migrations", report(database=database))
    assert finding.state is state
    assert revision in finding.said
    assert head() in finding.said


def test_a_frozen_database_is_told_in_time_and_hides_nothing_else(database: str, postgres_server: Postgres, valkey: Valkey) -> None:
    postgres_server.pause()
    began = time.monotonic()
    answer = report(database=database, valkey=valkey.url)
    took_s = time.monotonic() - began
    postgres_server.resume()
    assert found("database", answer).state is State.FAILED
    assert found("queue server", answer).state is State.OK
    assert took_s < 15


def test_servers_that_never_answer_cost_no_more_than_the_bound(database: str, postgres_server: Postgres) -> None:
    postgres_server.pause()
    began = time.monotonic()
    answer = report(database=database, within_s=0.5)
    took_s = time.monotonic() - began
    postgres_server.resume()
    assert found("database", answer).said == "no answer within 0.5 s"
    assert took_s < 6


# The queue server


def test_a_queue_server_that_refuses_us_is_told_without_the_password(valkey: Valkey) -> None:
    answer = report(valkey=f"redis://:hunter2-hunter2@127.0.0.1:{valkey.port}/0")
    assert found("queue server", answer).said == "the server refuses this user or password"
    assert "hunter2" not in repr(answer)


def test_a_queue_server_that_is_not_there_is_told() -> None:
    assert found("queue server", report(valkey="redis://127.0.0.1:1")).said == "nothing listens at this address"


def test_a_frozen_queue_server_is_told_in_time(valkey: Valkey) -> None:
    valkey.pause()
    began = time.monotonic()
    answer = report(valkey=valkey.url)
    took_s = time.monotonic() - began
    valkey.resume()
    assert found("queue server", answer).said == "the server does not answer in time"
    assert took_s < 15


def test_a_server_that_would_drop_queues_is_told(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        answer = report(valkey=valkey.url)
        client.config_set("maxmemory-policy", "noeviction")
    assert found("queue memory", answer).state is State.FAILED
    assert "allkeys-lru" in found("queue memory", answer).said


def test_a_server_that_is_nearly_full_is_told(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory", int(client.info()["used_memory"] * 1.1))
        answer = report(valkey=valkey.url)
        client.config_set("maxmemory", 0)
    assert found("queue memory", answer).state is State.WARNING


def test_the_epoch_is_missing_until_an_operator_came_and_foreign_after_a_restart(valkey: Valkey) -> None:
    assert found("queue epoch", report(valkey=valkey.url)).said.startswith("missing")
    RedisQueue(valkey.url).open_epoch()
    assert found("queue epoch", report(valkey=valkey.url)).state is State.OK
    with valkey.client() as client:
        client.set("epoch", "0123456789|1")
    assert found("queue epoch", report(valkey=valkey.url)).said.startswith("foreign")


@pytest.mark.parametrize("key", [list_key(Brand.SOLIS), waiting_key(Brand.DELE)])
def test_a_key_that_somebody_else_uses_is_told(valkey: Valkey, key: str) -> None:
    with valkey.client() as client:
        client.set(key, "theirs")
    finding = found("queue names", report(valkey=valkey.url))
    assert (finding.state, finding.said) == (State.FAILED, f"{key} is a string")


def test_a_queue_under_the_name_that_huey_gives_by_default_is_told(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.lpush("huey.redis.queuepollsolis", "x")
    findings = [finding for finding in report(valkey=valkey.url).checks if finding.check == "queue names"]
    assert [finding.state for finding in findings] == [State.WARNING, State.OK]
    assert "huey.redis.queuepollsolis" in findings[0].said


# Kubernetes


def test_an_identity_without_rights_is_told_with_each_that_is_missing(control_plane: ControlPlane, cluster: ControlPlane) -> None:
    account = f"nobody-{uuid4().hex}"
    wanted = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
    control_plane.request("POST", "/api/v1/namespaces/default/serviceaccounts", wanted)
    answer = report(kubeconfig=control_plane.kubeconfig_for(account, "default"))
    assert (found("kubernetes", answer).state, found("plant definition", answer).state) == (State.OK, State.OK)
    finding = found("kubernetes rights", answer)
    assert finding.state is State.FAILED
    assert all(str(right) in finding.said for right in rights.NEEDED)


def test_a_definition_that_is_not_served_is_told(monkeypatch: pytest.MonkeyPatch, cluster: ControlPlane, operator_kubeconfig: Path) -> None:
    monkeypatch.setattr(rights, "GROUP", "absent.solarinvest.info")
    finding = found("plant definition", report(kubeconfig=operator_kubeconfig))
    assert (finding.state, "kubectl apply -f manifests/crd" in str(finding.advice)) == (State.FAILED, True)


def test_a_wrong_token_and_a_file_that_is_no_kubeconfig_are_told_without_what_is_in_them(
    cluster: ControlPlane, operator_kubeconfig: Path, tmp_path: Path
) -> None:
    wrong, broken = tmp_path / "wrong", tmp_path / "broken"
    wrong.write_text(re.sub(r"token: .*", "token: hunter2hunter2", operator_kubeconfig.read_text()))
    broken.write_text("users: [{user: {token: hunter2hunter2}\n :::")
    answers = [report(kubeconfig=wrong), report(kubeconfig=broken)]
    assert [found("kubernetes", answer).state for answer in answers] == [State.FAILED, State.FAILED]
    assert "401" in found("kubernetes", answers[0]).said
    assert "hunter2" not in repr(answers)


# The database users of docs/security.md


class Users:
    """A migrated database and the three users, made by the statements of the page as they stand there."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.database = f"test_{uuid4().hex}"
        self.url = {user: f"postgresql://{user}:{PASSWORD}@127.0.0.1:{server.port}/{self.database}" for user in (OWNER, WORKER, API)}

    def make(self) -> None:
        once, then = re.findall(r"```sql\n(.*?)```", SECURITY.read_text(), re.DOTALL)
        once = once.replace("CREATE DATABASE solarinvest ", f"CREATE DATABASE {self.database} ")
        self.execute(self.server.url, re.sub(r":'\w+'", f"'{PASSWORD}'", once))
        upgrade(self.url[OWNER])
        self.execute(self.url[OWNER], then)

    def remove(self) -> None:
        revive(self.server)
        self.server.drop_database(self.database)
        self.execute(self.server.url, f"DROP ROLE {OWNER}; DROP ROLE {WORKER}; DROP ROLE {API}")

    @staticmethod
    def execute(url: str, statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(sql.SQL(statement))


@pytest.fixture
def users(postgres_server: Postgres) -> Iterator[Users]:
    revive(postgres_server)
    made = Users(postgres_server)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def test_every_role_works_with_the_user_that_the_page_gives_it(
    users: Users, valkey: Valkey, cluster: ControlPlane, operator_kubeconfig: Path, launch: Callable[..., SolarProcess]
) -> None:
    common = {"REDIS_URL": valkey.url, "JWT_SECRET": "of-at-least-thirty-two-characters"}
    port = free_port()
    operator = launch("operator", env={**common, "DATABASE_URL": users.url[OWNER], "KUBECONFIG": str(operator_kubeconfig)})
    worker = launch("worker", "--brand", "solis", env={**common, "DATABASE_URL": users.url[WORKER], "INTEGRATION_MOCK_MODE": "true"})
    api = launch("api", env={**common, "DATABASE_URL": users.url[API], "API_PORT": str(port)})
    for process in (operator, worker, api):
        process.wait_ready()
    for url in users.url.values():
        assert run({"DATABASE_URL": url}, "migrate", "--check", "--timeout", "0").returncode == 0
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(PLANT))

    def closed(job: str) -> bool:
        with psycopg.connect(users.url[API]) as connection:
            row = connection.execute("SELECT count(*) FROM poll_logs WHERE job_type = %s AND status = 'SUCCESS'", (job,)).fetchone()
        return row is not None and row[0] > 0

    wait_until(lambda: closed("POLL"), BOUND_S, "a poll")
    with psycopg.connect(users.url[OWNER], autocommit=True) as connection:
        connection.execute(
            "UPDATE plants SET day_due_at = now(), day_due_date = (now() AT TIME ZONE timezone)::date - 1, version = version + 1"
        )
    wait_until(lambda: closed("DAILY"), BOUND_S, "a daily job")
    assert [plant["name"] for plant in asked(port, common)] == ["roof"]
    assert not [line for process in (operator, worker, api) for line in process.log_text().splitlines() if "InsufficientPrivilege" in line]


def asked(port: int, environment: Mapping[str, str]) -> list[dict[str, object]]:
    token = run(environment, "token", "--role", "ADMIN", "--subject", "somebody").stdout.strip()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/plants", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        plants: list[dict[str, object]] = json.loads(answer.read())
        return plants


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        (WORKER, "CREATE TABLE theirs (id int)"),
        (WORKER, "DROP TABLE plants"),
        (WORKER, "TRUNCATE plants"),
        (WORKER, "DELETE FROM plants"),
        (WORKER, "INSERT INTO plants (plant_id) VALUES (gen_random_uuid())"),
        (WORKER, "DELETE FROM alerts"),
        (WORKER, "DELETE FROM poll_logs"),
        (WORKER, "UPDATE poll_logs SET status = 'SUCCESS'"),
        (WORKER, "UPDATE alembic_version SET version_num = '0001'"),
        (API, "SET default_transaction_read_only = off; UPDATE plants SET status = 'GREEN'"),
        (API, "SET default_transaction_read_only = off; DELETE FROM alerts"),
        (API, "SET default_transaction_read_only = off; CREATE TABLE theirs (id int)"),
        (API, "SET default_transaction_read_only = off; INSERT INTO metric_snapshots (plant_id) VALUES (gen_random_uuid())"),
        (OWNER, "CREATE ROLE another"),
    ],
)
def test_no_user_can_do_more(users: Users, user: str, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        Users.execute(users.url[user], statement)


@pytest.mark.parametrize(
    ("user", "state", "said"),
    [
        (OWNER, State.OK, "enough for operator, worker, api, migrate"),
        (
            WORKER,
            State.WARNING,
            "enough for worker; operator and migrate: no CREATE on the schema, no ownership of the tables; api: no SELECT on poll_logs",
        ),
        (
            API,
            State.WARNING,
            "enough for api; operator and migrate: no CREATE on the schema, no ownership of the tables; worker: no UPDATE on plants, ",
        ),
    ],
)
def test_the_doctor_says_for_which_roles_a_user_is_enough(users: Users, user: str, state: State, said: str) -> None:
    finding = found("database rights", report(database=users.url[user]))
    assert finding.state is state
    assert finding.said.startswith(said)
