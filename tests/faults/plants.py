"""Plant resources on a real API server: declared, changed and deleted as a person would, and their statuses watched from outside."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from controller.domain.plant import plant_id_for
from hack.devstack.binaries import kubectl
from hack.devstack.control_plane import ControlPlane
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from tests.faults.checker import Kind, Violation

API = "/apis/monitor.solarinvest.info/v1alpha1"
FIRST_VENDOR_ID = 1298491919448000001


class Plants:
    """The Plants of one namespace. All of brand SOLIS, with the vendor's id made of their number."""

    def __init__(self, cluster: ControlPlane, folder: Path, namespace: str = "default") -> None:
        self._cluster = cluster
        self._folder = folder
        self._namespace = namespace

    def declare(self, number: int = 1, *, interval: str = "10m", **spec: Any) -> UUID:
        """`kubectl apply` of one Plant; its plant id."""
        self.declare_many([number], interval=interval, **spec)
        return self.plant_id(number)

    def declare_many(self, numbers: Sequence[int], *, interval: str = "10m", **spec: Any) -> list[UUID]:
        items = [
            {
                "apiVersion": "monitor.solarinvest.info/v1alpha1",
                "kind": "Plant",
                "metadata": {"name": self.name(number), "namespace": self._namespace},
                "spec": {"brand": "SOLIS", "vendorPlantId": str(FIRST_VENDOR_ID + number), "pollInterval": interval, **spec},
            }
            for number in numbers
        ]
        self._cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return [self.plant_id(number) for number in numbers]

    def change(self, number: int = 1, **spec: Any) -> None:
        self._cluster.kubectl(
            "patch", "plant", self.name(number), f"--namespace={self._namespace}", "--type=merge", f"--patch={json.dumps({'spec': spec})}"
        )

    def delete(self, number: int = 1) -> None:
        self._cluster.request("DELETE", self._path(number))

    def wipe_status(self, number: int = 1) -> None:
        """Somebody empties the status by hand."""
        self._cluster.kubectl(
            "patch", "plant", self.name(number), f"--namespace={self._namespace}", "--subresource=status", "--type=merge",
            "--patch={\"status\":null}",
        )  # fmt: skip

    def status(self, number: int = 1) -> dict[str, Any]:
        found: dict[str, Any] = self._cluster.request("GET", self._path(number)).get("status", {})
        return found

    def shown(self) -> dict[str, tuple[str | None, str | None]]:
        """Health and time of the last poll that every Plant shows, by name."""
        items = self._cluster.request("GET", f"{API}/namespaces/{self._namespace}/plants")["items"]
        statuses = {item["metadata"]["name"]: item.get("status", {}) for item in items}
        return {name: (status.get("health"), status.get("lastPollTime")) for name, status in statuses.items()}

    def uid(self, number: int = 1) -> str:
        return str(self._cluster.request("GET", self._path(number))["metadata"]["uid"])

    @staticmethod
    def name(number: int) -> str:
        return f"roof-{number}"

    def plant_id(self, number: int = 1) -> UUID:
        return plant_id_for(self._namespace, Brand.SOLIS, str(FIRST_VENDOR_ID + number))

    def _path(self, number: int) -> str:
        return f"{API}/namespaces/{self._namespace}/plants/{self.name(number)}"

    @contextmanager
    def watched(self) -> Iterator["Seen"]:
        """Everything that the API server tells about Plants meanwhile, by a watch of our own."""
        file = self._folder / "watched.json"
        command = [
            str(kubectl()),
            f"--kubeconfig={self._cluster.kubeconfig}",
            "get",
            "plants",
            f"--namespace={self._namespace}",
            "--watch",
            "--output-watch-events",
            "--output=json",
        ]
        with file.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL) as process:
            try:
                # It first lists what is there: from then on nothing is missed.
                wait_until(lambda: file.stat().st_size > 0, 20, "the watch to begin")
                yield Seen(file)
            finally:
                process.kill()


class Seen:
    """The statuses that a watch has seen, in order."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def statuses(self) -> list[tuple[str, str, dict[str, Any]]]:
        """uid, name and status of each event so far that has a status."""
        text, decoder, position, found = self._file.read_text(), json.JSONDecoder(), 0, []
        while (position := _skip_blank(text, position)) < len(text):
            try:
                event, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError:
                break  # the last one is still being written
            item = event["object"]
            if event["type"] != "DELETED" and item.get("status"):
                found.append((item["metadata"]["uid"], item["metadata"]["name"], item["status"]))
        return found

    def violations(self) -> list[Violation]:
        """[MIRROR] Within one object, neither the last poll nor the beginning of the state ever goes back."""
        latest: dict[tuple[str, str], datetime] = {}
        found = []
        for uid, name, status in self.statuses():
            for field in ("lastPollTime", "since"):
                before, text = latest.get((uid, field)), status.get(field)
                now = None if text is None else datetime.fromisoformat(text)
                if before is not None and (now is None or now < before):
                    found.append(Violation(Kind.STATUS_WENT_BACK, f"{name}: {field} from {before} to {now}, health {status.get('health')}"))
                if now is not None:
                    latest[uid, field] = now
        return found


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
