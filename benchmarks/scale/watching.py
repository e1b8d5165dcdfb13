"""When Kubernetes showed a poll: a watch on some of the Plants, as kubectl would have it. Called by `run`."""

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from urllib3.exceptions import HTTPError

from benchmarks.scale.plants import WATCHED, KubernetesHttp
from controller.operator.kubernetes_api import GROUP, PLURAL, VERSION
from controller.operator.resource import PlantResource

AGAIN_AFTER_S = 0.5
LIFE_S = 300.0


class StatusWatch:
    """Notes when each new `lastPollTime` of a watched Plant was seen. A thread of its own between `start` and `stop`."""

    def __init__(self, http: KubernetesHttp) -> None:
        self._http = http
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status-watch", daemon=True)
        self._seen: dict[UUID, list[tuple[datetime, datetime]]] = {}
        self.lives = 0
        """How often the stream began: more than a few mean that instants were missed."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def seen(self) -> Mapping[UUID, Sequence[tuple[datetime, datetime]]]:
        """By plant: `lastPollTime` and the instant at which it was first seen, both rising."""
        return self._seen

    def _run(self) -> None:
        while not self._stop.is_set():
            self.lives += 1
            try:
                self._read()
            except (HTTPError, msgspec.DecodeError):
                # A broken stream is begun again from the objects as they stand; `lives` tells of it.
                self._stop.wait(AGAIN_AFTER_S)

    def _read(self) -> None:
        path = f"/apis/{GROUP}/{VERSION}/{PLURAL}?watch=1&labelSelector={WATCHED}%3Dyes&timeoutSeconds={LIFE_S:.0f}"
        answer = self._http.stream(path, LIFE_S + 30)
        rest = b""
        until = time.monotonic() + LIFE_S + 30
        for chunk in answer.stream(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            at = datetime.now(UTC)
            for line in lines:
                self._note(msgspec.json.decode(line), at)
            if self._stop.is_set() or time.monotonic() > until:
                break
        answer.release_conn()

    def _note(self, event: Mapping[str, Any], at: datetime) -> None:
        last_poll = event["object"].get("status", {}).get("lastPollTime")
        if last_poll is None:
            return
        seen = self._seen.setdefault(PlantResource.parse(event["object"]).plant_id, [])
        polled_at = datetime.fromisoformat(last_poll)
        if not seen or polled_at > seen[-1][0]:
            seen.append((polled_at, at))


def mirror_lags_s(seen: Mapping[UUID, Sequence[tuple[datetime, datetime]]], polls: Mapping[UUID, Sequence[datetime]]) -> list[float]:
    """Seconds from the end of a poll to the first status that shows it or a newer one. A poll that nothing shows yet has none."""
    found = []
    for plant_id, ends in polls.items():
        shown = seen.get(plant_id, ())
        for end in ends:
            # `lastPollTime` is cut to seconds.
            index = bisect_left(shown, end.replace(microsecond=0), key=lambda entry: entry[0])
            if index < len(shown):
                found.append(max(timedelta(0), shown[index][1] - end).total_seconds())
    return found
