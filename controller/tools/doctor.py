"""`solarinvest doctor`: is everything there that a role needs, and what to do where it is not. Changes nothing. Composed in `cli`.

Groups of checks run at once, each on a thread of its own and within a bound; what they find is one list, in a fixed order.
"""

import importlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.domain.errors import QueueUnavailable, StoreUnavailable
from controller.logs import Redaction
from controller.queueing import health as queue_health
from controller.storage import health as database_health
from integrations.contract import Brand
from integrations.recording import Recording

WITHIN_S = 20.0
"""For all checks together: three servers that do not answer at all, each tried within its own 5 s a step."""
CLOCK_WARNING_S = 1.0
CLOCK_FAILED_S = 30.0
"""A lease (PROTOCOL 20): clocks that differ by more are no clocks to judge by."""
MEMORY_WARNING = 0.8
EXPECTED_ZONES = 400
"""The IANA database has about 600 names; a system with a handful has a cut one."""
OLDEST_REDIS, OLDEST_VALKEY = 7, 8
HEALTHY_SCENARIO = "healthy"
MIGRATE = "run `solarinvest migrate`"


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one check found, in a sentence, and what to do about it."""

    check: str
    state: State
    said: str
    advice: str | None = None


class Report(msgspec.Struct, frozen=True):
    """What `--output json` prints. `ok` unless a check has failed."""

    ok: bool
    version: str
    checks: list[Finding]


class Subject(msgspec.Struct, frozen=True):
    """What there is to examine, as configured. None: not configured."""

    version: str
    fixtures: Path | Traversable
    wrong_settings: Sequence[str] = ()
    """A line a variable, as `ConfigurationError` has it."""
    misspelt: Mapping[str, str] = {}
    """Variables that look like one of ours, and which."""
    is_in_mock_mode: bool = False
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    kubeconfig: Path | None = None
    is_in_pod: bool = False


def ok(check: str, said: str) -> Finding:
    return Finding(check, State.OK, said)


def warning(check: str, said: str, advice: str) -> Finding:
    return Finding(check, State.WARNING, said, advice)


def failed(check: str, said: str, advice: str) -> Finding:
    return Finding(check, State.FAILED, said, advice)


def skipped(check: str, why: str) -> Finding:
    return Finding(check, State.SKIPPED, why)


Check = Callable[[], Iterable[Finding]]


def examine(subject: Subject, within_s: float = WITHIN_S) -> Report:
    """Runs every check, those of different servers at once. Returns within `within_s` and the time that libraries take to load."""
    groups: dict[str, Check] = {
        "settings": lambda: settings(subject),
        "time zones": time_zones,
        "fixtures": lambda: fixtures(subject.fixtures),
        "database": lambda: database(subject.database_url),
        "queue server": lambda: queue_server(subject.redis_url),
        "kubernetes": lambda: kubernetes(subject.kubeconfig, subject.is_in_pod),
    }
    if subject.kubeconfig is not None or subject.is_in_pod:
        # Seconds of loading, which are not the API server's: before the clock runs, and only where it is asked.
        importlib.import_module("controller.operator.rights")
    redaction = Redaction([secret for secret in (subject.database_url, subject.redis_url) if secret is not None])
    found = [_printable(finding, redaction) for finding in _at_once(groups, within_s)]
    return Report(all(finding.state is not State.FAILED for finding in found), subject.version, found)


def print_report(report: Report, out: TextIO) -> None:
    """A table in colours on a terminal; plain lines, the same each time, anywhere else."""
    if out.isatty():
        Console(file=out, highlight=False).print(_table(report))
    else:
        out.writelines(f"{line}\n" for line in _lines(report))


def print_json(report: Report, out: TextIO) -> None:
    """One JSON object."""
    out.write(msgspec.json.encode(report).decode() + "\n")


# The checks


def settings(subject: Subject) -> Iterable[Finding]:
    for line in subject.wrong_settings:
        yield failed("settings", line, "docs/configuration.md has every variable")
    for name, nearest in subject.misspelt.items():
        yield warning("settings", f"{name} is set, and nothing reads it", f"rename it, if {nearest} was meant")
    if not subject.is_in_mock_mode:
        said = "INTEGRATION_MOCK_MODE is not true: workers refuse to start"
        yield warning("settings", said, "set INTEGRATION_MOCK_MODE=true: this version reads recordings only")
    if not subject.wrong_settings:
        yield ok("settings", "every variable that is set has a value that is allowed")


def time_zones() -> Iterable[Finding]:
    zones = len(available_timezones())
    try:
        # An offset that has been this since 2019, so that a database of before that shows itself.
        offset = datetime(2026, 1, 15, 12, tzinfo=ZoneInfo("America/Sao_Paulo")).utcoffset()
    except ZoneInfoNotFoundError:
        yield failed("time zones", "America/Sao_Paulo is not known", "install the package tzdata")
        return
    hours = 0.0 if offset is None else offset.total_seconds() / 3600
    if zones < EXPECTED_ZONES or hours != -3:
        said = f"{zones} zones, and America/Sao_Paulo at {hours:+g} h in January 2026"
        yield failed("time zones", said, "the database is old or cut: install a newer tzdata, or unset PYTHONTZPATH")
        return
    yield ok("time zones", f"{zones} zones of the IANA database")


def fixtures(folder: Path | Traversable) -> Iterable[Finding]:
    if not folder.is_dir():
        yield failed("fixtures", f"there is no folder {folder}", "INTEGRATION_FIXTURES_DIR names it, laid out as fixtures/")
        return
    count = 0
    for brand in Brand:
        recordings = _recordings(folder / brand.slug)
        count += len(recordings)
        names = {name.removesuffix(".json") for name, _ in recordings}
        if HEALTHY_SCENARIO not in names:
            said = f"{brand.slug} has no recording {HEALTHY_SCENARIO}.json, which every Plant plays that asks for no other"
            yield failed("fixtures", said, "fixtures/README.md has the format")
        for name, file in recordings:
            try:
                Recording(file.read_bytes())
            except (OSError, ValueError) as error:
                yield failed("fixtures", f"{brand.slug}/{name}: {error}", "fixtures/README.md has the format")
    yield ok("fixtures", f"{count} recordings of {len(Brand)} brands")


def database(url: SecretStr | None) -> Iterable[Finding]:
    if url is None:
        yield skipped("database", "no usable DATABASE_URL; operator, worker, api and migrate need one")
        return
    try:
        health = database_health.examine(url)
    except StoreUnavailable as error:
        yield failed("database", str(error), "look at every part of DATABASE_URL, and at the server")
        return
    said = f"PostgreSQL {health.version} answers in {health.took_s * 1000:.0f} ms"
    if health.major < database_health.OLDEST_VERSION:
        yield failed("database", said, f"use PostgreSQL {database_health.OLDEST_VERSION} or later")
    elif health.is_standby:
        yield failed("database", f"{said}, and is a standby, which takes no writes", "name the primary in DATABASE_URL")
    else:
        yield ok("database", said)
    yield _clock("clock of the database", health.clock_ahead_s, health.took_s)
    yield _migrations(health)
    yield _database_rights(health)


def queue_server(url: SecretStr | None) -> Iterable[Finding]:
    if url is None:
        yield skipped("queue server", "no usable REDIS_URL; operator and worker need one")
        return
    try:
        health = queue_health.examine(url)
    except QueueUnavailable as error:
        yield failed("queue server", str(error), "look at every part of REDIS_URL, and at the server")
        return
    yield _queue_server(health)
    yield _clock("clock of the queue server", health.clock_ahead_s, health.took_s)
    yield _memory(health)
    yield from _queues(health)
    yield _epoch(health)


def kubernetes(kubeconfig: Path | None, is_in_pod: bool) -> Iterable[Finding]:
    if kubeconfig is None and not is_in_pod:
        yield skipped("kubernetes", "KUBECONFIG is not set, and this is no pod; only the operator needs it")
        return
    from controller.operator import kubernetes_api, rights

    try:
        health = rights.examine(kubernetes_api.load_configuration(kubeconfig))
    except (kubernetes_api.KubernetesUnavailable, kubernetes_api.KubernetesRefused) as error:
        yield failed("kubernetes", str(error), "look at KUBECONFIG: does `kubectl version` answer with it?")
        return
    yield ok("kubernetes", f"the API server is {health.version}")
    resource = f"{kubernetes_api.PLURAL}.{kubernetes_api.GROUP}/{kubernetes_api.VERSION}"
    if len(health.served) == 2:
        yield ok("plant definition", f"{resource} is served, with its status")
    else:
        yield failed("plant definition", f"{resource} is not served", "run `kubectl apply -f manifests/crd`, or install the chart")
    if health.missing:
        said = f"the operator could not {', '.join(map(str, health.missing))}"
        yield failed("kubernetes rights", said, "run `kubectl apply -f manifests/rbac`, or use the operator's own identity")
    else:
        yield ok("kubernetes rights", "all that the operator needs")


def _migrations(health: database_health.DatabaseHealth) -> Finding:
    there, needed = health.revision, health.newest_revision
    if there is None:
        return failed("migrations", f"the schema is empty or unreadable; this version needs {needed}", MIGRATE)
    if int(there) < int(needed):
        return failed("migrations", f"the schema is {there}; this version needs {needed}", MIGRATE)
    if int(there) > int(needed):
        return ok("migrations", f"the schema is {there}, of a later version; this one needs {needed}")
    return ok("migrations", f"the schema is {there}, this version's")


def _database_rights(health: database_health.DatabaseHealth) -> Finding:
    if health.is_superuser:
        return ok("database rights", "a superuser, which is more than any role needs (docs/security.md has narrower ones)")
    enough = [role for role, missing in health.missing.items() if not missing]
    if len(enough) == len(health.missing):
        return ok("database rights", f"enough for {', '.join(enough)}")
    alike: dict[tuple[str, ...], list[str]] = {}
    for role, missing in health.missing.items():
        alike.setdefault(missing, []).append(role)
    lacking = "; ".join(f"{' and '.join(roles)}: no {', no '.join(missing)}" for missing, roles in alike.items() if missing)
    advice = "docs/security.md has the GRANTs of each role; right for a role that is not named here"
    if not enough:
        return failed("database rights", lacking, advice)
    return warning("database rights", f"enough for {', '.join(enough)}; {lacking}", advice)


def _queue_server(health: queue_health.QueueHealth) -> Finding:
    said = f"{health.product} {health.version} answers in {health.took_s * 1000:.0f} ms"
    oldest = OLDEST_VALKEY if health.product == "Valkey" else OLDEST_REDIS
    major = health.version.partition(".")[0]
    if health.is_replica:
        return failed("queue server", f"{said}, and is a replica, which takes no writes", "name the primary in REDIS_URL")
    if health.is_cluster:
        return failed("queue server", f"{said}, as a cluster", "use a single instance: scripts here touch keys of any slot")
    if major.isdigit() and int(major) < oldest:
        return failed("queue server", said, f"use Redis {OLDEST_REDIS} or Valkey {OLDEST_VALKEY}, or later")
    return ok("queue server", said)


def _memory(health: queue_health.QueueHealth) -> Finding:
    if health.eviction != "noeviction":
        said = f"maxmemory-policy is {health.eviction}: a full server would drop queues and locks"
        return failed("queue memory", said, "set maxmemory-policy noeviction")
    if health.memory_share is None:
        return ok("queue memory", "noeviction, and no maxmemory")
    said = f"noeviction, {health.memory_share:.0%} of maxmemory in use"
    if health.memory_share > MEMORY_WARNING:
        return warning("queue memory", said, "raise maxmemory: a full server takes no jobs")
    return ok("queue memory", said)


def _queues(health: queue_health.QueueHealth) -> Iterable[Finding]:
    if health.wrong_types:
        said = ", ".join(f"{key} is a {kind}" for key, kind in health.wrong_types.items())
        yield failed("queue names", said, "somebody else uses these keys: give us a database of our own (redis://host/1)")
    if health.foreign_queues:
        said = f"Huey lists that are none of ours: {', '.join(health.foreign_queues[:5])}"
        yield Finding(
            "queue names",
            State.WARNING,
            said,
            "nothing of ours reads them: does another program use this database?",
        )
    if not health.wrong_types:
        yield ok("queue names", ", ".join(f"{name}: {depth}" for name, depth in health.depths.items()))


def _epoch(health: queue_health.QueueHealth) -> Finding:
    if health.epoch == "open":
        return ok("queue epoch", "open")
    why = (
        "no operator has used this server yet"
        if health.epoch == "missing"
        else "the server was restarted or restored since an operator used it"
    )
    return warning("queue epoch", f"{health.epoch}: {why}", "start the operator: it opens one, and workers wait for it")


def _clock(check: str, ahead_s: float, took_s: float) -> Finding:
    # Half of the exchange may be on either way.
    difference = max(0.0, abs(ahead_s) - took_s / 2)
    said = f"{abs(ahead_s):.2f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    if difference > CLOCK_FAILED_S:
        return failed(check, said, "set both machines' clocks by NTP")
    if difference > CLOCK_WARNING_S:
        return warning(check, said, "set both machines' clocks by NTP: polls and statuses come late or early by this")
    return ok(check, said)


def _recordings(folder: Path | Traversable) -> list[tuple[str, Path | Traversable]]:
    if not folder.is_dir():
        return []
    return sorted(((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda named: named[0])


# Running and printing


def _at_once(groups: Mapping[str, Check], within_s: float) -> Iterable[Finding]:
    """Every group's findings, in the groups' order. One that is not done in time has failed; its thread dies with the process."""
    done: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, check in groups.items():
        threading.Thread(target=lambda name=name, check=check: done.put((name, _within(name, check))), name=name, daemon=True).start()
    found: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + within_s
    while len(found) < len(groups):
        try:
            name, findings = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[name] = findings
    late = f"no answer within {within_s:g} s"
    for name in groups:
        yield from found.get(name, [failed(name, late, "is the server frozen, or a packet filter in between?")])


def _within(name: str, check: Check) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except Exception as error:  # noqa: BLE001 a check that breaks is a finding, and must not hide the others'
        findings.append(failed(name, f"the check itself failed: {type(error).__name__}: {error}", "please report this"))
    return findings


def _printable(finding: Finding, redaction: Redaction) -> Finding:
    """Errors may quote what stands in files or comes from servers."""

    def shown(text: str) -> str:
        return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in redaction.text(text, 500))

    return msgspec.structs.replace(finding, said=shown(finding.said), advice=finding.advice and shown(finding.advice))


def _lines(report: Report) -> Iterable[str]:
    width = max(len(finding.check) for finding in report.checks)
    for finding in report.checks:
        yield f"{finding.state:8} {finding.check:{width}}  {finding.said}"
        if finding.advice:
            yield f"{'':8} {'':{width}}  > {finding.advice}"
    yield f"{'ok' if report.ok else 'failed'}: {_summary(report)}"


def _summary(report: Report) -> str:
    counts = {state: sum(finding.state is state for finding in report.checks) for state in State}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) + f" (solarinvest {report.version})"


def _table(report: Report) -> Table:
    colours = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red", State.SKIPPED: "dim"}
    table = Table(caption=_summary(report), caption_justify="left", show_edge=False)
    for title in ("", "check", "found, and what to do"):
        table.add_column(title)
    for finding in report.checks:
        said = Text(finding.said)
        if finding.advice:
            said.append(f"\n> {finding.advice}", "bold")
        table.add_row(Text(finding.state, colours[finding.state]), finding.check, said)
    return table
