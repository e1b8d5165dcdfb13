"""One payload on its own, as an engineer has it in hand: for `solarinvest normalise`, which reads it as the adapters do.

Each brand implements `CaptureReader` in its `capture.py`; `integrations.registry` lists them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, tzinfo

import msgspec

from integrations.contract import Alarm, Reading, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType


class Capture(msgspec.Struct, frozen=True):
    """An answer and what was asked for."""

    path: str
    """The vendor's own path tells the kind of payload. A whole address will do, with or without the version."""
    response: VendorResponse
    plant_id: str | None
    """Picks one where the answer holds several plants; an answer about others only is refused."""
    zone: tzinfo
    """The plant's: for local texts and days."""
    device_type: int | None = None
    """Huawei's `devTypeId`, where the payload does not echo it: it decides between W and kW."""


class Findings(msgspec.Struct, frozen=True):
    """What one payload says, normalised and not yet judged (DOMAIN 3). `days` and `alarms` are None where it is not about them."""

    reading: Reading = Reading()
    days: Mapping[date, float] | None = None
    alarms: tuple[Alarm, ...] | None = None


CaptureReader = Callable[[Capture], Findings]
"""Raises AdapterError: what the payload reports, what is wrong with it, or INVALID_DATA_FORMAT for a path that is not known."""

_VERSION = re.compile(r"v\d+(?:\.\d+)?", re.IGNORECASE)


def segments(path: str) -> list[str]:
    """The segments of a path in lower case, without host, query, `api` and version: `/station/v1.0/list?language=en` is station, list."""
    bare = re.sub(r"^[a-z]+://[^/]*", "", path.strip(), flags=re.IGNORECASE).partition("?")[0].partition("#")[0]
    return [part.lower() for part in bare.split("/") if part and part.lower() != "api" and not _VERSION.fullmatch(part)]


def unknown_path(vendor: str, path: str, known: Mapping[str, object]) -> AdapterError:
    """The error of a path that no reader knows."""
    asked = path.partition("?")[0][:80]  # a query may hold a key
    message = f"{vendor} has no path {asked!r} that can be read; known: {', '.join(known)}"
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, message)
