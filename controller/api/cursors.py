"""Where the next page begins, as clients carry it back: the last row's key in base64url. Nothing in it is secret or trusted.

Every text of the right form is some place in the list, so a cursor that somebody made up harms nobody: it can only begin elsewhere.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from controller.storage.reads import AlertKey

PLANT_CURSOR = r"^[A-Za-z0-9_-]{21}[AQgw]$"
"""16 bytes: the id."""
ALERT_CURSOR = r"^[A-Za-z0-9_-]{30}[AEIMQUYcgkosw048]$"
"""23 bytes: microseconds since 1970 in 7 of them, which lasts until the year 4253, and the id."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def plant_cursor(after: UUID) -> str:
    return _text(after.bytes)


def parse_plant_cursor(text: str) -> UUID:
    """Raises `ValueError`."""
    return UUID(bytes=_bytes(text, PLANT_CURSOR))


def alert_cursor(after: AlertKey) -> str:
    return _text(max(0, (after.opened_at - _EPOCH) // _MICROSECOND).to_bytes(7, "big") + after.id.bytes)


def parse_alert_cursor(text: str) -> AlertKey:
    """Raises `ValueError`."""
    key = _bytes(text, ALERT_CURSOR)
    return AlertKey(_EPOCH + int.from_bytes(key[:7], "big") * _MICROSECOND, UUID(bytes=key[7:]))


def _text(key: bytes) -> str:
    return urlsafe_b64encode(key).rstrip(b"=").decode()


def _bytes(text: str, pattern: str) -> bytes:
    if re.fullmatch(pattern, text) is None:
        raise ValueError("no cursor")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
