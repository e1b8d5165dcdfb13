"""What the commands ask of the API server about Plants, and a Plant as it is read: no more of it than is shown.

Called by show, poll_request and edit (one plant, several, edits) and by fleet (lists and watches).
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from controller.kubectl_plugin.connect import Call, Cluster
from controller.kubectl_plugin.troubles import Expired, Forbidden, NotFound, Unreachable

PAGE = 500
"""Plants a list brings at once: about 1.5 MB, whatever the fleet's size."""
LIST_TRIES = 3
EDIT_TRIES = 20
"""Another edit of the same plant, or its new status, may come between reading and writing; twenty times in a row they do not."""
EVENTS_READ = 500
WATCH_S, WATCH_SILENT_S = 25, 30
"""The API server ends a watch after the first; if it has not after the second, it is frozen or cut off."""
FIELD_MANAGER = "kubectl-solar"
_MANAGER_MAX = 128


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields as in the resource. What a hand has written into a status may be anything: what decides nothing is left unchecked."""


class Identity(_Part, frozen=True):
    name: str
    namespace: str = ""
    resource_version: str = ""


class Metadata(Identity, frozen=True):
    uid: str = ""
    generation: int = 0
    annotations: Mapping[str, str] | None = None


class Spec(_Part, frozen=True):
    brand: str = ""
    vendor_plant_id: str | None = None
    display_name: str | None = None
    suspend: bool = False


class OpenAlerts(_Part, frozen=True):
    total: int = 0
    critical: int = 0
    high: int = 0
    acked: int = 0


class Display(_Part, frozen=True):
    power: str | None = None
    today: str | None = None


class Today(_Part, frozen=True):
    date: str | None = None
    energy_kwh: float | None = msgspec.field(name="energyKWh", default=None)


class Alert(_Part, frozen=True):
    id: str
    type: str
    severity: str
    state: str
    vendor_alarm_code: str | None = None
    device_sn: str | None = None
    since: str | None = None
    message: str | None = None


class Condition(_Part, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class Standing(_Part, frozen=True):
    """What a row of the fleet shows of a status."""

    health: str | None = None
    reason: str | None = None
    since: str | None = None
    last_seen_time: str | None = None
    current_power_w: float | None = msgspec.field(name="currentPowerW", default=None)
    today: Today | None = None
    display: Display = Display()
    open_alerts: OpenAlerts = OpenAlerts()


class Status(Standing, frozen=True):
    observed_generation: int = 0
    last_poll_time: str | None = None
    last_success_time: str | None = None
    next_poll_time: str | None = None
    consecutive_failures: int = 0
    last_handled_poll_request: str | None = None
    alerts: list[Alert] = []
    explain: list[str] = []
    conditions: list[Condition] = []

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


class PlantRow(msgspec.Struct, frozen=True):
    """A Plant of a list: what the fleet's table needs, and nothing that makes a hundred thousand of them heavy."""

    metadata: Identity
    spec: Spec = Spec()
    status: Standing = Standing()


class Plant(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: Spec = Spec()
    status: Status = Status()


class _ListMeta(_Part, frozen=True):
    resource_version: str = ""
    continue_: str | None = msgspec.field(name="continue", default=None)


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[PlantRow]


class Page(msgspec.Struct, frozen=True):
    items: list[PlantRow]
    resource_version: str


class Change(msgspec.Struct, frozen=True):
    """One event of a watch. `row` is None where only the version moved."""

    deleted: bool
    row: PlantRow | None
    resource_version: str


class _RawChange(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Marked(msgspec.Struct, frozen=True):
    """The object of a bookmark, and of an error."""

    metadata: _ListMeta = _ListMeta()
    code: int = 0
    message: str = ""


class Event(_Part, frozen=True):
    """A Kubernetes event about a plant."""

    type: str = "Normal"
    reason: str = ""
    message: str | None = None
    count: int | None = None
    event_time: str | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None

    @property
    def at(self) -> str:
        """When it was last seen, RFC 3339; empty where it says nothing."""
        return self.last_timestamp or self.event_time or self.first_timestamp or ""


class _Events(msgspec.Struct, frozen=True):
    items: list[Event]


class _Reviewed(msgspec.Struct, frozen=True):
    status: Mapping[str, Any]


T = TypeVar("T")


class Plants:
    """Plants at one API server, with the rights of the user. Every method raises `Trouble`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def get(self, namespace: str, name: str) -> Plant:
        return _decoded(self._cluster.ask(Call(verb="get", namespace=namespace, name=name)), Plant)

    def pages(self, namespace: str | None, selector: str | None) -> Iterator[Page]:
        """One consistent list in pages of 500. Raises `Expired` where reading it took longer than the API server keeps it."""
        token: str | None = None
        while True:
            query: dict[str, str | int] = {"limit": PAGE}
            if selector:
                query["labelSelector"] = selector
            if token:
                query["continue"] = token
            page = _decoded(self._cluster.ask(Call(verb="list", namespace=namespace, query=query)), _Page)
            yield Page(page.items, page.metadata.resource_version)
            token = page.metadata.continue_
            if not token:
                return

    def read_all(self, namespace: str | None, selector: str | None) -> Page:
        """All of them, begun anew where a list has expired while it was read."""
        for _ in range(LIST_TRIES):
            try:
                pages = [*self.pages(namespace, selector)]
            except Expired:
                continue
            return Page([row for page in pages for row in page.items], pages[-1].resource_version)
        raise Unreachable(f"the list of plants expired {LIST_TRIES} times while it was read")

    def changes(self, namespace: str | None, selector: str | None, since: str) -> Iterator[Change]:
        """What changes after the version `since`, for up to 25 s. Raises `Expired` where that version is too old."""
        query: dict[str, str | int] = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": WATCH_S, "resourceVersion": since}
        if selector:
            query["labelSelector"] = selector
        for line in self._cluster.lines(Call(verb="watch", namespace=namespace, query=query), WATCH_SILENT_S):
            if line.strip():
                yield _change(line)

    def annotate(self, plant: Metadata, annotations: Mapping[str, str | None], manager: str = FIELD_MANAGER) -> None:
        """Writes annotations (None takes one away) of the object as it was read: raises `Conflict` if it is another by now."""
        version = {"uid": plant.uid, "resourceVersion": plant.resource_version}
        self._patch(plant.namespace, plant.name, {"metadata": {**version, "annotations": annotations}}, manager)

    def patch(self, namespace: str, name: str, body: Mapping[str, Any]) -> Plant:
        """Merges `body` into the object, whatever else has changed, and returns it as it stands then."""
        return self._patch(namespace, name, body, FIELD_MANAGER)

    def events(self, plant: Metadata) -> list[Event]:
        """Events about this very object, newest first."""
        chosen = f"involvedObject.kind=Plant,involvedObject.name={plant.name},involvedObject.uid={plant.uid}"
        query: dict[str, str | int] = {"fieldSelector": chosen, "limit": EVENTS_READ}
        body = self._cluster.ask(Call(verb="list", resource="events", api="/api/v1", namespace=plant.namespace, query=query))
        return sorted(_decoded(body, _Events).items, key=lambda event: event.at, reverse=True)

    def manager(self) -> str:
        """The field manager for edits that tell who made them: this program and the user, as the API server knows them."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            body = self._cluster.ask(Call(verb="create", resource="selfsubjectreviews", api="/apis/authentication.k8s.io/v1", body=review))
        except (Forbidden, NotFound):
            # A hint and no proof (docs/plant.md): where a cluster does not tell, it is left out.
            return FIELD_MANAGER
        user = str(_decoded(body, _Reviewed).status.get("userInfo", {}).get("username", ""))
        shown = "".join(char for char in user if char.isprintable())
        return f"{FIELD_MANAGER}:{shown}"[:_MANAGER_MAX] if shown else FIELD_MANAGER

    def _patch(self, namespace: str, name: str, body: Mapping[str, Any], manager: str) -> Plant:
        call = Call(verb="patch", namespace=namespace, name=name, query={"fieldManager": manager}, body=body)
        return _decoded(self._cluster.ask(call), Plant)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreachable(f"the API server answered with something else than was asked for: {error}") from None


def _change(line: bytes) -> Change:
    raw = _decoded(line, _RawChange)
    if raw.type in {"ADDED", "MODIFIED", "DELETED"}:
        row = _decoded(bytes(raw.object), PlantRow)
        return Change(raw.type == "DELETED", row, row.metadata.resource_version)
    marked = _decoded(bytes(raw.object), _Marked)
    if raw.type == "BOOKMARK":
        return Change(False, None, marked.metadata.resource_version)
    raise Expired(f"watch plants: {marked.message}") if marked.code == 410 else Unreachable(f"watch plants: {marked.message}")
