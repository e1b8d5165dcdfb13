"""`kubectl solar`: a plant's state in words, and a poll on request, with nothing but the user's own rights.

kubectl runs `kubectl-solar` from the PATH. In this version: `explain` and `poll`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from kubernetes import client, config
from urllib3.exceptions import HTTPError

GROUP, VERSION, PLURAL = "monitor.solarinvest.info", "v1alpha1", "plants"
POLL_REQUESTED_AT = f"{GROUP}/poll-requested-at"
TIMEOUT_S = (5, 30)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Works with Plants of Solarinvest Monitor.")
Name = Annotated[str, typer.Argument(help="The Plant's name.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Default: that of the current context.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig. Default: the current one.")]


def main() -> None:
    """Entry point of the console script `kubectl-solar`."""
    app()


@app.command()
def explain(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Say why a plant has its status."""
    plants, place = _connect(context, namespace)
    status: dict[str, Any] = _asked(
        lambda: plants.get_namespaced_custom_object(GROUP, VERSION, place, PLURAL, name, _request_timeout=TIMEOUT_S)
    ).get("status", {})
    typer.echo(
        f"{place}/{name} {status.get('health', 'GREY')} ({status.get('reason', 'NotReconciledYet')}) since {status.get('since', '?')}"
    )
    for sentence in status.get("explain", []):
        typer.echo(f"  {sentence}")
    for alert in status.get("alerts", []):
        typer.echo(f"  alert {alert['id']} {alert['severity']} {alert['type']}: {alert.get('message', '')}")


@app.command()
def poll(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Ask for a poll now. Its token appears in status.lastHandledPollRequest once it is done."""
    plants, place = _connect(context, namespace)
    token = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = {"metadata": {"annotations": {POLL_REQUESTED_AT: token}}}
    _asked(
        lambda: plants.patch_namespaced_custom_object(
            GROUP, VERSION, place, PLURAL, name, body, _content_type="application/merge-patch+json", _request_timeout=TIMEOUT_S
        )
    )
    typer.echo(f"{place}/{name} asked for a poll: {token}")


def _connect(context: str | None, namespace: str | None) -> tuple[Any, str]:
    """The API and the namespace to use, of the user's kubeconfig."""
    configuration = client.Configuration()
    try:
        config.load_kube_config(context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]  # theirs
    except config.ConfigException as error:
        raise typer.BadParameter(f"no usable kubeconfig: {error}") from None
    chosen = next((entry for entry in contexts if entry["name"] == context), current)
    return client.CustomObjectsApi(client.ApiClient(configuration)), namespace or chosen["context"].get("namespace", "default")


def _asked(request: Any) -> dict[str, Any]:
    """The API server's answer; its refusal as one line and exit code 1."""
    try:
        answer: dict[str, Any] = request()
    except client.ApiException as error:
        typer.echo(f"the API server answered {error.status} {error.reason}", err=True)
        raise typer.Exit(1) from None
    except (HTTPError, OSError) as error:
        typer.echo(f"the API server is not reachable ({type(error).__name__})", err=True)
        raise typer.Exit(1) from None
    return answer
