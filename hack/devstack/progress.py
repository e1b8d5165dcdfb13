"""Showing how etcd and kube-apiserver are got. Called by the demo and by `python -m hack.devstack`."""

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from hack.devstack.binaries import Binaries, control_plane_binaries


def shown_binaries(console: Console) -> Binaries:
    """`control_plane_binaries` with a bar while a download or build goes on (without a terminal: a line a phase).

    Silent where they are cached. Raises what that raises.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("control plane binaries", total=None)
        said = ""

        def report(message: str, share: float | None) -> None:
            nonlocal said
            progress.update(task, description=message, total=None if share is None else 1.0, completed=share or 0.0)
            if message != said and not console.is_terminal:
                console.print(f"  {message}", markup=False, soft_wrap=True)
            said = message

        return control_plane_binaries(report)
