from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kubectl_plugin import annotations
from controller.kubectl_plugin.annotations import ACK_MAX, add_to_ack, chosen_alerts, poll_token, silence_end
from controller.kubectl_plugin.connect import PLANTS
from controller.kubectl_plugin.text import rfc3339
from controller.kubectl_plugin.troubles import BadUsage, NotFound
from controller.operator import kubernetes_api, resource
from controller.operator.resource import PlantResource
from tests.unit.kubectl_plugin.plants import NOW, alerts
from tests.unit.operator.plants import body

A, B = "13d08596-2999-4861-b7df-324373078bdb", "13d0ffff-2999-4861-b7df-324373078bdb"
IDS = st.uuids().map(str)


def read(**fields: Any) -> PlantResource:
    """As the operator reads it."""
    return PlantResource.parse(body(annotations={f"{annotations.PREFIX}{key.replace('_', '-')}": value for key, value in fields.items()}))


def test_names_and_bounds_are_those_that_the_operator_reads() -> None:
    names = ("ACK", "POLL_REQUESTED_AT", "SILENCE_UNTIL", "ACK_MAX")
    assert {name: getattr(annotations, name) for name in names} == {name: getattr(resource, name) for name in names}
    assert f"/apis/{kubernetes_api.GROUP}/{kubernetes_api.VERSION}" == PLANTS


@given(st.lists(IDS, unique=True, max_size=30), st.lists(IDS, min_size=1, max_size=30))
def test_the_operator_reads_what_was_there_and_what_was_added(present: list[str], added: list[str]) -> None:
    change = add_to_ack(", ".join(present), added)
    acked = read(ack=change.value)
    assert acked.acked == tuple(UUID(alert_id) for alert_id in dict.fromkeys([*present, *added]))
    assert not acked.ignored


@given(st.text(), st.lists(IDS, min_size=1, max_size=5))
def test_adding_keeps_whatever_else_stands_there_and_adding_again_changes_nothing(present: str, added: list[str]) -> None:
    once = add_to_ack(present, added)
    kept = [part.strip() for part in present.split(",") if part.strip()]
    assert once.value.split(",")[: len(kept)] == kept if kept and once.added else True
    again = add_to_ack(once.value, added)
    assert again.value == once.value
    assert not again.added
    assert set(again.known) == set(added)


def test_past_the_bound_the_oldest_make_room_so_that_the_new_are_read() -> None:
    present = [str(uuid4()) for _ in range(ACK_MAX)]
    change = add_to_ack(",".join(present), [A, B])
    assert change.dropped == 2
    resource_read = read(ack=change.value)
    assert resource_read.acked == tuple(map(UUID, [*present[2:], A, B]))
    assert not resource_read.ignored


def test_an_alert_is_named_by_its_id_or_by_how_that_begins() -> None:
    listed = alerts(A, B)
    assert chosen_alerts(listed, [A], force=False) == [A]
    assert chosen_alerts(listed, ["13D0F", B, " 13d08 "], force=False) == [B, A]


def test_what_names_no_listed_alert_is_refused() -> None:
    other = str(uuid4())
    for asked in (other, "ffff", "roof"):
        with pytest.raises(NotFound):
            chosen_alerts(alerts(A, B), [asked], force=False)
    with pytest.raises(BadUsage, match="begins 2 alerts"):
        chosen_alerts(alerts(A, B), ["13d0"], force=False)
    with pytest.raises(BadUsage, match="too short"):
        chosen_alerts(alerts(A), ["13d"], force=True)
    assert chosen_alerts(alerts(A), [other], force=True) == [other]
    with pytest.raises(NotFound):
        chosen_alerts(alerts(A), ["ffff"], force=True)


def test_the_operator_takes_a_poll_token_and_no_two_are_alike() -> None:
    tokens = {poll_token(NOW) for _ in range(100)}
    assert len(tokens) == 100
    assert {read(poll_requested_at=token).poll_requested for token in tokens} == tokens


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=40_000)).map(lambda span: NOW + span))
def test_the_operator_reads_a_silence_as_it_was_meant(end: datetime) -> None:
    text = rfc3339(silence_end(NOW, None, end.isoformat()))
    assert read(silence_until=text).silence_until == end.replace(microsecond=0)


def test_a_silence_is_a_go_duration_from_now_or_an_instant() -> None:
    assert silence_end(NOW, "1h30m", None) == NOW + timedelta(minutes=90)
    assert silence_end(NOW, None, "2026-01-15T13:00:00-03:00") == NOW + timedelta(hours=1)


@pytest.mark.parametrize("duration", ["4", "-4h", "0", "0s", "1ms", "1d", "", "99999999h"])
def test_a_silence_for_no_sensible_while_is_refused(duration: str) -> None:
    with pytest.raises(BadUsage):
        silence_end(NOW, duration, None)


@pytest.mark.parametrize("until", ["tomorrow", "2026-01-15T16:00:00", "2026-01-15T15:00:00Z", "2020-01-15T15:00:00Z"])
def test_a_silence_until_no_instant_or_one_that_has_passed_is_refused(until: str) -> None:
    with pytest.raises(BadUsage):
        silence_end(NOW, None, until)
