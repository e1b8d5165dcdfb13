"""The fleet as a table: rows sorted by trouble, their counts, and the follower that keeps them current for `top --watch`.

`FleetRow`, `by_trouble` and `counts_of` are pure; `Follower` is a thread over list and watch that outlives the API server's absences.
"""

import heapq
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from controller.domain.plant import Status
from controller.kubectl_plugin.plants import PlantRow, Plants
from controller.kubectl_plugin.text import instant
from controller.kubectl_plugin.troubles import Expired, Trouble, Unreachable

TROUBLE = {Status.RED.value: 0, Status.YELLOW.value: 1, Status.GREY.value: 2, Status.GREEN.value: 4}
"""Worst first. Between GREY and GREEN stands a plant without a status: nobody knows how it is, which is no good news."""
_NO_STATUS = 3
_NEVER = datetime.max.replace(tzinfo=UTC)
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 5.0
BETWEEN_WATCHES_S = 0.2
"""A proxy that ends every watch at once shall not have us ask without a breath."""

Key = tuple[str, str]


class FleetRow(msgspec.Struct, frozen=True):
    """One line of the table. Power in W, energy in kWh."""

    namespace: str
    name: str
    brand: str
    status: str | None
    reason: str | None
    since: datetime | None
    seen: datetime | None
    power_w: float | None
    today_kwh: float | None
    shown_power: str | None
    shown_today: str | None
    alerts: int
    critical: int
    high: int
    acked: int

    @classmethod
    def of(cls, plant: PlantRow) -> "FleetRow":
        status = plant.status
        return cls(
            namespace=plant.metadata.namespace,
            name=plant.metadata.name,
            brand=plant.spec.brand,
            status=status.health,
            reason=status.reason,
            since=instant(status.since),
            seen=instant(status.last_seen_time),
            power_w=status.current_power_w,
            today_kwh=status.today.energy_kwh if status.today else None,
            shown_power=status.display.power,
            shown_today=status.display.today,
            alerts=status.open_alerts.total,
            critical=status.open_alerts.critical,
            high=status.open_alerts.high,
            acked=status.open_alerts.acked,
        )

    @property
    def key(self) -> Key:
        return (self.namespace, self.name)


def by_trouble(row: FleetRow) -> tuple[int, datetime, str, str]:
    """Sort key: RED, YELLOW, GREY, no status, GREEN; within each whoever has been so for longest; then by name."""
    return (TROUBLE.get(row.status or "", _NO_STATUS), row.since or _NEVER, row.namespace, row.name)


def counts_of(rows: Iterable[FleetRow]) -> dict[str | None, int]:
    """Plants by status, None for those without."""
    return dict(Counter(row.status for row in rows))


class View(msgspec.Struct, frozen=True):
    """The fleet at one instant: the worst rows, counts of all, and what is wrong with the view itself."""

    rows: list[FleetRow]
    counts: Mapping[str | None, int]
    as_of: datetime | None
    """When the API server was last heard. None: never yet."""
    trouble: Trouble | None
    """Why it is not heard now."""
    been_away: bool = False
    """Whether it has been unreachable before. As it comes back it may refuse for a while what it will allow."""


class Follower:
    """Keeps the rows of a fleet current: one list, then watches. A thread; `stop` ends it within the silence bound of a watch.

    While the API server is away, the rows stay as they were, `view` says so, and it is asked again after 1, 2, 4, 5, 5 ... s.
    Memory is one `FleetRow` a plant.
    """

    def __init__(self, plants: Plants, namespace: str | None, selector: str | None) -> None:
        self._plants, self._namespace, self._selector = plants, namespace, selector
        self._lock = threading.Lock()
        self._rows: dict[Key, FleetRow] = {}
        self._as_of: datetime | None = None
        self._trouble: Trouble | None = None
        self._been_away = False
        self._stopping = threading.Event()
        self.changed = threading.Event()
        """Set when there is something new to show; whoever shows it clears it."""
        self._thread = threading.Thread(target=self._follow, name="fleet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It is a daemon: a watch that waits for the API server holds nobody back."""
        self._stopping.set()

    def view(self, rows: int) -> View:
        """The worst `rows` plants and the counts of all."""
        with self._lock:
            every, as_of, trouble, been_away = [*self._rows.values()], self._as_of, self._trouble, self._been_away
        return View(heapq.nsmallest(rows, every, key=by_trouble), counts_of(every), as_of, trouble, been_away)

    def _follow(self) -> None:
        wait_s = RETRY_FIRST_S
        version: str | None = None
        while not self._stopping.is_set():
            try:
                version = self._listed() if version is None else self._watched(version)
                wait_s = RETRY_FIRST_S
            except Expired:
                version = None
            except Trouble as trouble:
                # What came before it broke is kept; what came meanwhile is in the next list.
                version = None
                self._note(trouble)
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, RETRY_MAX_S)

    def _listed(self) -> str:
        rows: dict[Key, FleetRow] = {}
        version = ""
        for page in self._plants.pages(self._namespace, self._selector):
            rows.update((row.key, row) for row in map(FleetRow.of, page.items))
            version = page.resource_version
        with self._lock:
            self._rows = rows
        self._note(None)
        return version

    def _watched(self, version: str) -> str:
        for change in self._plants.changes(self._namespace, self._selector, version):
            version = change.resource_version or version
            if change.row is not None:
                row = FleetRow.of(change.row)
                with self._lock:
                    if change.deleted:
                        self._rows.pop(row.key, None)
                    else:
                        self._rows[row.key] = row
            self._note(None)
            if self._stopping.is_set():
                break
        self._note(None)
        self._stopping.wait(BETWEEN_WATCHES_S)
        return version

    def _note(self, trouble: Trouble | None) -> None:
        with self._lock:
            self._trouble = trouble
            self._been_away |= isinstance(trouble, Unreachable)
            if trouble is None:
                self._as_of = datetime.now(UTC)
        self.changed.set()


def hopeless(view: View) -> Trouble | None:
    """Trouble that waiting does not mend: missing rights, or no Plants in this cluster, as the first thing that the API server says."""
    return None if view.been_away or view.as_of is not None else view.trouble
