"""The command line and the composition root: the only place where settings become objects.

solarinvest operator | worker --brand solis | api | migrate | token | doctor | replay | normalise | quality
"""

import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import structlog
import typer

from controller import settings as conf
from controller.api.roles import Role
from controller.failpoints import Failpoints
from controller.logs import Redaction, configure
from controller.metrics import Metrics, ProcessRole
from controller.polling.ports import Checkpoint, pass_by
from controller.probes import ProbeServer, Progress
from integrations.contract import Brand

if TYPE_CHECKING:
    from pydantic import SecretStr

    from controller.queueing.budget import BrandBudget, BrandLimit
    from controller.storage.store import PostgresStore
    from controller.tools.doctor import Subject
    from integrations.transport import FixtureTransport

# Roles import their libraries when they are called: a worker shall not carry kopf, nor the operator litestar.

EXIT_CONFIGURATION = 78
"""As sysexits.h has it (EX_CONFIG): no supervisor helps by starting such a process again."""
EXIT_DATA = 65
"""As sysexits.h has it (EX_DATAERR): what was handed in cannot be read."""
EXIT_UNAVAILABLE = 69
"""As sysexits.h has it (EX_UNAVAILABLE): a server did not come up in time; starting again later may help."""

EXITS = {
    0: "done; a role: it was told to stop, and has",
    1: "the answer is no (`doctor`: a check has failed; `quality`: a target is missed), or an error that nobody foresaw, which the log has",
    2: "wrong arguments",
    EXIT_DATA: "what was handed in cannot be read",
    EXIT_UNAVAILABLE: "a server did not come up in time: starting again later may help",
    70: "a loop or a job hung, and the process ended itself: whoever runs it starts it afresh",
    EXIT_CONFIGURATION: "a setting is missing or wrong: standard error names it, its value (never a secret's) and what is allowed",
}
"""Exit codes of every command (docs/cli.md). 128 + the signal's number where a second signal came during a stop."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where a pod has its identity, if it has one: workers and api have none."""


class WorkerBrand(StrEnum):
    """Brands as users type them: in lower case, as in queue and folder names. A test holds them equal to `Brand`."""

    SOLIS = "solis"
    HUAWEI = "huawei"
    GOODWE = "goodwe"
    DELE = "dele"


class Output(StrEnum):
    """How data is printed."""

    TEXT = "text"
    JSON = "json"


IS_TERMINAL = sys.stdout.isatty()


def _examples(*lines: str) -> str:
    # The sign keeps the lines as they are where help is plain text; a terminal would get to see it.
    return ("" if IS_TERMINAL else "\b\n") + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    # In colours for whoever reads it, plain and the same each time for whatever else does.
    rich_markup_mode="rich" if IS_TERMINAL else None,
    epilog=_examples(
        "solarinvest doctor                              is everything there, and what to do where it is not",
        "solarinvest migrate && solarinvest operator     then a `solarinvest worker --brand …` for each brand",
        "solarinvest COMMAND --help                      what a command does, with examples",
    ),
)
log = structlog.get_logger()


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(_version())
        raise typer.Exit


@app.callback()
def solarinvest(
    _: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Tells for each solar plant, whatever vendor it reports to, whether it is well.

    operator, worker and api run until SIGTERM and log one JSON object a line to standard error.
    Settings are environment variables (docs/configuration.md), exit codes are in docs/cli.md.
    """


def main() -> None:
    """Entry point of the console script `solarinvest`."""
    # Huey reads naive local times; whoever starts us may not have set it.
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        app()
    except conf.ConfigurationError as error:
        sys.stderr.write(f"solarinvest: configuration error\n{Redaction().text(str(error))}\n")
        sys.exit(EXIT_CONFIGURATION)


@app.command(
    short_help="Run the operator: reconcile Plants, schedule polls, mirror status.",
    epilog=_examples(
        "solarinvest operator                              in a pod: with its service account",
        "KUBECONFIG=~/.kube/config solarinvest operator    anywhere else: with the rights of manifests/rbac",
    ),
)
def operator() -> None:
    """Run the operator: reconcile Plants, schedule their polls, mirror their status. Any number of copies.

    It also finds jobs whose worker died, and has each plant's day closed. SIGTERM ends it within 30 s.
    Needs Postgres (with the right to make tables), Redis or Valkey, and Kubernetes.
    """
    from controller.operator.kubernetes_api import KubernetesRefused, load_configuration, secrets_in
    from controller.operator.main import Operator
    from controller.queueing.queue import RedisQueue
    from controller.storage.changes import ChangeListener
    from controller.storage.database import Database
    from controller.storage.store import PostgresStore
    from integrations.registry import ADAPTERS

    common, database, redis = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.RedisSettings)
    kubernetes, retention = conf.read(conf.KubernetesSettings), conf.read(conf.RetentionSettings)
    redaction = _begin_logging(common, database.database_url, redis.redis_url)
    try:
        configuration = load_configuration(kubernetes.kubeconfig)
    except KubernetesRefused as error:
        raise conf.ConfigurationError(f"KUBECONFIG: {error}") from None
    redaction.learn(secrets_in(configuration))
    metrics, progress = Metrics(ProcessRole.OPERATOR, version=_version()), Progress()
    probes = _start_probes(common, metrics, progress)
    rows = Database(database.database_url, "solarinvest-operator", max_connections=8)
    parts = Operator(
        store=PostgresStore(rows),
        changes=ChangeListener(rows),
        queue=RedisQueue(redis.redis_url, limits=_limits()),
        configuration=configuration,
        capabilities={brand: adapter.capabilities for brand, adapter in ADAPTERS.items()},
        metrics=metrics,
        clock=_clock,
        at=_checkpoint(),
        poll_log_days=retention.poll_log_days,
    )
    parts.run(progress, kubernetes.resync_s)
    probes.stop()


@app.command(
    short_help="Run a worker for one brand: take jobs, read, judge, store.",
    epilog=_examples("INTEGRATION_MOCK_MODE=true solarinvest worker --brand solis"),
)
def worker(brand: Annotated[WorkerBrand, typer.Option(case_sensitive=False, help="The brand whose queue this worker serves.")]) -> None:
    """Run a worker for one brand: take jobs, read the vendor, judge, store. Any number of copies.

    It has no rights in Kubernetes and waits until an operator has opened the queue.
    SIGTERM lets the jobs at hand end, within 45 s.
    """
    from controller.polling.lanes import LANES, Lanes
    from controller.polling.plant_cache import PlantCache
    from controller.polling.poll_plants import PollPlants
    from controller.worker import main as worker_role
    from controller.worker.batches import BATCH, LIMITED_BATCH
    from controller.worker.crews import CREWS
    from integrations.registry import ADAPTERS

    common, database, redis = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.RedisSettings)
    integration = conf.read(conf.IntegrationSettings)
    integration.assert_mock_mode()
    _begin_logging(common, database.database_url, redis.redis_url)
    served = Brand(brand.value.upper())
    metrics, progress, at = Metrics(ProcessRole.WORKER, served, _version()), Progress(), _checkpoint()
    probes = _start_probes(common, metrics, progress)
    transport = _fixture_transport(integration, at)
    budget = _budget(served, redis)
    store = PlantCache(_store(database, f"solarinvest-worker-{brand.value}"))
    # Of a limited brand one job after the other: whoever finds the limit reached gives back what it holds.
    crews, lanes = (CREWS, LANES) if budget is None else (1, 1)
    polls = [PollPlants(store, transport, ADAPTERS, _clock, time.sleep, at, budget, Lanes(lanes)) for _ in range(crews)]
    batch = BATCH if budget is None else LIMITED_BATCH
    exit_code = worker_role.run(served, redis.redis_url, polls, metrics, progress, at, batch=batch)
    probes.stop()
    raise typer.Exit(exit_code)


@app.command(
    short_help="Run the read API over HTTP.",
    epilog=_examples("API_HOST=0.0.0.0 solarinvest api", 'curl -H "Authorization: Bearer $API_TOKEN" localhost:8080/api/v1/plants'),
)
def api() -> None:
    """Run the read API over HTTP (docs/api.md): plants and alerts to whoever has a token. It reads rows, and writes none."""
    from controller.api import main as api_role
    from controller.api.tokens import TokenChecker
    from controller.queueing.rates import RequestRates
    from controller.storage.read_sessions import ReadSessions
    from controller.storage.reads import Reads

    common, database, listen = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.ApiSettings)
    tokens, redis_url = conf.read(conf.TokenSettings), None
    if os.environ.get("REDIS_URL"):
        redis_url = conf.read(conf.RedisSettings).redis_url
    jwt_secrets = tuple(secret for secret in (tokens.jwt_secret, tokens.jwt_secret_previous) if secret is not None)
    _begin_logging(common, database.database_url, *jwt_secrets, *(() if redis_url is None else (redis_url,)))
    metrics, progress = Metrics(ProcessRole.API, version=_version()), Progress()
    progress.expect(api_role.LOOP, api_role.LOOP_BOUND_S)
    probes = _start_probes(common, metrics, progress)
    api_role.run(
        Reads(ReadSessions(database.database_url, "solarinvest-api")),
        RequestRates(redis_url, listen.requests_per_second, metrics.record_rate_fallback),
        TokenChecker(jwt_secrets),
        metrics,
        progress,
        _clock,
        host=listen.host,
        port=listen.port,
        serves_schema=listen.serves_schema,
    )
    probes.stop()


@app.command(
    short_help="Print a token for the read API.",
    epilog=_examples(
        "solarinvest token --role OPERATOR --subject ana             sees every plant",
        "solarinvest token --role CUSTOMER --subject customer-17     sees the plants with this ownerCustomerId",
    ),
)
def token(
    role: Annotated[Role, typer.Option(help="What the bearer may see.")],
    subject: Annotated[str, typer.Option(help="Who the bearer is; for a CUSTOMER, the ownerCustomerId.")],
) -> None:
    """Print a token for the read API, valid for 15 minutes. Signed with JWT_SECRET, which must be the api's."""
    from controller.api.tokens import mint

    secret = conf.read(conf.TokenSettings).jwt_secret
    try:
        typer.echo(mint(secret, role, subject, _clock()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--subject") from None


@app.command(
    short_help="Bring the database schema up to date, or wait until it is.",
    epilog=_examples("solarinvest migrate", "solarinvest migrate --check --timeout 300     what init containers do"),
)
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Change nothing: wait until the schema is this version's or a later one.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a database that is not up yet.", min=0, max=3600)] = 60,
) -> None:
    """Bring the database schema up to date. Safe to run at any time, also several at once.

    Exit code 69 where the wait was in vain.
    """
    from controller.domain.errors import StoreUnavailable
    from controller.storage.migrate import upgrade_when_reachable, wait_until_current

    common, database = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings)
    _begin_logging(common, database.database_url)
    try:
        if check:
            wait_until_current(database.database_url, timeout)
        else:
            upgrade_when_reachable(database.database_url, timeout)
    except (StoreUnavailable, TimeoutError) as error:
        log.error("database_is_not_current", error=str(error), waited_s=timeout)  # noqa: TRY400 - the error's own trace says nothing more
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    log.info("database_is_current")


@app.command(
    short_help="Check what is configured, and say what to do where it fails.",
    epilog=_examples(
        "solarinvest doctor",
        "solarinvest doctor --output json | jq '.checks[] | select(.state == \"failed\")'",
        "kubectl exec deploy/solarinvest-operator -- solarinvest doctor",
    ),
)
def doctor(output: Annotated[Output, typer.Option(case_sensitive=False, help="How to print it.")] = Output.TEXT) -> None:
    """Check settings, database, queue server, Kubernetes rights, recordings and clocks, and say what to do where something is wrong.

    What is not configured is skipped. Changes nothing, prints no secret, and takes at most 30 s.
    Exit code 1 if a check has failed; warnings do not count.
    """
    from controller.tools import doctor as checks

    report = checks.examine(_subject())
    if output is Output.JSON:
        checks.print_json(report, sys.stdout)
    else:
        checks.print_report(report, sys.stdout)
    if not report.ok:
        raise typer.Exit(1)


@app.command(
    short_help="Say in our words what one captured vendor answer says.",
    epilog=_examples(
        "solarinvest normalise answer.json --brand solis --path /v1/api/stationDetail --plant-id 1001",
        "curl … | solarinvest normalise - --brand dele --path /station/latest | jq .reading",
    ),
)
def normalise(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="The captured body of one answer; - reads standard input.")],
    brand: Annotated[WorkerBrand, typer.Option(case_sensitive=False, help="The vendor.")],
    path: Annotated[str, typer.Option(help="The vendor's own path of the request, as in /v1/api/stationDetail.")],
    plant_id: Annotated[str | None, typer.Option(help="The plant, where the answer holds several.")] = None,
    timezone: Annotated[str, typer.Option(help="The plant's IANA time zone.")] = "America/Sao_Paulo",
    capacity_kwp: Annotated[float | None, typer.Option(help="Bounds what a day can bring.", min=0)] = None,
    now: Annotated[str | None, typer.Option(help="The instant of the poll, as in 2026-01-15T15:00:00Z. Default: the clock's.")] = None,
    http_status: Annotated[int, typer.Option(help="The answer's HTTP status.", min=100, max=599)] = 200,
    device_type: Annotated[int | None, typer.Option(help="HUAWEI: devTypeId of the request, where the answer does not echo it.")] = None,
) -> None:
    """Say in our words what one captured vendor answer says: one JSON object, or an error of the closed list."""
    from controller.tools.normalise import normalise_capture

    found = normalise_capture(
        Brand(brand.value.upper()),
        path,
        file.read(),
        plant_id=plant_id,
        zone=_zone(timezone),
        capacity_kwp=capacity_kwp,
        now=_clock() if now is None else _instant(now),
        http_status=http_status,
        device_type=device_type,
    )
    typer.echo(msgspec.json.encode(found).decode())


@app.command(
    short_help="Judge a plant's life on a virtual clock, from a file.",
    epilog=_examples(
        "solarinvest replay --plant plant.json --readings readings.jsonl --until 2026-01-31T12:00:00Z --explain",
        "solarinvest replay … --plot timeline.svg | jq 'select(.kind == \"alert\")'",
    ),
)
def replay(
    plant: Annotated[Path, typer.Option(help="The plant: a JSON object or a Plant manifest.")],
    readings: Annotated[Path, typer.Option(help="What its polls brought, one JSON object a line, in time order.")],
    until: Annotated[str, typer.Option(help="The instant at which to end, as in 2026-01-31T12:00:00Z.")],
    explain: Annotated[bool, typer.Option("--explain", help="Say why with every change.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw the timeline, as SVG.")] = None,
) -> None:
    """Judge a plant's life on a virtual clock: no database, no cluster. Prints what changes, one JSON object a line."""
    from controller.tools.replay import ReplayError, run_replay

    try:
        run_replay(plant, readings, until, explain, plot, sys.stdout)
    except ReplayError as error:
        sys.stdout.flush()
        sys.stderr.write(f"solarinvest: replay: {error}\n")
        raise typer.Exit(EXIT_DATA) from None


@app.command(
    short_help="Measure on simulated plants how often the rules are wrong.",
    epilog=_examples(
        "solarinvest quality                                        20 places, a year: 10 minutes",
        "solarinvest quality --places 5 --days 90 --save all.json   part of it, every episode as JSON too",
    ),
)
def quality(
    places: Annotated[int, typer.Option(help="How many of the corpus's 20 places.", min=1, max=20)] = 20,
    days: Annotated[int, typer.Option(help="Days simulated at each.", min=30, max=365)] = 365,
    seed: Annotated[int, typer.Option(help="Another seed is another weather.")] = 2025,
    processes: Annotated[int, typer.Option(help="Processes at once.", min=1, max=64)] = 2,
    save: Annotated[Path | None, typer.Option(help="Also write everything to this file, as JSON.")] = None,
    output: Annotated[Output, typer.Option(case_sensitive=False, help="Tables, or everything as one JSON object.")] = Output.TEXT,
) -> None:
    """Measure on simulated plants how often the rules cry wolf and how soon they find a fault. Exit code 1 where a target is missed."""
    from controller.tools.quality import run_quality
    from controller.tools.quality_corpus import PLACES

    try:
        is_met = run_quality(PLACES[:places], days, seed, processes, save, sys.stdout, as_json=output is Output.JSON)
    except OSError as error:
        sys.stderr.write(f"solarinvest: quality: {error}\n")
        raise typer.Exit(EXIT_DATA) from None
    if not is_met:
        raise typer.Exit(1)


def _zone(name: str) -> ZoneInfo:
    if name not in available_timezones():
        raise typer.BadParameter(f"{name!r} is no time zone of the IANA database; they are named like America/Sao_Paulo")
    return ZoneInfo(name)


def _instant(text: str) -> datetime:
    try:
        at: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no instant with an offset, as in 2026-01-15T15:00:00Z") from None


def _store(database: conf.DatabaseSettings, name: str) -> "PostgresStore":
    from controller.storage.database import Database
    from controller.storage.store import PostgresStore

    return PostgresStore(Database(database.database_url, name))


def _limits() -> "dict[Brand, BrandLimit]":
    """Of the brands that have limits: what the settings say, else what the adapter says (DOMAIN 2)."""
    from controller.queueing.budget import BrandLimit
    from integrations.registry import ADAPTERS

    settings = conf.read(conf.LimitSettings)
    found: dict[Brand, BrandLimit] = {}
    for brand, adapter in ADAPTERS.items():
        per_minute, at_once = settings.of(brand)
        limit = BrandLimit(
            adapter.capabilities.max_requests_per_minute if per_minute is None else per_minute,
            adapter.capabilities.max_concurrent_requests if at_once is None else at_once,
        )
        if limit.is_set:
            found[brand] = limit
    return found


def _budget(brand: Brand, redis: conf.RedisSettings) -> "BrandBudget | None":
    from controller.queueing.budget import BrandBudget
    from controller.queueing.server import connect
    from integrations.registry import ADAPTERS

    limit = _limits().get(brand)
    if limit is None:
        return None
    log.info("brand_limited", brand=brand, requests_per_minute=limit.requests_per_minute, requests_at_once=limit.requests_at_once)
    return BrandBudget(connect(redis.redis_url), brand, limit, ADAPTERS[brand].capabilities.timeout_seconds)


def _fixture_transport(integration: conf.IntegrationSettings, at: Checkpoint) -> "FixtureTransport":
    from integrations.ledger import ExchangeLedger
    from integrations.transport import FixtureTransport, default_fixtures

    ledger = None if integration.ledger_file is None else ExchangeLedger(integration.ledger_file)
    return FixtureTransport(integration.fixtures_dir or default_fixtures(), _clock, ledger, at)


def _version() -> str:
    return metadata.version("solarinvest-monitor")


def _clock() -> datetime:
    return datetime.now(UTC)


def _begin_logging(common: conf.CommonSettings, *secrets: "SecretStr") -> Redaction:
    """Logging as set, without these secrets; and a line for each variable that looks misspelt."""
    redaction = configure(common.log_level, secrets)
    for name, nearest in conf.misspelt(os.environ).items():
        log.warning("variable_unknown", name=name, nearest=nearest)
    return redaction


def _subject() -> "Subject":
    from controller.tools.doctor import Subject
    from integrations.transport import default_fixtures

    database, redis = conf.read_if_set(conf.DatabaseSettings), conf.read_if_set(conf.RedisSettings)
    kubernetes, integration = conf.read_if_set(conf.KubernetesSettings), conf.read_if_set(conf.IntegrationSettings)
    return Subject(
        version=_version(),
        fixtures=(integration and integration.fixtures_dir) or default_fixtures(),
        wrong_settings=[line for section in conf.Section.__subclasses__() for line in conf.wrong_values(section)],
        misspelt=conf.misspelt(os.environ),
        is_in_mock_mode=integration is not None and integration.mock_mode,
        database_url=None if database is None else database.database_url,
        redis_url=None if redis is None else redis.redis_url,
        kubeconfig=None if kubernetes is None else kubernetes.kubeconfig,
        is_in_pod=SERVICE_ACCOUNT.exists(),
    )


def _start_probes(common: conf.CommonSettings, metrics: Metrics, progress: Progress) -> ProbeServer:
    try:
        probes = ProbeServer(common.metrics_host, common.metrics_port, metrics.exposition, progress)
    except OSError as error:
        where = f"METRICS_HOST is {common.metrics_host!r} and METRICS_PORT {common.metrics_port}"
        raise conf.ConfigurationError(f"{where}: cannot listen there: {error.strerror}") from None
    probes.start()
    log.info("probes_listen", host=common.metrics_host, port=probes.port)
    return probes


def _checkpoint() -> Checkpoint:
    text = os.environ.get("FAIL")
    if not text:
        return pass_by
    try:
        return Failpoints.parse(text).at
    except ValueError as error:
        raise conf.ConfigurationError(str(error)) from None
