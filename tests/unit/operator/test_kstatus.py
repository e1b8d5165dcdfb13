"""What tools that wait for resources make of a Plant: the generic rules by which Flux, `kubectl wait` and others read any status.

They ask for three things: that the status speaks of the present generation, of a condition Stalled or Reconciling that we do not have,
and of Ready. Nothing else of a Plant, least of all its health, may hold up a deployment.
"""

from typing import Any

import pytest

from controller.domain.plant import Integration, PlantContext, PollError, Reason, Status
from controller.operator.conditions import ConditionType
from controller.operator.resource import Refusal, RefusalReason
from controller.operator.status_document import refused_document, status_document
from tests.unit.operator.plants import NOW, resource, row

CURRENT, IN_PROGRESS = "Current", "InProgress"


def read_generically(status: dict[str, Any], generation: int) -> str:
    """In progress until the present generation is observed and Ready is True."""
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    assert not {"Stalled", "Reconciling"} & conditions.keys()
    if status["observedGeneration"] != generation:
        return IN_PROGRESS
    return CURRENT if conditions["Ready"]["status"] == "True" else IN_PROGRESS


GREY: dict[str, Any] = {"status": Status.GREY}


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (row(), CURRENT),
        (row(status=Status.RED, reason=Reason.OFFLINE), CURRENT),
        (row(status=Status.YELLOW, reason=Reason.LOW_GENERATION), CURRENT),
        (row(consecutive_failures=4, last_error=PollError.NETWORK_TIMEOUT), CURRENT),
        (row(**GREY, integration=Integration.DISABLED_BY_OPERATOR), CURRENT),
        (row(polled_generation=2), IN_PROGRESS),
        (row(**GREY, integration=Integration.PENDING_DOCS), IN_PROGRESS),
        (row(**GREY, integration=Integration.PAUSED_AUTH_ERROR), IN_PROGRESS),
    ],
)
def test_a_plant_is_current_once_its_declaration_works_whatever_its_health(plant: PlantContext, expected: str) -> None:
    assert read_generically(status_document(plant, resource(generation=3), NOW), 3) == expected


def test_a_changed_spec_is_in_progress_until_the_operator_has_taken_it_over() -> None:
    assert read_generically(status_document(row(), resource(generation=4), NOW), 4) == IN_PROGRESS


def test_a_refused_plant_never_becomes_current() -> None:
    refused = refused_document(Refusal(RefusalReason.INVALID_TIMEZONE, "no such zone"), resource(generation=4), NOW)
    assert read_generically(refused, 4) == IN_PROGRESS


def test_every_condition_says_of_which_generation_it_speaks() -> None:
    for document in (
        status_document(row(), resource(), NOW),
        refused_document(Refusal(RefusalReason.INVALID_TIMEZONE, "x"), resource(), NOW),
    ):
        assert [condition["type"] for condition in document["conditions"]] == list(ConditionType)
        assert {condition["observedGeneration"] for condition in document["conditions"]} == {document["observedGeneration"]}
