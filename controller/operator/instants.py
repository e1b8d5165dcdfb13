"""How instants are written in a Kubernetes object: RFC 3339 in UTC, whole seconds."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Cut, not rounded: an instant is never shown before it has come."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime | None:
    """What `rfc3339` has written, None for any other spelling."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is UTC and rfc3339(at) == text else None
