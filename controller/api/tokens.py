"""Bearer tokens of the read API (DOMAIN 7): HS256, fifteen minutes. Minted by a command, for there is no login here."""

from datetime import datetime, timedelta

import jwt
from pydantic import SecretStr

from controller.api.roles import Role

ALGORITHM = "HS256"
LIFETIME = timedelta(minutes=15)
ISSUER = AUDIENCE = "solarinvest-monitor"


def mint(secret: SecretStr, role: Role, subject: str, now: datetime) -> str:
    """A token for `subject` that is valid from `now` for fifteen minutes."""
    claims = {"sub": subject, "role": role.value, "iat": now, "exp": now + LIFETIME, "iss": ISSUER, "aud": AUDIENCE}
    return jwt.encode(claims, secret.get_secret_value(), algorithm=ALGORITHM)
