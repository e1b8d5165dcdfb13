"""Failpoints act at their place and nowhere else; a wrong `FAIL` is told."""

import os
import signal
import threading
import time

import pytest

from controller.failpoints import EXIT_CODE, Action, Failpoints


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        ("after-read:exit", Failpoints("after-read", Action.EXIT)),
        ("before-close:stop", Failpoints("before-close", Action.STOP)),
        ("after-commit:sleep=0.25", Failpoints("after-commit", Action.SLEEP, 0.25)),
        ("x:sleep", Failpoints("x", Action.SLEEP, 5.0)),
    ],
)
def test_a_failpoint_is_a_place_and_what_happens_there(text: str, armed: Failpoints) -> None:
    assert Failpoints.parse(text) == armed


@pytest.mark.parametrize(
    "text", ["", "after-read", ":exit", "after-read:", "x:explode", "x:sleep=abc", "x:sleep=-1", "x:sleep=nan", "x:exit:stop"]
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"point:exit, point:stop or point:sleep=SECONDS"):
        Failpoints.parse(text)


def test_it_acts_at_its_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[object] = []
    monkeypatch.setattr(os, "_exit", acts.append)
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, sent: acts.append((thread, sent)))
    monkeypatch.setattr(time, "sleep", acts.append)
    for text in ("here:exit", "here:stop", "here:sleep=7"):
        armed = Failpoints.parse(text)
        armed.at("elsewhere")
        armed.at("here")
    assert acts == [EXIT_CODE, (threading.get_ident(), signal.SIGSTOP), 7.0]
