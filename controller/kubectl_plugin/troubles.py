"""Why a command could not do what it was asked, and the exit code that says so (docs/kubectl-solar.md).

Raised where the reason is known (connect, plants, annotations), printed in one place (results.complain). Their text is one line for
people.
"""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """What the process ends with. Of several plants' codes the highest."""

    DONE = 0
    FAILED = 1
    """The API server would not take it, or the poll that was asked for failed or was not made."""
    USAGE = 2
    """The command line or the kubeconfig means nothing."""
    NOT_FOUND = 3
    """No such plant, no such alert, or no Plants in this cluster."""
    FORBIDDEN = 4
    UNREACHABLE = 5
    TIMED_OUT = 6
    """`poll --wait`: not dealt with in time. The request stands."""


class Trouble(Exception):
    """A command cannot do what it was asked."""

    exit: ClassVar[Exit] = Exit.FAILED


class BadUsage(Trouble):
    """Values of the command line that mean nothing, or not together."""

    exit = Exit.USAGE


class KubeconfigUnusable(Trouble):
    """There is no kubeconfig, or it does not say where the API server is and who we are."""

    exit = Exit.USAGE


class NotFound(Trouble):
    """No such object, or its resource is not installed in this cluster."""

    exit = Exit.NOT_FOUND


class Forbidden(Trouble):
    """The user's own rights do not allow it."""

    exit = Exit.FORBIDDEN


class Unreachable(Trouble):
    """The API server does not answer, or says that it cannot now. Asking again may help."""

    exit = Exit.UNREACHABLE


class Conflict(Trouble):
    """The object is newer than the one that was read. Read it again."""


class Expired(Trouble):
    """The list or watch refers to a version that the API server no longer has. List again."""
