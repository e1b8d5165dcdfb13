"""The six conditions of a Plant (docs/plant.md): what each says, its closed list of reasons, and how it follows from the row.

Called by `controller.operator.status_document`. Pure: the same row, object and `now` give the same conditions, and a condition's
lastTransitionTime moves only when its status does, so that a status which says nothing new is not written again.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from struct import Struct
from typing import Any

import msgspec

from controller.domain.duration import InvalidDuration, format_duration
from controller.domain.plant import Integration, LiveState, PlantContext, PollError, Reason, Status, StatusPolicy
from controller.domain.status import fresh_until
from controller.domain.sun import is_sun_up
from controller.operator.instants import instant, rfc3339
from controller.operator.resource import PlantResource, Refusal, RefusalReason

MESSAGE_MAX = 1024
"""maxLength of a condition's message in the CRD. A longer one would make the API server refuse the whole status."""


class ConditionType(StrEnum):
    ACCEPTED = "Accepted"
    POLLED = "Polled"
    DATA_FRESH = "DataFresh"
    PRODUCING = "Producing"
    HEALTHY = "Healthy"
    READY = "Ready"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionReason(StrEnum):
    """Every reason a condition can have, each explained in docs/plant.md (a test compares). Healthy has those of `status.reason`, too."""

    ACCEPTED = "Accepted"
    INTERVAL_RAISED = "IntervalRaised"
    DAYLIGHT_NEEDS_LOCATION = "DaylightNeedsLocation"
    ANNOTATION_IGNORED = "AnnotationIgnored"
    INVALID_TIMEZONE = RefusalReason.INVALID_TIMEZONE.value
    INVALID_POLL_INTERVAL = RefusalReason.INVALID_POLL_INTERVAL.value
    DUPLICATE_VENDOR_PLANT = RefusalReason.DUPLICATE_VENDOR_PLANT.value
    REFUSED = "Refused"

    PENDING_DOCS = "PendingDocs"
    SUSPENDED = "Suspended"
    PAUSED_AUTH_ERROR = "PausedAuthError"

    AWAITING_FIRST_POLL = "AwaitingFirstPoll"
    POLL_SUCCEEDED = "PollSucceeded"
    VALUES_REFUSED = "ValuesRefused"
    AUTH_FAILED = "AuthFailed"
    RATE_LIMIT_EXCEEDED = "RateLimitExceeded"
    NETWORK_TIMEOUT = "NetworkTimeout"
    INVALID_DATA_FORMAT = "InvalidDataFormat"
    PLANT_NOT_FOUND = "PlantNotFound"
    VENDOR_ERROR = "VendorError"
    UNKNOWN_ERROR = "UnknownError"

    SEEN_RECENTLY = "SeenRecently"
    NOT_SEEN_RECENTLY = "NotSeenRecently"
    NEVER_SEEN = "NeverSeen"

    POWER_ABOVE_ZERO = "PowerAboveZero"
    NO_POWER = "NoPower"
    NIGHT = "Night"
    POWER_UNKNOWN = "PowerUnknown"
    SUN_UNKNOWN = "SunUnknown"
    DATA_STALE = "DataStale"

    MONITORED = "Monitored"


class Verdict(msgspec.Struct, frozen=True):
    """What a condition says, without when and of what it says it."""

    status: ConditionStatus
    reason: str
    message: str


_ANNOTATION = "Annotation "
_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

_POLL_ERROR = {
    PollError.AUTH_FAILED: (ConditionReason.AUTH_FAILED, "The vendor refused our credentials"),
    PollError.RATE_LIMIT_EXCEEDED: (ConditionReason.RATE_LIMIT_EXCEEDED, "The vendor asks for fewer requests"),
    PollError.NETWORK_TIMEOUT: (ConditionReason.NETWORK_TIMEOUT, "The vendor did not answer in time"),
    PollError.INVALID_DATA_FORMAT: (ConditionReason.INVALID_DATA_FORMAT, "The vendor's answer could not be read"),
    PollError.PLANT_NOT_FOUND: (ConditionReason.PLANT_NOT_FOUND, "The vendor knows no plant of this vendorPlantId"),
    PollError.VENDOR_ERROR: (ConditionReason.VENDOR_ERROR, "The vendor reported an error of its own"),
    PollError.UNKNOWN_ERROR: (ConditionReason.UNKNOWN_ERROR, "The poll failed for a reason of no known kind"),
}

_NOT_POLLED = {
    Integration.PENDING_DOCS: Verdict(_UNKNOWN, ConditionReason.PENDING_DOCS, "Not monitored: spec.vendorPlantId is not set yet"),
    Integration.DISABLED_BY_OPERATOR: Verdict(_UNKNOWN, ConditionReason.SUSPENDED, "Not monitored: spec.suspend is true"),
    Integration.PAUSED_AUTH_ERROR: Verdict(
        _UNKNOWN,
        ConditionReason.PAUSED_AUTH_ERROR,
        "Not polled: the vendor refused our credentials; change the spec or request a poll to try again",
    ),
}


class Standing(msgspec.Struct, frozen=True, gc=False):
    """An object as a patch of ours has left it, as far as new conditions depend on it.

    Kept for every plant of a fleet (`Standings`), so it is small.
    """

    resource_version: int
    accepted: Verdict
    times: bytes
    """Of the six in the order of `ConditionType`, lastTransitionTime in seconds since 1970, and in the lowest two bits its status."""

    @classmethod
    def of(cls, resource_version: int, status: Mapping[str, Any]) -> "Standing | None":
        """The object that has this resourceVersion by our writing of `status`. None where an instant is spelled as none of ours is."""
        conditions = status["conditions"]
        instants = [instant(condition["lastTransitionTime"]) for condition in conditions]
        times = [
            int(at.timestamp()) << 2 | _STATUSES.index(condition["status"])
            for at, condition in zip(instants, conditions, strict=True)
            if at is not None
        ]
        if len(times) < len(ConditionType):
            return None
        accepted = conditions[0]
        verdict = _shared_verdict(accepted["status"], accepted["reason"], accepted["message"])
        return cls(resource_version, verdict, _TIMES.pack(*times))

    @property
    def since(self) -> dict[tuple[str, str], str]:
        """lastTransitionTime by type and status."""
        return {
            (kind.value, _STATUSES[time & 3].value): rfc3339(datetime.fromtimestamp(time >> 2, UTC))
            for kind, time in zip(ConditionType, _TIMES.unpack(self.times), strict=True)
        }


_STATUSES = tuple(ConditionStatus)
_TIMES = Struct(f"{len(ConditionType)}q")


@lru_cache(maxsize=1024)
def _shared_verdict(status: str, reason: str, message: str) -> Verdict:
    """One object for the many plants of which the same is said."""
    return Verdict(ConditionStatus(status), reason, message)


def accepted_conditions(plant: PlantContext, resource: PlantResource, now: datetime) -> list[dict[str, Any]]:
    """The conditions of a plant that has a row. `resource` is the object as it stands in Kubernetes, with its present conditions."""
    return _conditions(plant, _accepted(plant, resource), _transition_times(resource.status), now)


def renewed_conditions(plant: PlantContext, standing: Standing, now: datetime) -> list[dict[str, Any]]:
    """As `accepted_conditions`, for an object that is as our last patch of it left it: with the present conditions of `standing`."""
    return _conditions(plant, standing.accepted, standing.since, now)


def _conditions(plant: PlantContext, accepted: Verdict, since: Mapping[tuple[str, str], str], now: datetime) -> list[dict[str, Any]]:
    verdicts = {
        ConditionType.ACCEPTED: accepted,
        ConditionType.POLLED: _polled(plant.live),
        ConditionType.DATA_FRESH: _data_fresh(plant, now),
        ConditionType.PRODUCING: _producing(plant, now),
        ConditionType.HEALTHY: _healthy(plant.live),
        ConditionType.READY: _ready(plant),
    }
    return _dated(verdicts, plant.declaration.generation, since, now)


def refused_conditions(refusal: Refusal, resource: PlantResource, now: datetime) -> list[dict[str, Any]]:
    """The conditions of a Plant that is not monitored because of `refusal`."""
    no = Verdict(_FALSE, refusal.reason.value, refusal.message)
    nothing_known = Verdict(_UNKNOWN, ConditionReason.REFUSED, "Not monitored: condition Accepted says why")
    verdicts = dict.fromkeys(ConditionType, nothing_known) | {ConditionType.ACCEPTED: no, ConditionType.READY: no}
    return _dated(verdicts, resource.generation, _transition_times(resource.status), now)


def _accepted(plant: PlantContext, resource: PlantResource) -> Verdict:
    """True for every plant with a row; the first remark gives the reason, all of them the message."""
    remarks = list(_remarks(plant, resource))
    if not remarks:
        return Verdict(_TRUE, ConditionReason.ACCEPTED, "The declaration is complete and in force")
    return Verdict(_TRUE, remarks[0][0], "; ".join(sentence for _, sentence in remarks))


def _remarks(plant: PlantContext, resource: PlantResource) -> Iterable[tuple[ConditionReason, str]]:
    declaration = plant.declaration
    declared_s = _declared_interval_s(resource)
    if declared_s is not None and declaration.poll_interval_s > declared_s:
        raised = format_duration(declaration.poll_interval_s)
        sentence = f"Polled every {raised} instead of every {resource.spec.poll_interval}, as the vendor's cloud bears no more"
        yield ConditionReason.INTERVAL_RAISED, sentence
    if declaration.status_policy is StatusPolicy.DAYLIGHT and declaration.latitude is None:
        yield ConditionReason.DAYLIGHT_NEEDS_LOCATION, "statusPolicy Daylight acts as Strict, for spec.location is not set"
    for sentence in _ignored(resource):
        yield ConditionReason.ANNOTATION_IGNORED, sentence


def _ignored(resource: PlantResource) -> list[str]:
    return [f"{_ANNOTATION}{ignored}" for ignored in resource.ignored]


def tells_ignored(resource: PlantResource) -> bool:
    """Whether condition Accepted, as it stands in Kubernetes, names just the annotations that mean nothing now.

    They are no part of the declaration, so nothing else would show that one came or went before the next poll.
    """
    message = _accepted_message(resource.status)
    start = message.find(_ANNOTATION)
    shown = "" if start < 0 else message[start:]
    expected = "; ".join(_ignored(resource))
    return shown == expected or (len(message) == MESSAGE_MAX and bool(shown) and expected.startswith(shown))


def _accepted_message(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else []:
        if isinstance(condition, Mapping) and condition.get("type") == ConditionType.ACCEPTED:
            return str(condition.get("message", ""))
    return ""


def _declared_interval_s(resource: PlantResource) -> int | None:
    """None where the object has moved on to an interval that is refused while its row still stands."""
    try:
        return resource.poll_interval_s
    except InvalidDuration:
        return None


def _polled(live: LiveState) -> Verdict:
    """Whether the newest poll brought a reading. Ends of our own making (a lost worker, a lock) say nothing of it (DOMAIN 2)."""
    if live.integration is Integration.PAUSED_AUTH_ERROR:
        reason, sentence = _POLL_ERROR[PollError.AUTH_FAILED]
        return Verdict(_FALSE, reason, f"{sentence}; not polled until the spec changes or a poll is requested")
    if live.integration is not Integration.ACTIVE:
        return _NOT_POLLED[live.integration]
    if live.consecutive_failures:
        reason, sentence = _POLL_ERROR.get(live.last_error or PollError.UNKNOWN_ERROR, _POLL_ERROR[PollError.UNKNOWN_ERROR])
        return Verdict(_FALSE, reason, f"{sentence}; {live.consecutive_failures} in a row")
    if live.last_success_at is None:
        return Verdict(_UNKNOWN, ConditionReason.AWAITING_FIRST_POLL, "No poll has ended yet")
    if live.refused:
        refused = f"The newest answer was read; refused as implausible: {', '.join(live.refused)}"
        return Verdict(_TRUE, ConditionReason.VALUES_REFUSED, refused)
    return Verdict(_TRUE, ConditionReason.POLL_SUCCEEDED, "The newest poll brought a reading")


def _data_fresh(plant: PlantContext, now: datetime) -> Verdict:
    """Whether the plant has reported within the 2 h of its status policy (DOMAIN 5)."""
    live = plant.live
    if live.integration is not Integration.ACTIVE:
        return _NOT_POLLED[live.integration]
    if live.last_seen_at is None:
        # RED without a report is the end of the 24 h that a plant has to be seen for the first time (DOMAIN 5).
        status = _FALSE if live.reason is Reason.NEVER_SEEN else _UNKNOWN
        return Verdict(status, ConditionReason.NEVER_SEEN, "The vendor has named no report of this plant yet")
    if _is_fresh(plant, now):
        span = "2 h" if plant.declaration.daylight_site is None else "2 h of daylight"
        return Verdict(_TRUE, ConditionReason.SEEN_RECENTLY, f"The plant reported to its vendor within the last {span}")
    return Verdict(_FALSE, ConditionReason.NOT_SEEN_RECENTLY, f"The plant last reported to its vendor at {rfc3339(live.last_seen_at)}")


def _is_fresh(plant: PlantContext, now: datetime) -> bool:
    last_seen_at = plant.live.last_seen_at
    return last_seen_at is not None and now <= fresh_until(last_seen_at, plant.declaration.daylight_site)


def _producing(plant: PlantContext, now: datetime) -> Verdict:
    """Power above 0. At night there is none to be had, and neither is there a fault."""
    live, site = plant.live, plant.declaration.site
    if live.integration is not Integration.ACTIVE:
        return _NOT_POLLED[live.integration]
    if live.current_power_w is None:
        return Verdict(_UNKNOWN, ConditionReason.POWER_UNKNOWN, "The vendor has named no power")
    if not _is_fresh(plant, now):
        return Verdict(_UNKNOWN, ConditionReason.DATA_STALE, "The power that is known is not of the last 2 h")
    if live.current_power_w > 0:
        return Verdict(_TRUE, ConditionReason.POWER_ABOVE_ZERO, "The plant produces power")
    if site is None:
        return Verdict(_UNKNOWN, ConditionReason.SUN_UNKNOWN, "No power, and without spec.location it is not known whether the sun is up")
    # By the sun at the sample: 0 W of the night is still what is known a few minutes after sunrise.
    if is_sun_up(site, live.sampled_at or now):
        return Verdict(_FALSE, ConditionReason.NO_POWER, "The plant produces no power, although the sun was up when it was measured")
    return Verdict(_UNKNOWN, ConditionReason.NIGHT, "No power, and the sun was down when it was measured")


def _healthy(live: LiveState) -> Verdict:
    status = {Status.GREEN: _TRUE, Status.GREY: _UNKNOWN}.get(live.status, _FALSE)
    return Verdict(status, live.reason.value, live.explain[0] if live.explain else f"The status is {live.status}")


def _ready(plant: PlantContext) -> Verdict:
    """Whether the declaration works, not whether the sun shines (docs/plant.md): a dead inverter fails no deployment."""
    live = plant.live
    if live.integration is Integration.DISABLED_BY_OPERATOR:
        return Verdict(_TRUE, ConditionReason.SUSPENDED, "Suspended, as spec.suspend asks")
    if live.integration is not Integration.ACTIVE:
        return msgspec.structs.replace(_NOT_POLLED[live.integration], status=_FALSE)
    if live.polled_generation >= plant.declaration.generation:
        return Verdict(_TRUE, ConditionReason.MONITORED, "The plant is monitored as declared")
    return Verdict(_UNKNOWN, ConditionReason.AWAITING_FIRST_POLL, "The declaration in force has not been polled yet")


def _dated(
    verdicts: Mapping[ConditionType, Verdict], generation: int, since: Mapping[tuple[str, str], str], now: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "type": kind.value,
            "status": verdict.status.value,
            "observedGeneration": generation,
            "lastTransitionTime": since.get((kind.value, verdict.status.value), rfc3339(now)),
            "reason": str(verdict.reason),
            "message": verdict.message[:MESSAGE_MAX],
        }
        for kind, verdict in verdicts.items()
    ]


def _transition_times(status: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """lastTransitionTime by type and status. What somebody wrote by hand in another shape counts as absent."""
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return {}
    return {
        (condition["type"], condition["status"]): condition["lastTransitionTime"]
        for condition in conditions
        if isinstance(condition, Mapping) and all(isinstance(condition.get(key), str) for key in ("type", "status", "lastTransitionTime"))
    }
