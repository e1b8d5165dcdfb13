"""`top` and `explain`: what is, without changing anything. Called by main."""

import time
from datetime import UTC, datetime

from rich.live import Live

from controller.kubectl_plugin import explanation, render
from controller.kubectl_plugin.fleet import FleetRow, Follower, by_trouble, counts_of, hopeless
from controller.kubectl_plugin.plants import Plants
from controller.kubectl_plugin.results import Said, Targets, each
from controller.kubectl_plugin.troubles import Exit, Forbidden
from controller.stop_signals import StopSignals

REFRESH_S = 1.0
"""Between two pictures of `top --watch`: ages count in seconds, and eyes read no faster."""
_LOOK_EVERY_S = 0.2
_NO_ROWS_BELOW = 5
"""Lines of the live screen that are not plants."""


def top(plants: Plants, namespace: str | None, selector: str | None, *, as_json: bool, headers: bool) -> Exit:
    """The fleet once: all of it, worst first."""
    rows = sorted(map(FleetRow.of, plants.read_all(namespace, selector).items), key=by_trouble)
    if as_json:
        render.print_json([render.json_row(row) for row in rows])
        return Exit.DONE
    console = render.console()
    if headers:
        console.print(render.summary(counts_of(rows)))
    for line in render.table(rows, datetime.now(UTC), namespaces=namespace is None, headers=headers) if rows else ():
        console.print(line)
    return Exit.DONE


def watch(plants: Plants, namespace: str | None, selector: str | None) -> Exit:
    """The fleet live, until Ctrl-C; what it looked like last stays on the terminal."""
    console = render.console()
    follower = Follower(plants, namespace, selector)
    # Not KeyboardInterrupt, which may come in the middle of a picture or of a lock.
    signals = StopSignals()
    follower.start()
    height = max(1, console.size.height - _NO_ROWS_BELOW)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            while not signals.came:
                height = max(1, console.size.height - _NO_ROWS_BELOW)
                view = follower.view(height)
                if trouble := hopeless(view):
                    raise trouble
                picture = render.live(view, datetime.now(UTC), namespaces=namespace is None, columns=console.size.width)
                screen.update(picture, refresh=True)
                follower.changed.clear()
                _wait(follower, signals)
    finally:
        follower.stop()
    console.print(render.live(follower.view(height), datetime.now(UTC), namespaces=namespace is None, columns=console.size.width))
    return Exit.DONE


def _wait(follower: Follower, signals: StopSignals) -> None:
    """Until there is something new to show: at once, but not more than some times a second."""
    until = time.monotonic() + REFRESH_S
    time.sleep(_LOOK_EVERY_S)
    while not signals.came and time.monotonic() < until and not follower.changed.wait(_LOOK_EVERY_S):
        pass


def explain(plants: Plants, targets: Targets, *, as_json: bool) -> Exit:
    now = datetime.now(UTC)
    shown: list[str] = []

    def act(name: str) -> Said:
        plant = plants.get(targets.namespace, name)
        try:
            events, no_events = plants.events(plant.metadata), None
        except Forbidden as trouble:
            # A viewer of Plants need not be one of events; the rest of the case is worth showing.
            events, no_events = [], str(trouble)
        case = explanation.explained(plant, events, no_events, now)
        shown.append(name)
        between = [""] if len(shown) > 1 else []
        return Said(explanation.json_explanation(case, now), [*between, *explanation.lines(case, now)])

    return each(plants, targets, as_json, act)
