"""A Plant as Kubernetes hands it over, turned into values, and what the API server could not see wrong in it.

`PlantResource.parse` is called by the handlers with the object of a watch event and by resync with those of a list. What CEL
guarantees (manifests/crd) is relied on, annotations are not: anybody may write anything there.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from controller.domain.duration import InvalidDuration, parse_duration
from controller.domain.plant import Declaration, HistoryPolicy, StatusPolicy, plant_id_for
from integrations.contract import Brand

ANNOTATION_PREFIX = "monitor.solarinvest.info/"
MOCK_SCENARIO = ANNOTATION_PREFIX + "mock-scenario"
POLL_REQUESTED_AT = ANNOTATION_PREFIX + "poll-requested-at"
ACK = ANNOTATION_PREFIX + "ack"
SILENCE_UNTIL = ANNOTATION_PREFIX + "silence-until"

DEFAULT_SCENARIO = "healthy"
POLL_REQUEST_MAX = 256
"""Characters of a poll request: the maxLength of `status.lastHandledPollRequest`, which echoes it."""
ACK_MAX = 500
"""Alert ids one annotation may name: as many active alarms as are kept of a plant (DOMAIN 6)."""
MANAGER_MAX = 256
"""Characters of a field manager's name that are kept; Kubernetes allows 128."""
MIN_POLL_INTERVAL = timedelta(minutes=1)
MAX_POLL_INTERVAL = timedelta(hours=24)

_SCENARIO = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN_MAX = 60
_NOT_A_PLACE = frozenset({"localtime", "Factory"})
"""Files of the system's zone folder that say how this machine is set, not where a plant stands."""


class ResourceUnreadable(Exception):
    """The object is no Plant of this version: its definition in the cluster is older or newer than this operator."""


class RefusalReason(StrEnum):
    """Why a Plant that the API server took is not monitored: the reasons of `Accepted=False` (docs/plant.md)."""

    INVALID_TIMEZONE = "InvalidTimezone"
    INVALID_POLL_INTERVAL = "InvalidPollInterval"
    DUPLICATE_VENDOR_PLANT = "DuplicateVendorPlant"


class Refusal(msgspec.Struct, frozen=True):
    """A Plant that is not monitored, with a sentence that says what to do."""

    reason: RefusalReason
    message: str

    @classmethod
    def duplicate(cls, brand: Brand, vendor_plant_id: str, holder: str) -> "Refusal":
        """Another live Plant of the namespace, `holder`, has the vendor identity already (DOMAIN 1)."""
        message = f"Plant {holder} already monitors {brand} plant {vendor_plant_id}; delete one of the two"
        return cls(RefusalReason.DUPLICATE_VENDOR_PLANT, message)


class Location(msgspec.Struct, frozen=True):
    """Decimal degrees; south and west are negative."""

    latitude: float
    longitude: float


class PlantSpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`spec`, with the defaults of the CRD (an object stored before a default existed does not have it)."""

    brand: Brand
    vendor_plant_id: str | None = None
    display_name: str | None = None
    owner_customer_id: str | None = None
    timezone: str = "America/Sao_Paulo"
    location: Location | None = None
    capacity_kwp: float | None = msgspec.field(name="capacityKWp", default=None)
    poll_interval: str = "10m"
    suspend: bool = False
    status_policy: StatusPolicy = StatusPolicy.STRICT
    history_policy: HistoryPolicy = HistoryPolicy.RETAIN


class IgnoredAnnotation(msgspec.Struct, frozen=True):
    """An annotation of ours whose value means nothing. It counts as absent and is shown in condition Accepted."""

    annotation: str
    problem: str

    def __str__(self) -> str:
        return f"{self.annotation.removeprefix(ANNOTATION_PREFIX)}: {self.problem}"


class PlantResource(msgspec.Struct, frozen=True, kw_only=True):
    """One Plant object. `status` is as it stands in Kubernetes, unchecked: the mirror compares with it."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    generation: int
    created_at: datetime
    deleted_at: datetime | None = None
    spec: PlantSpec
    scenario: str = DEFAULT_SCENARIO
    poll_requested: str | None = None
    acked: tuple[UUID, ...] = ()
    acked_by: str | None = None
    """Who wrote them last, as managedFields say."""
    silence_until: datetime | None = None
    ignored: tuple[IgnoredAnnotation, ...] = ()
    status: Mapping[str, Any] = {}

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "PlantResource":
        """Reads the raw object of an event or a list.

        Raises `ResourceUnreadable` where metadata or spec are not what the CRD guarantees; never because of annotations.
        """
        try:
            metadata = msgspec.convert(body.get("metadata"), _Metadata)
            spec = msgspec.convert(body.get("spec"), PlantSpec)
        except msgspec.ValidationError as error:
            raise ResourceUnreadable(str(error)) from error
        annotations = _Annotations(metadata.annotations)
        status = body.get("status")
        return cls(
            namespace=metadata.namespace,
            name=metadata.name,
            uid=str(metadata.uid),
            resource_version=int(metadata.resource_version),
            generation=metadata.generation,
            created_at=metadata.creation_timestamp.astimezone(UTC),
            deleted_at=metadata.deletion_timestamp and metadata.deletion_timestamp.astimezone(UTC),
            spec=spec,
            scenario=annotations.read(MOCK_SCENARIO, _scenario) or DEFAULT_SCENARIO,
            poll_requested=annotations.read(POLL_REQUESTED_AT, _poll_request),
            acked=annotations.read(ACK, _alert_ids) or (),
            acked_by=_manager_of(metadata.managed_fields, ACK),
            silence_until=annotations.read(SILENCE_UNTIL, _instant),
            ignored=tuple(annotations.ignored),
            status=status if isinstance(status, Mapping) else {},
        )

    @property
    def plant_id(self) -> UUID:
        """The plant's id by its vendor identity, else the resource's own uid (DOMAIN 1)."""
        if self.spec.vendor_plant_id is None:
            return UUID(self.uid)
        return plant_id_for(self.namespace, self.spec.brand, self.spec.vendor_plant_id)

    @property
    def poll_interval_s(self) -> int:
        """The declared interval in whole seconds, rounded up. Raises `InvalidDuration`; a Plant without `refusal` has none."""
        return math.ceil(parse_duration(self.spec.poll_interval).total_seconds())

    def declaration(self, recommended_min_interval_s: int) -> Declaration:
        """The desired row of a Plant that is not refused. The interval is at least what the adapter recommends (DOMAIN 2)."""
        spec, location = self.spec, self.spec.location
        return Declaration(
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            generation=self.generation,
            brand=spec.brand,
            vendor_plant_id=spec.vendor_plant_id,
            display_name=_without_control(spec.display_name),
            owner_customer_id=_without_control(spec.owner_customer_id),
            timezone=spec.timezone,
            latitude=None if location is None else location.latitude,
            longitude=None if location is None else location.longitude,
            capacity_kwp=spec.capacity_kwp,
            poll_interval_s=max(self.poll_interval_s, recommended_min_interval_s),
            suspend=spec.suspend,
            status_policy=spec.status_policy,
            history_policy=spec.history_policy,
            scenario=self.scenario,
            poll_requested=self.poll_requested,
            acked=self.acked,
            acked_by=self.acked_by if self.acked else None,
            silence_until=self.silence_until,
        )


def refusal(resource: PlantResource) -> Refusal | None:
    """What is wrong with the Plant in itself that CEL cannot see. Duplicates are found by the store (`Refusal.duplicate`)."""
    spec = resource.spec
    if spec.timezone not in _timezones():
        message = f"spec.timezone {_shown(spec.timezone)} is no time zone of the IANA database{_similar_zone(spec.timezone)}"
        return Refusal(RefusalReason.INVALID_TIMEZONE, message)
    try:
        interval = parse_duration(spec.poll_interval)
    except InvalidDuration as error:
        return Refusal(RefusalReason.INVALID_POLL_INTERVAL, f"spec.pollInterval {error}")
    if not MIN_POLL_INTERVAL <= interval <= MAX_POLL_INTERVAL:
        return Refusal(RefusalReason.INVALID_POLL_INTERVAL, f"spec.pollInterval {_shown(spec.poll_interval)} is not within 1m and 24h")
    return None


class _Metadata(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    namespace: str
    name: str
    uid: UUID
    resource_version: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]
    generation: int = 0
    creation_timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    deletion_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    annotations: Any = None
    managed_fields: Any = None


Complain = Callable[[str], None]
T = TypeVar("T")


class _Annotations:
    """Reads annotations of ours one by one and collects those that mean nothing."""

    def __init__(self, values: object) -> None:
        self._values = values if isinstance(values, Mapping) else {}
        self.ignored: list[IgnoredAnnotation] = []

    def read(self, key: str, parse: Callable[[str, Complain], T | None]) -> T | None:
        text = self._values.get(key)
        if text is None:
            return None

        def complain(problem: str) -> None:
            self.ignored.append(IgnoredAnnotation(key, problem))

        if not isinstance(text, str):
            complain("is no text")
            return None
        return parse(text, complain)


def _manager_of(managed_fields: object, annotation: str) -> str | None:
    """The field manager that owns the annotation, the newest of several. None where managedFields do not tell: it is a hint only."""
    owners = [
        (str(entry.get("time", "")), entry["manager"])
        for entry in (managed_fields if isinstance(managed_fields, list) else [])
        if isinstance(entry, Mapping) and isinstance(entry.get("manager"), str) and _owns(entry, annotation)
    ]
    # Instants of the API server are in UTC and of one format: their order is that of their letters.
    return _without_control(max(owners)[1][:MANAGER_MAX]) if owners else None


def _owns(entry: Mapping[str, Any], annotation: str) -> bool:
    fields: object = entry
    for key in ("fieldsV1", "f:metadata", "f:annotations", f"f:{annotation}"):
        if not isinstance(fields, Mapping) or key not in fields:
            return False
        fields = fields[key]
    return True


def _scenario(text: str, complain: Complain) -> str | None:
    # A scenario names a file: no slash and no dot may pass.
    if _SCENARIO.fullmatch(text):
        return text
    complain(f"{_shown(text)} is no scenario name (lower-case letters, digits and hyphens)")
    return None


def _poll_request(text: str, complain: Complain) -> str | None:
    """The token as it is: the echo must equal it."""
    if text and len(text) <= POLL_REQUEST_MAX and not _CONTROL.search(text):
        return text
    complain(f"must be 1 to {POLL_REQUEST_MAX} characters without control characters")
    return None


def _alert_ids(text: str, complain: Complain) -> tuple[UUID, ...] | None:
    """The ids in their order, each once. What is no id is left out; ids past the bound are."""
    names = [name for name in (part.strip() for part in text.split(",", ACK_MAX)[:ACK_MAX]) if name]
    ids = {name: _uuid(name) for name in names}
    strange = [name for name, alert_id in ids.items() if alert_id is None]
    if strange:
        complain(f"{_shown(strange[0])} is no alert id" + (f", nor are {len(strange) - 1} others" if len(strange) > 1 else ""))
    if text.count(",") >= ACK_MAX:
        complain(f"names more than {ACK_MAX} alerts; the rest is not read")
    return tuple(dict.fromkeys(alert_id for alert_id in ids.values() if alert_id is not None))


def _instant(text: str, complain: Complain) -> datetime | None:
    try:
        at: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        # OverflowError: in UTC it falls outside the years 1 to 9999.
        complain(f"{_shown(text)} is no instant as in RFC 3339, such as 2026-01-31T18:00:00Z")
        return None


def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None


def _shown(text: str) -> str:
    """Foreign text in a message: quoted, one line, bounded."""
    short = _CONTROL.sub("?", text[: _SHOWN_MAX + 1])
    return f'"{short[:_SHOWN_MAX]}…"' if len(short) > _SHOWN_MAX else f'"{short}"'


def _without_control(text: str | None) -> str | None:
    return text and _CONTROL.sub("", text)


@cache
def _timezones() -> frozenset[str]:
    """The zones of the system and of the tzdata package. `ZoneInfo` itself fails in four ways on a bad name, so it is not asked."""
    return frozenset(available_timezones()) - _NOT_A_PLACE


def _similar_zone(name: str) -> str:
    by_lower = {zone.lower(): zone for zone in _timezones()}
    similar = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.75)
    return f"; did you mean {by_lower[similar[0]]}?" if similar else "; they are named like America/Sao_Paulo"
