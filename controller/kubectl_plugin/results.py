"""Which plants a command is about, how it went with each, and the one way to print that.

Called by show, poll_request and edit. Several plants are dealt with one after the other; one that fails stops none of the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import typer
from rich.text import Text

from controller.kubectl_plugin import render
from controller.kubectl_plugin.plants import Plants
from controller.kubectl_plugin.text import one_line
from controller.kubectl_plugin.troubles import BadUsage, Exit, NotFound, Trouble

Result = Mapping[str, Any]


class Targets(msgspec.Struct, frozen=True):
    """Plants of one namespace: by name, or by label selector."""

    namespace: str
    names: Sequence[str]
    selector: str | None

    def resolve(self, plants: Plants) -> list[str]:
        """Their names. Raises `BadUsage` for none or both ways at once, `NotFound` where the selector finds nothing."""
        if bool(self.names) == bool(self.selector):
            raise BadUsage("name one or more plants, or select them by -l")
        if not self.selector:
            return list(dict.fromkeys(self.names))
        found = [row.metadata.name for row in plants.read_all(self.namespace, self.selector).items]
        if not found:
            raise NotFound(f"no plant in namespace {self.namespace} has the labels {one_line(self.selector)}")
        return found


class Said(msgspec.Struct, frozen=True):
    """How it went with one plant: an object of `-o json`, the lines for people, and the exit code."""

    document: Result
    lines: Sequence[str | Text]
    exit: Exit = Exit.DONE


def complain(trouble: Trouble) -> None:
    """One line on standard error."""
    typer.echo(f"Error: {one_line(str(trouble))}", err=True)


def each(plants: Plants, targets: Targets, as_json: bool, act: Callable[[str], Said]) -> Exit:
    """Acts on one plant after the other and prints what came of it; the highest of their codes."""
    return print_all(targets.namespace, [(name, partial(act, name)) for name in targets.resolve(plants)], as_json)


def print_all(namespace: str, acts: Iterable[tuple[str, Callable[[], Said]]], as_json: bool) -> Exit:
    """Carries out one act a plant, prints what came of each or why nothing did, and returns the highest of their codes."""
    console, documents, worst = render.console(), [], Exit.DONE
    for name, act in acts:
        try:
            said = act()
        except Trouble as trouble:
            complain(trouble)
            said = Said({"namespace": namespace, "name": name, "error": one_line(str(trouble))}, (), trouble.exit)
        worst = max(worst, said.exit)
        documents.append(said.document)
        for line in () if as_json else said.lines:
            console.print(line)
    if as_json:
        render.print_json(documents)
    return worst
