"""What a failed run leaves to read: everything that the cluster can tell of itself, as files. Called by the run."""

from collections.abc import Callable
from pathlib import Path

from hack.e2e.cluster import Cluster, CommandError

DESCRIBED = "nodes,pods,deployments,statefulsets,jobs,services,endpointslices,persistentvolumeclaims,poddisruptionbudgets,networkpolicies"


def collect(cluster: Cluster, folder: Path) -> None:
    """Writes to `folder`, which it makes. What cannot be had is a file that says why: this must not hide the failure it is about."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "events.txt", lambda: cluster.kubectl("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"))
    _write(folder / "describe.txt", lambda: cluster.kubectl("describe", DESCRIBED, "--all-namespaces"))
    _write(folder / "plants.yaml", lambda: cluster.kubectl("get", "plants", "--all-namespaces", "--output=yaml"))
    _write(folder / "releases.txt", lambda: cluster.helm("list", "--all-namespaces"))
    try:
        pods = cluster.items("pods", "--all-namespaces")
    except CommandError as error:
        (folder / "pods.txt").write_text(str(error))
        return
    for pod in pods:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for label, more in (("", ()), (".previous", ("--previous",))):
            restarted = any(state.get("restartCount") for state in pod["status"].get("containerStatuses", []))
            if label and not restarted:
                continue
            logs = ("logs", f"--namespace={namespace}", name, "--all-containers", "--prefix", *more)
            _write(folder / f"{namespace}_{name}{label}.log", lambda logs=logs: cluster.kubectl(*logs))  # type: ignore[misc]


def _write(file: Path, told: Callable[[], str]) -> None:
    try:
        file.write_text(told())
    except CommandError as error:
        file.write_text(str(error))
