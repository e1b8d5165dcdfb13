"""Connection strings: what is added, what is kept, and what is never told."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from controller.storage.database import conninfo

PASSWORD = "s3cr3t-pässword"
QUOTED = "s3cr3t-p%C3%A4ssword"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_both_forms_of_url_are_taken(scheme: str) -> None:
    given = conninfo_to_dict(conninfo(f"{scheme}://user:{QUOTED}@db.example:6543/solar?sslmode=require", "worker"))
    assert (given["user"], given["password"], given["host"], str(given["port"]), given["dbname"]) == (
        "user",
        PASSWORD,
        "db.example",
        "6543",
        "solar",
    )
    assert (given["sslmode"], given["application_name"]) == ("require", "worker")


def test_every_wait_of_a_session_is_bounded_and_instants_are_utc() -> None:
    given = conninfo_to_dict(conninfo(SecretStr("postgresql://db.example/solar?options=-c%20work_mem%3D8MB"), "worker"))
    options = str(given["options"])
    for setting in (
        "statement_timeout=10s",
        "lock_timeout=3s",
        "idle_in_transaction_session_timeout=5s",
        "TimeZone=UTC",
        "work_mem=8MB",
    ):
        assert f"-c {setting}" in options
    assert given["connect_timeout"] == "5"
    assert "tcp_user_timeout" in given


def test_the_urls_own_bounds_win() -> None:
    url = "postgresql://db.example/solar?connect_timeout=2&options=-c%20statement_timeout%3D1s"
    given = conninfo_to_dict(conninfo(url, "worker"))
    assert given["connect_timeout"] == "2"
    assert str(given["options"]).endswith("-c statement_timeout=1s")


@pytest.mark.parametrize("url", [f"mysql://user:{QUOTED}@db/x", f"user:{QUOTED}@db", f"postgresql://user:{QUOTED}@db/x?nonsense=1", ""])
def test_what_is_no_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"database url") as caught:
        conninfo(url, "worker")
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
