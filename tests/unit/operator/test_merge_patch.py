"""Merge patches and digests, for any documents that a status can be."""

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.operator.digest import digest
from controller.operator.merge_patch import merge_patch

NAMES = st.sampled_from(["health", "today", "alerts", "date", "explain", "ç", ""])
LEAVES = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
"""No null: in a merge patch it means removal, and a status has none. No truth values: to Python they are numbers, and no field is both."""
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=5)


def applied(patch: Any, target: Any) -> Any:
    """RFC 7396, section 2, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(value, result.get(name))
    return result


def same(one: Any, other: Any) -> bool:
    """Spelled alike: 1.0 is not 1. The API server decides for one of them, and stays with it."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_makes_the_new_document_of_the_old_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(merge_patch(old, new), old) == new


@given(DOCUMENTS)
def test_nothing_is_patched_where_nothing_differs(document: dict[str, Any]) -> None:
    assert merge_patch(document, json.loads(json.dumps(document))) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_names_no_field_that_stays(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch(old, new)
    assert not [name for name in patch if name in old and name in new and old[name] == new[name]]


def test_a_field_of_another_kind_is_replaced_as_a_whole() -> None:
    assert merge_patch({"today": {"date": "2026-01-15"}}, {"today": "gone"}) == {"today": "gone"}
    assert merge_patch({"today": "gone"}, {"today": {"date": "2026-01-15"}}) == {"today": {"date": "2026-01-15"}}


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(value[name], order) for name in order.sample(list(value), len(value))}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_a_digest_knows_no_order_of_fields(document: dict[str, Any], order: random.Random) -> None:
    assert digest(shuffled(document, order)) == digest(document)


@given(DOCUMENTS, DOCUMENTS)
def test_a_digest_tells_documents_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (digest(one) == digest(other)) == same(one, other)


def test_a_digest_does_not_change_with_releases() -> None:
    """It is stored: another one for the same document would have the whole fleet patched anew by an upgrade."""
    assert digest({"health": "GREEN", "today": {"energyKWh": 12.5}}) == "c33ae1f2f083ad684a0e53b4b359c0f6"
