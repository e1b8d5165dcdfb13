"""`kubectl solar`: the fleet at a glance, a plant explained, and what people do about it, with nothing but the user's own rights.

kubectl runs `kubectl-solar` from the PATH (docs/kubectl-solar.md). Here are its commands and their options; what they do is in show,
poll_request and edit.
"""

import os
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controller.domain.duration import InvalidDuration, parse_duration
from controller.kubectl_plugin import edit, poll_request, render, show
from controller.kubectl_plugin.annotations import silence_end
from controller.kubectl_plugin.connect import Cluster, connect
from controller.kubectl_plugin.plants import Plants
from controller.kubectl_plugin.results import Targets, complain
from controller.kubectl_plugin.text import printable
from controller.kubectl_plugin.troubles import BadUsage, Exit, Trouble

HELP = """
Work with Plants of Solarinvest Monitor, with your own kubeconfig and rights.

`top` and `explain` need to read Plants (ClusterRole solarinvest-plants-viewer), all others also to edit them (solarinvest-plants-editor).
"""
EPILOG = (
    "Exit codes: 0 done, 1 refused or the poll failed, 2 usage or kubeconfig, 3 not found, 4 forbidden, 5 API server away, 6 timed out."
)

COMPLETION = "_KUBECTL_SOLAR_COMPLETE"
"""Set by a shell that asks how a line may go on."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=HELP, epilog=EPILOG)


class Output(StrEnum):
    JSON = "json"


def complete_plants(call: typer.Context, incomplete: str) -> list[str]:
    """Names of Plants for a shell, of the namespace that the line names so far. A shell can show no trouble: then there are none."""
    options = call.params
    kubeconfig = options.get("kubeconfig")
    try:
        cluster = connect(Path(kubeconfig) if kubeconfig else None, options.get("context"), options.get("namespace"))
        names = [row.metadata.name for row in Plants(cluster).read_all(cluster.namespace, None).items]
    except Trouble:
        return []
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(metavar="PLANT", help="The Plant's name.", show_default=False, autocompletion=complete_plants)]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLANT", help="Names of Plants, in one namespace.", show_default=False, autocompletion=complete_plants),
]
Selector = Annotated[
    str | None,
    typer.Option("--selector", "-l", metavar="LABELS", help="Plants with these labels instead of names, as site=north,tier!=lab."),
]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Default: that of the context.")]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig. Default: the current one.")]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: the files of $KUBECONFIG, else ~/.kube/config.")
]
Format = Annotated[Output | None, typer.Option("--output", "-o", help="One list, an object a plant, for programs.")]


def main() -> None:
    """Entry point of the console script `kubectl-solar`."""
    # Kubernetes' client imports kubernetes-validate where it is installed (for tests of the chart): a second, and nothing here validates.
    sys.modules.setdefault("kubernetes_validate", None)  # type: ignore[arg-type]  # None is how Python is told not to import
    # A terminal that cannot show a letter shall show another, not a traceback.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper here
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper here
    # Whoever chose insecure-skip-tls-verify in the kubeconfig knows; kubectl does not say it again at every request either.
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    # Shells complete the program that they find, help is read by people who type it with a space.
    completing = COMPLETION in os.environ or any(argument.endswith("-completion") for argument in sys.argv)
    app(prog_name="kubectl-solar" if completing else "kubectl solar")


@app.command()
def top(
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Plants of all namespaces.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Live, until Ctrl-C. Needs a terminal.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Plants only: no counts, no names of columns.")] = False,
    selector: Annotated[str | None, typer.Option("--selector", "-l", metavar="LABELS", help="Only Plants with these labels.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Show the fleet, worst first: RED, YELLOW, GREY, GREEN, and within each whoever has been so for longest."""

    def run(cluster: Cluster) -> Exit:
        place = None if all_namespaces else cluster.namespace
        if not watch:
            return show.top(Plants(cluster), place, selector, as_json=output is Output.JSON, headers=not no_headers)
        if output is Output.JSON or not render.is_terminal():
            raise BadUsage("--watch draws on a terminal; for a pipe, leave it out, or use kubectl get plants --watch -o json")
        return show.watch(Plants(cluster), place, selector)

    _run(run, kubeconfig, context, namespace)


@app.command()
def explain(
    plants: Names = None,
    selector: Selector = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Say why a plant has its status, what is wrong with it, and what to do next."""

    def run(cluster: Cluster) -> Exit:
        return show.explain(Plants(cluster), _targets(cluster, plants, selector), as_json=output is Output.JSON)

    _run(run, kubeconfig, context, namespace)


@app.command()
def poll(
    plants: Names = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done, say what it brought, and fail if it failed.")] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long --wait waits for all of them, such as 90s.")
    ] = "60s",
    selector: Selector = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Have plants polled now. Also gives refused credentials another try."""

    def run(cluster: Cluster) -> Exit:
        wait_s = _seconds("--timeout", timeout)
        targets = _targets(cluster, plants, selector)
        return poll_request.poll(Plants(cluster), targets, wait_s=wait_s if wait else None, as_json=output is Output.JSON)

    _run(run, kubeconfig, context, namespace)


@app.command()
def ack(
    plant: Name,
    alerts: Annotated[
        list[str] | None, typer.Argument(metavar="ALERT", help="Ids of active alerts (kubectl solar explain), or how they begin.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All alerts that the status lists.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take an id that the status does not list: it lists the worst 10 only.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Acknowledge alerts of a plant. That heals nothing: a plant with an acknowledged CRITICAL alert is still RED."""

    def run(cluster: Cluster) -> Exit:
        as_json = output is Output.JSON
        return edit.ack(Plants(cluster), cluster.namespace, plant, alerts or [], every=every, force=force, as_json=as_json)

    _run(run, kubeconfig, context, namespace)


@app.command()
def silence(
    plants: Names = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long from now: 4h, 90m, 1h30m.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="INSTANT", help="RFC 3339, such as 2026-01-31T18:00:00Z.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End a silence now.")] = False,
    selector: Selector = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Have nothing announced of plants for a while. Judging goes on."""

    def run(cluster: Cluster) -> Exit:
        if [duration is not None, until is not None, off].count(True) != 1:
            raise BadUsage("say one of --for DURATION, --until INSTANT and --off")
        end = None if off else silence_end(datetime.now(UTC), duration, until)
        return edit.silence(Plants(cluster), _targets(cluster, plants, selector), end, as_json=output is Output.JSON)

    _run(run, kubeconfig, context, namespace)


@app.command()
def suspend(
    plants: Names = None,
    selector: Selector = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Stop polling and judging plants. Their history stays."""

    def run(cluster: Cluster) -> Exit:
        return edit.suspend(Plants(cluster), _targets(cluster, plants, selector), True, as_json=output is Output.JSON)

    _run(run, kubeconfig, context, namespace)


@app.command()
def resume(
    plants: Names = None,
    selector: Selector = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = None,
) -> None:
    """Go on with suspended plants."""

    def run(cluster: Cluster) -> Exit:
        return edit.suspend(Plants(cluster), _targets(cluster, plants, selector), False, as_json=output is Output.JSON)

    _run(run, kubeconfig, context, namespace)


def _run(act: Callable[[Cluster], Exit], kubeconfig: Path | None, context: str | None, namespace: str | None) -> None:
    """Connects, acts, and ends the process with what came of it; trouble is one line on standard error."""
    try:
        code = act(connect(kubeconfig, context, namespace))
    except Trouble as trouble:
        complain(trouble)
        code = trouble.exit
    raise typer.Exit(code)


def _targets(cluster: Cluster, names: list[str] | None, selector: str | None) -> Targets:
    return Targets(cluster.namespace, names or [], selector)


def _seconds(option: str, text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except InvalidDuration:
        raise BadUsage(f"{option} {printable(text)!r} is no duration such as 60s or 2m") from None
