from typing import Any

import msgspec
import pytest

from controller.kubectl_plugin.annotations import POLL_REQUESTED_AT
from controller.kubectl_plugin.plants import Plant
from controller.kubectl_plugin.poll_request import _Pending, _settled
from controller.kubectl_plugin.troubles import Exit
from tests.unit.kubectl_plugin.plants import document

MINE, THEIRS, OLD = "2026-01-15T15:00:00.000+00:00/aaaa", "2026-01-15T15:00:01.000+00:00/bbbb", "2026-01-14"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pending(handled: str | None, written: str | None = MINE, *conditions: dict[str, str], **status: Any) -> _Pending:
    body = document(**{"observedGeneration": 3, "health": "GREEN", "reason": "Reporting", "conditions": list(conditions), **status})
    if handled is not None:
        body["status"]["lastHandledPollRequest"] = handled
    if written is not None:
        body["metadata"]["annotations"] = {POLL_REQUESTED_AT: written}
    return _Pending("roof", MINE, msgspec.convert(body, Plant))


SUCCEEDED = condition("Polled", "True", "PollSucceeded")
FAILED = condition("Polled", "False", "NetworkTimeout", "no answer within 20 s")


@pytest.mark.parametrize("handled", [None, OLD])
def test_until_the_echo_comes_nothing_is_settled_whatever_an_earlier_poll_brought(handled: str | None) -> None:
    assert _settled(pending(handled, MINE, SUCCEEDED)) is None
    assert _settled(pending(handled, MINE, FAILED)) is None
    assert _settled(pending(handled, THEIRS, FAILED)) is None
    assert _settled(pending(handled, None, FAILED)) is None


@pytest.mark.parametrize(
    ("conditions", "result", "code"),
    [
        ((SUCCEEDED,), "Succeeded", Exit.DONE),
        ((condition("Polled", "True", "ValuesRefused", "power 1e9"),), "Succeeded", Exit.DONE),
        ((FAILED,), "Failed", Exit.FAILED),
        ((condition("Polled", "Unknown", "Suspended"),), "NotPolled", Exit.FAILED),
        ((), "NotPolled", Exit.FAILED),
    ],
)
def test_the_echo_comes_with_what_the_poll_brought(conditions: tuple[dict[str, str], ...], result: str, code: Exit) -> None:
    said = _settled(pending(MINE, MINE, *conditions))
    assert said is not None
    assert (said.document["result"], said.exit) == (result, code)
    assert said.document["token"] == MINE


def test_a_later_request_of_somebody_else_stands_for_ours_once_it_is_dealt_with() -> None:
    said = _settled(pending(THEIRS, THEIRS, SUCCEEDED))
    assert said is not None
    assert said.document["result"] == "Succeeded"


def test_a_refused_plant_is_never_polled_and_so_not_waited_for() -> None:
    refused = condition("Accepted", "False", "InvalidTimezone", "no such zone\x1b")
    said = _settled(pending(None, MINE, refused))
    assert said is not None
    assert (said.document["result"], said.document["reason"], said.exit) == ("NotPolled", "InvalidTimezone", Exit.FAILED)
    assert said.lines == ["default/roof: not polled: InvalidTimezone, no such zone?"]
    assert _settled(pending(None, MINE, refused, observedGeneration=2)) is None, "a refusal of an older spec says nothing"
