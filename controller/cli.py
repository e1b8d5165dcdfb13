"""The command line and the composition root: the only place where settings become objects.

solarinvest operator | worker --brand solis | api | migrate | token | replay | normalise | quality
"""

import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import structlog
import typer

from controller import settings as conf
from controller.api.roles import Role
from controller.failpoints import Failpoints
from controller.logs import configure
from controller.metrics import Metrics
from controller.polling.ports import Checkpoint, pass_by
from controller.probes import ProbeServer, Progress
from integrations.contract import Brand

if TYPE_CHECKING:
    from controller.queueing.budget import BrandBudget, BrandLimit
    from controller.storage.store import PostgresStore
    from integrations.transport import FixtureTransport

# Roles import their libraries when they are called: a worker shall not carry kopf, nor the operator litestar.

EXIT_CONFIGURATION = 78
"""As sysexits.h has it (EX_CONFIG): no supervisor helps by starting such a process again."""
EXIT_DATA = 65
"""As sysexits.h has it (EX_DATAERR): what was handed in cannot be read."""


class WorkerBrand(StrEnum):
    """Brands as users type them: in lower case, as in queue and folder names. A test holds them equal to `Brand`."""

    SOLIS = "solis"
    HUAWEI = "huawei"
    GOODWE = "goodwe"
    DELE = "dele"


app = typer.Typer(
    no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help="Tells for each solar plant whether it is well."
)
log = structlog.get_logger()


def main() -> None:
    """Entry point of the console script `solarinvest`."""
    # Huey reads naive local times; whoever starts us may not have set it.
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        app()
    except conf.ConfigurationError as error:
        sys.stderr.write(f"solarinvest: configuration error\n{error}\n")
        sys.exit(EXIT_CONFIGURATION)


@app.command()
def operator() -> None:
    """Run the operator: reconcile Plants, schedule their polls, mirror their status. Any number of copies."""
    from controller.operator.kubernetes_api import load_configuration
    from controller.operator.main import Operator
    from controller.queueing.queue import RedisQueue
    from controller.storage.changes import ChangeListener
    from controller.storage.database import Database
    from controller.storage.store import PostgresStore
    from integrations.registry import ADAPTERS

    common, database, redis = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.RedisSettings)
    kubernetes, retention = conf.read(conf.KubernetesSettings), conf.read(conf.RetentionSettings)
    configure(common.log_level, (database.database_url, redis.redis_url))
    metrics, progress = Metrics(), Progress()
    probes = _start_probes(common, metrics, progress)
    rows = Database(database.database_url, "solarinvest-operator", max_connections=8)
    parts = Operator(
        store=PostgresStore(rows),
        changes=ChangeListener(rows),
        queue=RedisQueue(redis.redis_url, limits=_limits()),
        configuration=load_configuration(kubernetes.kubeconfig),
        capabilities={brand: adapter.capabilities for brand, adapter in ADAPTERS.items()},
        metrics=metrics,
        clock=_clock,
        at=_checkpoint(),
        poll_log_days=retention.poll_log_days,
    )
    parts.run(progress, kubernetes.resync_s)
    probes.stop()


@app.command()
def worker(brand: Annotated[WorkerBrand, typer.Option(case_sensitive=False, help="The brand whose queue this worker serves.")]) -> None:
    """Run a worker for one brand: take jobs, read the vendor, judge, store. Any number of copies."""
    from controller.polling.poll_plants import PollPlants
    from controller.worker import main as worker_role
    from controller.worker.batches import BATCH, LIMITED_BATCH
    from integrations.registry import ADAPTERS

    common, database, redis = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.RedisSettings)
    integration = conf.read(conf.IntegrationSettings)
    integration.assert_mock_mode()
    configure(common.log_level, (database.database_url, redis.redis_url))
    metrics, progress, at = Metrics(shows_fleet=False), Progress(), _checkpoint()
    probes = _start_probes(common, metrics, progress)
    transport = _fixture_transport(integration, at)
    served = Brand(brand.value.upper())
    budget = _budget(served, redis)
    poll_plants = PollPlants(_store(database, f"solarinvest-worker-{brand.value}"), transport, ADAPTERS, _clock, time.sleep, at, budget)
    batch = BATCH if budget is None else LIMITED_BATCH
    exit_code = worker_role.run(served, redis.redis_url, poll_plants, metrics, progress, at, batch=batch)
    probes.stop()
    raise typer.Exit(exit_code)


@app.command()
def api() -> None:
    """Run the read API."""
    from controller.api import main as api_role
    from controller.storage.database import Database

    common, database, listen = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings), conf.read(conf.ApiSettings)
    tokens = conf.read(conf.TokenSettings)
    configure(common.log_level, (database.database_url, tokens.jwt_secret))
    progress = Progress()
    probes = _start_probes(common, Metrics(shows_fleet=False), progress)
    api_role.run(Database(database.database_url, "solarinvest-api"), progress, listen.host, listen.port)
    probes.stop()


@app.command()
def token(
    role: Annotated[Role, typer.Option(help="What the bearer may see.")],
    subject: Annotated[str, typer.Option(help="Who the bearer is; for a CUSTOMER, the ownerCustomerId.", min=1)],
) -> None:
    """Print a token for the read API, valid for 15 minutes. Signed with JWT_SECRET."""
    from controller.api.tokens import mint

    typer.echo(mint(conf.read(conf.TokenSettings).jwt_secret, role, subject, _clock()))


@app.command()
def migrate() -> None:
    """Bring the database schema up to date. Safe to run at any time, also several at once."""
    from controller.storage.migrate import upgrade

    common, database = conf.read(conf.CommonSettings), conf.read(conf.DatabaseSettings)
    configure(common.log_level, (database.database_url,))
    upgrade(database.database_url.get_secret_value())
    log.info("database_is_current")


@app.command()
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


@app.command()
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


@app.command()
def quality(
    places: Annotated[int, typer.Option(help="How many of the corpus's 20 places.", min=1, max=20)] = 20,
    days: Annotated[int, typer.Option(help="Days simulated at each.", min=30, max=365)] = 365,
    seed: Annotated[int, typer.Option(help="Another seed is another weather.")] = 2025,
    processes: Annotated[int, typer.Option(help="Processes at once.", min=1, max=64)] = 2,
    output: Annotated[Path | None, typer.Option(help="Also write everything, as JSON.")] = None,
) -> None:
    """Measure on simulated plants how often the rules cry wolf and how soon they find a fault. Exit code 1 where a target is missed."""
    from controller.tools.quality import run_quality
    from controller.tools.quality_corpus import PLACES

    try:
        is_met = run_quality(PLACES[:places], days, seed, processes, output, sys.stdout)
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


def _clock() -> datetime:
    return datetime.now(UTC)


def _start_probes(common: conf.CommonSettings, metrics: Metrics, progress: Progress) -> ProbeServer:
    probes = ProbeServer(common.metrics_host, common.metrics_port, metrics.exposition, progress)
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
