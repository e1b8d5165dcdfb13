"""The closed list of what can go wrong between us and a vendor (DOMAIN 2)."""

from enum import StrEnum


class AdapterErrorType(StrEnum):
    """Why a poll failed, by what happens next: see docs/domain.md, section 2."""

    AUTH_FAILED = "AUTH_FAILED"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    NETWORK_TIMEOUT = "NETWORK_TIMEOUT"
    INVALID_DATA_FORMAT = "INVALID_DATA_FORMAT"
    PLANT_NOT_FOUND = "PLANT_NOT_FOUND"
    VENDOR_ERROR = "VENDOR_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"


class AdapterError(Exception):
    """A vendor's answer that is no reading. The message is for people and holds no payload and no secret.

    `retry_after_seconds` is the vendor's own wish, where it gave one (RATE_LIMIT_EXCEEDED).
    """

    def __init__(self, error_type: AdapterErrorType, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retry_after_seconds = retry_after_seconds
