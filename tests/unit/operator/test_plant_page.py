"""docs/plant.md against the code: a reader must find there every word that the resource can show."""

import re
from pathlib import Path

import pytest
import yaml

from controller.domain.plant import Integration, Reason
from controller.operator import resource
from controller.operator.conditions import ConditionReason, ConditionType
from controller.operator.event_poster import EventResult
from controller.operator.events import EventReason
from tests.unit.operator.test_definition import FIELDS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/plant.md").read_text()
WORDS = set(re.findall(r"`([^`\n]+)`", PAGE))


def field_names() -> list[str]:
    """Those of `conditions` are Kubernetes' own, known to every reader."""
    paths = [path for path in FIELDS if not path.startswith("status.conditions[]") and path not in ("spec", "status")]
    return sorted({path.rpartition(".")[2].removesuffix("[]") for path in paths})


@pytest.mark.parametrize("name", field_names())
def test_every_field_is_on_the_page(name: str) -> None:
    assert name in WORDS


@pytest.mark.parametrize("word", [*ConditionType, *ConditionReason, *Reason, *Integration])
def test_every_condition_and_reason_is_on_the_page(word: str) -> None:
    assert word in WORDS


@pytest.mark.parametrize("word", [*EventReason, *EventResult])
def test_every_event_and_what_may_become_of_it_is_on_the_page(word: str) -> None:
    assert word in WORDS


def test_every_role_is_on_the_page() -> None:
    roles = [role["metadata"]["name"] for role in yaml.safe_load_all((ROOT / "manifests/rbac/users.yaml").read_text())]
    assert len(roles) == 2
    assert set(roles) <= WORDS


@pytest.mark.parametrize("annotation", [resource.MOCK_SCENARIO, resource.POLL_REQUESTED_AT, resource.ACK, resource.SILENCE_UNTIL])
def test_every_annotation_is_on_the_page(annotation: str) -> None:
    assert annotation.removeprefix(resource.ANNOTATION_PREFIX) in WORDS
