"""How a role hears that it shall end: SIGTERM from a supervisor, SIGINT and SIGHUP from a terminal."""

import os
import signal
from types import FrameType


class StopSignals:
    """Hears the first signal; a second one ends the process at once, with 128 + its number. Made in the main thread.

    A plain attribute to be looked at, because a handler that set an Event could deadlock with a wait for it.
    """

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.came:
            os._exit(128 + number)
        self.came = True
