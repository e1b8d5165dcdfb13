"""Tokens of the read API: what is minted is taken while it is good, and nothing else is, whatever it says of itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from controller.api.roles import Role
from controller.api.tokens import SKEW, Caller, TokenChecker, TokenRefused, mint
from tests.api_client import PREVIOUS_SECRET, SECRET, claims, forged, token

CHECKER = TokenChecker((SecretStr(SECRET),))
BOTH = TokenChecker((SecretStr(SECRET), SecretStr(PREVIOUS_SECRET)))
GOOD = token(Role.CUSTOMER, "carla")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def is_refused(text: str, checker: TokenChecker = CHECKER) -> bool:
    try:
        checker.caller(text)
    except TokenRefused:
        return True
    return False


def test_a_refusal_does_not_say_why() -> None:
    with pytest.raises(TokenRefused) as caught:
        CHECKER.caller(token(secret=PREVIOUS_SECRET))
    assert str(caught.value) == ""
    assert caught.value.__cause__ is None


@pytest.mark.rule("D7.2")
@pytest.mark.parametrize(("role", "owner"), [(Role.ADMIN, None), (Role.OPERATOR, None), (Role.CUSTOMER, "carla")])
def test_a_caller_sees_all_or_what_is_theirs(role: Role, owner: str | None) -> None:
    caller = CHECKER.caller(token(role, "carla"))
    assert (caller.role, caller.subject, caller.owner) == (role, "carla", owner)


def test_the_secret_before_is_taken_as_long_as_it_is_set() -> None:
    old = token(secret=PREVIOUS_SECRET)
    assert is_refused(old)
    assert not is_refused(old, BOTH)
    assert not is_refused(GOOD, BOTH)


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(BASE64 + "."))
def test_no_character_of_a_token_can_be_another(place: int, character: str) -> None:
    """But for bits that base64 does not use: then it is the same token, and counted as such."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if not is_refused(changed):
        assert CHECKER.caller(changed) == CHECKER.caller(GOOD)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_no_text_is_a_token(text: str) -> None:
    assert is_refused(text)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["sub", "role", "iat", "exp", "iss", "aud"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2),
        min_size=1,
    )
)
def test_a_signed_token_with_other_claims_is_refused_or_says_who_asks(changes: dict[str, object]) -> None:
    text = forged({**claims(), **changes})
    if is_refused(text):
        return
    caller = CHECKER.caller(text)
    assert isinstance(caller, Caller)
    assert 1 <= len(caller.subject) <= 128
    assert caller.role in Role


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=20), max_size=4))
def test_a_header_cannot_choose_how_a_token_is_checked(header: dict[str, object]) -> None:
    for alg in ("none", "HS512", "RS256", header.get("alg")):
        if alg != "HS256":
            assert is_refused(forged(claims(), {**header, "alg": alg}))


@pytest.mark.parametrize(("early", "is_taken"), [(SKEW - timedelta(seconds=5), True), (SKEW + timedelta(seconds=5), False)])
def test_clocks_may_be_apart_by_the_skew(early: timedelta, is_taken: bool) -> None:
    assert is_refused(token(age=-early)) is not is_taken
    assert is_refused(token(age=timedelta(minutes=15) + early)) is not is_taken


def test_two_tokens_of_one_subject_are_counted_apart_and_one_token_always_alike() -> None:
    first, second = token(age=timedelta(seconds=3)), token()
    assert CHECKER.caller(first).bearer != CHECKER.caller(second).bearer
    assert CHECKER.caller(first).bearer == CHECKER.caller(first).bearer
    assert "somebody" not in CHECKER.caller(first).bearer


@pytest.mark.parametrize("subject", ["", "a" * 129, "line\nbreak", "end\n", "nul\0", "\ud800"])
def test_no_token_is_minted_for_what_is_no_subject(subject: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 characters"):
        mint(SecretStr(SECRET), Role.CUSTOMER, subject, datetime.now(UTC))


def test_the_longest_subject_is_taken() -> None:
    assert CHECKER.caller(token(Role.CUSTOMER, "ü" * 128)).owner == "ü" * 128
