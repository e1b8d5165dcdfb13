"""docs/cli.md, made from the commands themselves: `make generate` writes it, and `make test` finds it out of date."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from controller import cli, settings
from integrations.contract import Brand

WIDTH = 100

_HEAD = """# Command line

Made by `make generate` from the commands: what is here is what `--help` says.

`solarinvest` is one program of several commands. `operator`, `worker` and `api` are the roles: they run until SIGTERM, log one JSON object
a line to standard error and serve /metrics, /healthz and /readyz ([metrics](metrics.md)). Everything else does its work and ends.
`kubectl solar`, for whoever looks after plants in a cluster, has [a page of its own](kubectl-solar.md).

- **Settings** are environment variables; those that a command reads stand under it, [configuration](configuration.md) explains each. A name
  that looks misspelt is told: a role logs `variable_unknown`, `solarinvest doctor` says which was meant.
- **Secrets** are never arguments, and never printed; the one exception is `solarinvest token`, whose purpose it is.
- **Terminals and pipes**: on a terminal, help and tables have colours, unless `NO_COLOR` is set; in a pipe they are plain text that stays
  the same. Where data is printed it is JSON, or can be: `--output json`.
- **Completion**: `solarinvest --install-completion` for bash, zsh, fish and PowerShell; `--show-completion` prints it instead.

"""
_EXITS = """## Exit codes

| code | means |
|---|---|
{rows}
128 + n: signal n came a second time during a stop. Numbers above 60 are those of sysexits.h.
"""


def page() -> str:
    """The whole page."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, TyperGroup)
    sections = [_section("solarinvest", group), *(_section(f"solarinvest {name}", command) for name, command in group.commands.items())]
    return _HEAD + "\n".join(sections) + "\n" + _exit_codes()


def _section(name: str, command: Any) -> str:
    brands = "|".join(Brand)
    read = dict.fromkeys(re.sub(rf"^LIMIT_({brands})_", "LIMIT_<BRAND>_", variable) for variable in variables(command.callback.__name__))
    environment = f"\nReads: {', '.join(f'`{variable}`' for variable in read)}.\n" if read else ""
    return f"## {name}\n\n```\n{_help(name, command)}\n```\n{environment}"


def _help(name: str, command: Any) -> str:
    # As in a pipe, also where this runs on a terminal.
    command.rich_markup_mode = None
    if command.epilog:
        command.epilog = "\b\n" + command.epilog.removeprefix("\b\n")
    context = command.context_class(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def _exit_codes() -> str:
    return _EXITS.format(rows="".join(f"| {code} | {meaning} |\n" for code, meaning in cli.EXITS.items()))


def variables(function: str) -> list[str]:
    """The variables that a function of `cli` reads, also through others of that module: by what it asks of `settings`."""
    found = set(_sections(function, set()))
    every = settings.Section.__subclasses__()
    return [
        str(field.validation_alias)
        for section in every
        if section.__name__ in found or settings.Section.__name__ in found
        for field in section.model_fields.values()
    ]


def _sections(function: str, seen: set[str]) -> Iterator[str]:
    called = getattr(cli, function, None)
    if function in seen or not inspect.isfunction(called) or called.__module__ != cli.__name__:
        return
    seen.add(function)
    for node in ast.walk(ast.parse(inspect.getsource(called))):
        match node:
            case ast.Attribute(value=ast.Name(id="conf"), attr=name):
                yield name
            case ast.Call(func=ast.Name(id=name)):
                yield from _sections(name, seen)
