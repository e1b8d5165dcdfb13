"""Negative controls: a copy of the product with one rule of the protocol taken out, to be run instead of it.

A fault test that stays green with the rule taken out proves nothing. Production code has no switch for this; here is the switch.
"""

import shutil
from pathlib import Path

import msgspec

PRODUCT = ("controller", "integrations", "fixtures")
CHECKOUT = Path(__file__).resolve().parents[2]


class Mutation(msgspec.Struct, frozen=True):
    """One textual replacement in one file of the product. `rule` says in words what is taken out."""

    rule: str
    file: str
    old: str
    new: str


class MutationMismatch(Exception):
    """The text to replace is not in the file exactly once: the product has changed, and the mutation must follow."""


def mutant(folder: Path, *mutations: Mutation) -> Path:
    """Copies the product into `folder` with the mutations made; to be put first on PYTHONPATH. Raises `MutationMismatch`."""
    for part in PRODUCT:
        # With what is compiled, which goes by size and time of each source: only what is mutated is compiled again. Without what another
        # process is just writing.
        shutil.copytree(CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("*.pyc.*"))
    for mutation in mutations:
        target = folder / mutation.file
        text = target.read_text("utf-8")
        if (found := text.count(mutation.old)) != 1:
            raise MutationMismatch(f"{mutation.rule}: {found} times in {mutation.file}, not once:\n{mutation.old}")
        text = text.replace(mutation.old, mutation.new)
        if target.suffix == ".py":
            # A process that dies of a typo would turn any test red, for the wrong reason.
            compile(text, mutation.file, "exec")
        target.write_text(text, "utf-8")
    return folder
