"""A short name for a status document, to tell whether somebody else has changed it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")


def digest(status: Mapping[str, Any]) -> str:
    """The same for documents that are equal as JSON, whatever the order of their fields. Numbers as the API server spells them."""
    return hashlib.sha256(_ENCODER.encode(status)).hexdigest()[:32]
