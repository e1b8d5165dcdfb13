"""Named places on a job's way at which a fault test ends or freezes the process: `FAIL=point:exit|stop|sleep[=seconds]`.

Nothing is armed unless `FAIL` is set; `cli` then hands `Failpoints.at` to the parts that pass such places.
"""

import os
import re
import signal
import threading
import time
from enum import StrEnum

import msgspec

EXIT_CODE = 86
_FORM = re.compile(r"(?P<point>[^:\s]+):(?P<action>exit|stop|sleep)(=(?P<seconds>\d{1,6}(\.\d+)?))?")


class Action(StrEnum):
    EXIT = "exit"
    STOP = "stop"
    SLEEP = "sleep"


class Failpoints(msgspec.Struct, frozen=True):
    """One armed place."""

    point: str
    action: Action
    seconds: float = 5.0

    @classmethod
    def parse(cls, text: str) -> "Failpoints":
        """Raises ValueError naming what is allowed."""
        matched = _FORM.fullmatch(text)
        if matched is None:
            raise ValueError(f"FAIL is {text!r}; allowed is point:exit, point:stop or point:sleep=SECONDS")
        return cls(matched["point"], Action(matched["action"]), float(matched["seconds"] or 5.0))

    def at(self, point: str) -> None:
        """Called wherever a job passes `point`."""
        if point != self.point:
            return
        match self.action:
            case Action.EXIT:
                # As kill -9 would: no handler, no flush, no farewell to any server.
                os._exit(EXIT_CODE)
            case Action.STOP:
                # To this thread: one sent to the process may reach another first, and this one runs on for a while.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            case Action.SLEEP:
                time.sleep(self.seconds)
