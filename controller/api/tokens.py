"""Bearer tokens of the read API (DOMAIN 7): HS256, fifteen minutes. Minted by a command, for there is no login here."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated

import jwt
import msgspec
from pydantic import SecretStr

from controller.api.roles import Role

ALGORITHM = "HS256"
LIFETIME = timedelta(minutes=15)
SKEW = timedelta(seconds=30)
"""How far the clocks of whoever mints and whoever checks may be apart."""
ISSUER = AUDIENCE = "solarinvest-monitor"
TOKEN_MAX = 4096
"""Characters. One of ours has about 300."""

Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]+\Z")]
"""As long as an ownerCustomerId may be (docs/plant.md)."""


class Claims(msgspec.Struct, frozen=True):
    """What a token must say, all of it."""

    sub: Subject
    role: Role
    iat: int
    exp: int
    iss: str
    aud: str


class Caller(msgspec.Struct, frozen=True):
    """Who asks, as their token says."""

    subject: str
    role: Role
    bearer: str
    """A digest of what the token says, by which its requests are counted: also where one token is written in several ways."""

    @property
    def owner(self) -> str | None:
        """Whose plants they see (DOMAIN 7); None: everybody's."""
        return self.subject if self.role is Role.CUSTOMER else None


class TokenRefused(Exception):
    """The token is missing, malformed, forged, expired or not meant for this API. Which of these is nobody's business."""


class TokenChecker:
    """Checks tokens against one secret, or two while the secret is changed: the first is the one that new tokens are signed with."""

    def __init__(self, secrets: tuple[SecretStr, ...]) -> None:
        self._secrets = tuple(secret.get_secret_value() for secret in secrets)

    def caller(self, token: str) -> Caller:
        """Raises `TokenRefused`. The algorithm is ours to say, never the token's; every claim is required."""
        claims = self._claims(token)
        if not 0 < claims.exp - claims.iat <= LIFETIME.total_seconds():
            raise TokenRefused
        text = "\n".join((claims.role, str(claims.iat), str(claims.exp), claims.sub))
        return Caller(claims.sub, claims.role, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())

    def _claims(self, token: str) -> Claims:
        if len(token) > TOKEN_MAX or not token.isascii():
            raise TokenRefused
        for secret in self._secrets:
            try:
                payload = jwt.decode(
                    token,
                    secret,
                    algorithms=[ALGORITHM],
                    audience=AUDIENCE,
                    issuer=ISSUER,
                    leeway=SKEW,
                    options={"require": list(Claims.__struct_fields__), "strict_aud": True},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
                # Not all that is wrong in a token is one of PyJWT's own errors.
                raise TokenRefused from None
            try:
                return msgspec.convert(payload, Claims)
            except msgspec.ValidationError:
                raise TokenRefused from None
        raise TokenRefused


def mint(secret: SecretStr, role: Role, subject: str, now: datetime) -> str:
    """A token for `subject` that is valid from `now` for fifteen minutes. Raises `ValueError` where the subject is none."""
    try:
        msgspec.convert(subject, Subject)
    except msgspec.ValidationError:
        raise ValueError("a subject has 1 to 128 characters, and no control characters") from None
    claims = {"sub": subject, "role": role.value, "iat": now, "exp": now + LIFETIME, "iss": ISSUER, "aud": AUDIENCE}
    return jwt.encode(claims, secret.get_secret_value(), algorithm=ALGORITHM)
