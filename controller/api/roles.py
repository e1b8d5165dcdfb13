"""Who may see what through the read API (DOMAIN 7)."""

from enum import StrEnum


class Role(StrEnum):
    """ADMIN and OPERATOR see all plants, CUSTOMER those whose `ownerCustomerId` is the token's subject."""

    ADMIN = "ADMIN"
    OPERATOR = "OPERATOR"
    CUSTOMER = "CUSTOMER"
