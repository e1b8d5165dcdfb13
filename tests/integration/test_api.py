"""The api role as its clients have it: over HTTP, with tokens, on a real Postgres and a real queue server."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from controller.api.parameters import LIMIT_MAX
from hack.devstack.ports import free_port
from hack.devstack.postgres import Postgres
from hack.devstack.valkey import Valkey
from tests.api_client import PREVIOUS_SECRET, SECRET, Answer, Client, claims, environment, forged, token
from tests.integration import api_fleet
from tests.integration.api_fleet import OWNED, Served, fill, id_of
from tests.stack import SolarProcess, wait_until

pytestmark = [pytest.mark.xdist_group("read-api"), pytest.mark.lasts(80)]

Launch = Callable[..., SolarProcess]
PLANTS, ALERTS, HEALTH = "/api/v1/plants", "/api/v1/alerts", "/api/v1/health"
served = api_fleet.served


@pytest.fixture
def served_alone(database: str, launch: Launch) -> Iterator[Served]:
    """For tests that end something."""
    fill(database)
    port = free_port()
    api = Served(launch("api", env=environment(database, port)), port)
    yield api
    api.close()


def is_problem(answer: Answer, status: int) -> bool:
    body = answer.json
    return (
        answer.status == status
        and answer.headers["content-type"] == "application/problem+json"
        and (body["status"], body["type"]) == (status, "about:blank")
        and isinstance(body["title"], str)
        and isinstance(body["detail"], str)
    )


# Who sees what


def visible_to(caller: str) -> set[str]:
    everything = {name for names in OWNED.values() for name in names}
    if caller in ("ADMIN", "OPERATOR"):
        return everything
    return set(OWNED.get(caller, []))


@pytest.mark.rule("D7.1", "D7.2")
def test_every_route_shows_every_caller_what_is_theirs_and_nothing_else(served: Served) -> None:
    for caller, client in served.callers.items():
        if caller == "nobody":
            continue
        visible = visible_to(caller)
        assert {plant["name"] for plant in client.rows(PLANTS)} == visible, caller
        assert {alert["plant_id"] for alert in client.rows(ALERTS)} == {str(id_of(name)) for name in visible}, caller
        assert client.get(HEALTH).status == 200
        for names in OWNED.values():
            for name in names:
                answer = client.get(f"{PLANTS}/{id_of(name)}")
                alerts = client.rows(ALERTS, plant_id=id_of(name))
                if name in visible:
                    assert (answer.status, answer.json["name"], len(alerts)) == (200, name, 1), caller
                else:
                    assert is_problem(answer, 404), caller
                    assert alerts == [], caller


def test_a_plant_of_another_is_told_like_one_that_is_not_there(served: Served) -> None:
    carla = served.callers["carla"]
    hidden, absent, malformed = (carla.get(f"{PLANTS}/{name}") for name in (id_of("otto-1"), uuid4(), "no-id"))
    assert hidden.status == 404
    assert (hidden.body, without_date(hidden)) == (absent.body, without_date(absent)) == (malformed.body, without_date(malformed))


def without_date(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_a_cursor_of_another_shows_nothing_of_theirs(served: Served) -> None:
    first = served.admin.get(PLANTS, limit=1)
    assert first.next is not None
    otto = served.callers["otto"]
    pages = [otto.get(first.next), otto.get(PLANTS, limit=1)]
    assert {plant["owner_customer_id"] for page in pages for plant in page.json} <= {"otto"}


def test_nothing_but_the_health_probe_and_the_schema_answers_to_nobody(served: Served) -> None:
    nobody = served.callers["nobody"]
    refused = [nobody.get(path) for path in (PLANTS, f"{PLANTS}/{id_of('carla-1')}", f"{PLANTS}/x", ALERTS, f"{PLANTS}?limit=0")]
    assert all(is_problem(answer, 401) for answer in refused)
    assert nobody.get(HEALTH).json == {"status": "ok"}
    assert nobody.get("/schema").json["openapi"] == "3.1.0"


# Tokens


OTHER_SECRET = "another-secret-with-enough-bytes-in-it"


def refused_tokens() -> dict[str, str | None]:
    """By what is wrong with them. Made when they are sent: one from the future would be good by the end of a long session."""
    now = int(time.time())
    return {
        "no token": None,
        "an empty one": "",
        "no dots": "abc",
        "not base64": "a.b.c",
        "another secret": forged(claims(), secret=OTHER_SECRET),
        "no algorithm": forged(claims(), {"alg": "none"}).rpartition(".")[0] + ".",
        "another algorithm": forged(claims(), {"alg": "HS512"}, digest="sha512"),
        "a key of its own": forged(claims(), {"alg": "HS256", "kid": "../../dev/null", "jku": "http://127.0.0.1/keys"}, OTHER_SECRET),
        "expired": forged(claims(iat=now - 2000, exp=now - 1100)),
        "from the future": forged(claims(iat=now + 300, exp=now + 900)),
        "not yet": forged(claims(nbf=now + 300)),
        "good for a year": forged(claims(exp=now + 31_536_000)),
        "another issuer": forged(claims(iss="somebody")),
        "another audience": forged(claims(aud="somebody")),
        "several audiences": forged(claims(aud=["solarinvest-monitor", "another"])),
        "an unknown role": forged(claims(role="ROOT")),
        "a role in lower case": forged(claims(role="admin")),
        "roles": forged(claims(role=["ADMIN"])),
        "an empty subject": forged(claims(sub="")),
        "a subject with a line break": forged(claims(sub="carla\n")),
        "a subject that is no Unicode": forged(claims(sub="carla\ud800")),
        "instants as text": forged(claims(exp=str(now + 600))),
        **{f"without {name}": forged(claims(**{name: None})) for name in claims()},
        "very long": "a" * 5_000,
        "a signature short of its end": forged(claims())[:-6],
    }


@pytest.mark.rule("D7.2")
def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(served: Served) -> None:
    answers, refused = {}, refused_tokens()
    for cause, text in refused.items():
        with Client(served.port, text) as client:
            answers[cause] = client.get(PLANTS)
    with Client(served.port, None) as client:
        for scheme in ("Basic YTpi", "Token x", "Bearer", "bearer", f"Bearer{token()}", f"Bearer {token()} x"):
            answers[scheme] = client.get(PLANTS, headers={"Authorization": scheme})
    assert {cause: answer.status for cause, answer in answers.items() if answer.status != 401} == {}
    assert len({(answer.body, json.dumps(without_date(answer))) for answer in answers.values()}) == 1
    assert next(iter(answers.values())).headers["www-authenticate"] == 'Bearer realm="solarinvest-monitor"'
    assert not any(text in served.role.log_text() for text in refused.values() if text and len(text) > 20)


@pytest.mark.rule("D7.2")
def test_a_token_is_good_for_fifteen_minutes_and_clocks_may_be_half_a_minute_apart(served: Served) -> None:
    for age_s, status in ((0, 200), (880, 200), (920, 200), (940, 401), (-20, 200), (-40, 401)):
        with Client(served.port, token(age=timedelta(seconds=age_s))) as client:
            assert client.get(PLANTS).status == status, age_s


@pytest.mark.rule("D7.4")
def test_the_command_mints_what_the_api_takes(served: Served, launch: Launch) -> None:
    minting = launch("token", "--role", "CUSTOMER", "--subject", "carla", env={"JWT_SECRET": SECRET})
    assert minting.wait(30) == 0
    with Client(served.port, minting.log_text().strip()) as client:
        assert {plant["name"] for plant in client.rows(PLANTS)} == visible_to("carla")


def test_a_secret_is_changed_without_a_token_failing(database: str, launch: Launch) -> None:
    port = free_port()
    launch("api", env=environment(database, port, JWT_SECRET_PREVIOUS=PREVIOUS_SECRET)).wait_ready()
    for secret, status in ((SECRET, 200), (PREVIOUS_SECRET, 200), ("a-third-secret-that-nobody-has-agreed-on", 401)):
        with Client(port, token(secret=secret)) as client:
            assert client.get(PLANTS).status == status


@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS"])
def test_a_short_secret_is_refused_at_the_start(database: str, launch: Launch, name: str) -> None:
    role = launch("api", env={**environment(database), name: "short-and-secret"})
    assert role.wait(30) == 78
    assert "at least 32 bytes" in role.log_text()
    assert "short-and-secret" not in role.log_text()


# Parameters and pages


@pytest.mark.parametrize(
    ("query", "names", "said"),
    [
        ("brand=solis", ["brand"], "one of SOLIS, HUAWEI, GOODWE, DELE"),
        ("brand=SOLIS&brand=HUAWEI", ["brand"], "given once"),
        ("brnad=SOLIS", ["brnad"], "one of brand, status, timezone, limit, cursor"),
        ("limit=0", ["limit"], "from 1 to 500"),
        ("limit=501", ["limit"], "from 1 to 500"),
        ("limit=1e2&status=PINK", ["limit", "status"], "one of GREY, RED, YELLOW, GREEN"),
        ("cursor=AAAA", ["cursor"], "the cursor of a Link header"),
        ("timezone=%00", ["timezone"], "IANA"),
        ("timezone=%ff", ["timezone"], "IANA"),
        ("plant_id=1", ["plant_id"], "one of brand"),
        ("", [], ""),
    ],
)
def test_a_wrong_parameter_is_told_by_name_value_and_what_is_allowed(served: Served, query: str, names: list[str], said: str) -> None:
    answer = served.admin.get(f"{PLANTS}?{query}")
    if not names:
        assert answer.status == 200
        return
    assert is_problem(answer, 400)
    invalid = answer.json["invalid_parameters"]
    assert [entry["parameter"] for entry in invalid] == names
    assert any(said in entry["allowed"] for entry in invalid)
    assert all(set(entry) == {"parameter", "value", "allowed"} for entry in invalid)


def test_no_route_but_the_lists_takes_parameters(served: Served) -> None:
    for path in (HEALTH, f"{PLANTS}/{id_of('carla-1')}", "/schema"):
        assert is_problem(served.admin.get(path, verbose=1), 400)


def test_pages_follow_one_another_and_hold_each_row_once(served: Served) -> None:
    everything = sorted(visible_to("ADMIN"))
    for limit in (1, 2, 3, 4, LIMIT_MAX):
        pages = served.admin.pages(PLANTS, limit=limit, brand="SOLIS")
        assert all(len(page) == limit for page in pages[:-1])
        assert 0 < len(pages[-1]) <= limit
        assert sorted(plant["name"] for page in pages for plant in page) == everything
    pages = served.admin.pages(ALERTS, limit=1, state="NEW", type="MOCK_FAULT", severity="CRITICAL")
    assert [len(page) for page in pages] == [1] * len(everything)


def test_filters_leave_what_they_name(served: Served) -> None:
    assert served.admin.rows(PLANTS, brand="HUAWEI") == served.admin.rows(PLANTS, timezone="Asia/Tokyo") == []
    assert len(served.admin.rows(PLANTS, brand="SOLIS", status="RED", timezone="America/Sao_Paulo")) == len(visible_to("ADMIN"))
    assert served.admin.rows(ALERTS, state="RESOLVED") == served.admin.rows(ALERTS, severity="LOW") == []


@pytest.mark.rule("D7.3")
def test_answers_are_arrays_and_objects_with_the_stored_columns_and_the_age_of_their_data(served: Served) -> None:
    listed, alerts = served.admin.get(PLANTS), served.admin.get(ALERTS)
    detail = served.admin.get(f"{PLANTS}/{listed.json[0]['plant_id']}")
    assert isinstance(listed.json, list)
    assert isinstance(alerts.json, list)
    plant = detail.json
    assert {"status", "last_seen_at", "current_power_w", "today_energy_kwh", "open_alerts"} <= plant.keys()
    assert plant["open_alerts"]["total"] == len(plant["alerts"]) == 1
    assert plant["snapshots"][0]["today_energy_kwh"] == plant["today_energy_kwh"]
    assert listed.json[0].items() <= plant.items()
    for answer in (listed, alerts, detail, served.admin.get(HEALTH)):
        assert answer.headers["content-type"] == "application/json"
        age = datetime.now(UTC) - datetime.fromisoformat(answer.headers["x-data-as-of"])
        assert timedelta(seconds=-1) < age < timedelta(minutes=5)


# Errors of the framework and of servers


def test_every_error_is_a_problem(served: Served) -> None:
    admin = served.admin
    assert is_problem(admin.get("/"), 404)
    assert is_problem(admin.get("/api/v1/plants/a/b"), 404)
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = admin.get(PLANTS, method=method)
        assert is_problem(answer, 405)
        assert "GET" in answer.headers["allow"]
    assert is_problem(admin.get(f"{PLANTS}?timezone={'a' * 3000}"), 414)
    assert is_problem(admin.get(PLANTS, headers={"X-Long": "a" * 9000}), 431)
    assert is_problem(admin.get(PLANTS, headers={f"X-{number}": "a" for number in range(80)}), 431)
    assert is_problem(admin.get(PLANTS, headers={"Content-Length": "100000"}), 413)
    assert admin.get(PLANTS).status == 200


def test_without_its_database_it_answers_503_at_once_and_goes_on_when_it_is_back(served_alone: Served, postgres_server: Postgres) -> None:
    postgres_server.kill()
    for path in (PLANTS, ALERTS, f"{PLANTS}/{id_of('carla-1')}"):
        began = time.monotonic()
        answer = served_alone.admin.get(path)
        assert is_problem(answer, 503), path
        assert answer.headers["retry-after"] == "5"
        assert time.monotonic() - began < 1
    assert is_problem(served_alone.admin.get(HEALTH), 503)
    wait_until(lambda: served_alone.role.get("/readyz") is None, 15, "the role to say that it is not ready")
    assert served_alone.role.get("/healthz") is not None, "a restart would not help it"
    postgres_server.start()
    wait_until(lambda: served_alone.admin.get(PLANTS).status == 200, 15, "the API to read again")
    wait_until(lambda: served_alone.role.get("/readyz") is not None, 15, "the role to be ready again")


def test_it_ends_with_0_when_it_is_told_to(served_alone: Served) -> None:
    assert served_alone.role.terminate() == 0


def test_its_metrics_count_by_route_and_never_by_plant(served_alone: Served) -> None:
    served_alone.admin.get(f"{PLANTS}/{id_of('carla-1')}")
    served_alone.admin.get("/some/thing")
    counted = (
        'solarinvest_api_requests_total{code="200",method="GET",route="/api/v1/plants/{plant_id}"} 1.0',
        'solarinvest_api_requests_total{code="404",method="GET",route="other"} 1.0',
    )

    def once_counted() -> str | None:
        """A request is counted when its answer has left, which its caller may see first."""
        text = served_alone.role.get("/metrics") or ""
        return text if all(line in text for line in counted) else None

    text = wait_until(once_counted, 15, "both requests to be counted")
    assert text is not None
    assert str(id_of("carla-1")) not in text


def test_the_schema_can_be_turned_off(database: str, launch: Launch) -> None:
    port = free_port()
    launch("api", env=environment(database, port, API_SCHEMA="false")).wait_ready()
    with Client(port, None) as client:
        assert is_problem(client.get("/schema"), 404)
        assert is_problem(client.get("/schema/openapi.json"), 404)


# Rates


def spend(client: Client, requests: int) -> list[Answer]:
    return [client.get(ALERTS) for _ in range(requests)]


def statuses(answers: list[Answer]) -> set[int]:
    return {answer.status for answer in answers}


def test_a_token_has_a_rate_over_all_copies_and_others_go_on(database: str, valkey: Valkey, launch: Launch) -> None:
    ports = free_port(), free_port()
    for number, port in enumerate(ports):
        env = environment(database, port, API_REQUESTS_PER_SECOND="2", REDIS_URL=valkey.url)
        launch("api", env=env, name=f"api-{number}").wait_ready()
    greedy = token(subject="greedy")
    with Client(ports[0], greedy) as here, Client(ports[1], greedy) as there, Client(ports[1], token(subject="modest")) as modest:
        assert statuses(spend(here, 10) + spend(there, 10)) == {200}
        refused = there.get(ALERTS)
        assert is_problem(refused, 429)
        assert refused.headers["retry-after"] == "10"
        assert here.get(PLANTS).status == 429, "all routes count"
        assert modest.get(ALERTS).status == 200
        assert there.get(HEALTH).status == 200
    keys = list(valkey.client().scan_iter("*"))
    assert keys
    assert not any(greedy in key or "greedy" in key for key in keys), "neither a token nor a name leaves the process"
    assert all(valkey.client().ttl(key) > 0 for key in keys)


def test_without_the_queue_server_each_copy_counts_by_itself(database: str, valkey: Valkey, launch: Launch) -> None:
    port = free_port()
    role = launch("api", env=environment(database, port, API_REQUESTS_PER_SECOND="2", REDIS_URL=valkey.url)).wait_ready()
    valkey.kill()
    with Client(port, token()) as client:
        began = time.monotonic()
        assert statuses(spend(client, 20)) == {200}
        assert time.monotonic() - began < 5
        assert "solarinvest_api_rate_fallbacks_total 1.0" in (role.get("/metrics") or "")
        # Where a window began in between, one or two more are within the rate.
        wait_until(lambda: client.get(ALERTS).status == 429, 15, "the rate to be counted")


def test_a_frozen_queue_server_holds_nobody_up_for_long(database: str, valkey: Valkey, launch: Launch) -> None:
    port = free_port()
    launch("api", env=environment(database, port, REDIS_URL=valkey.url)).wait_ready()
    with Client(port, token()) as client:
        assert client.get(ALERTS).status == 200
        valkey.pause()
        began = time.monotonic()
        assert statuses(spend(client, 20)) == {200}
        assert time.monotonic() - began < 3
