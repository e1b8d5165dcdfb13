import pytest

from tests.chart.rendering import Rendered, render, value_sets

SETS = value_sets()
DONE: dict[str, Rendered] = {}


@pytest.fixture(params=list(SETS))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The chart with each of the value sets in turn. Nobody changes it."""
    name: str = request.param
    if name not in DONE:
        DONE[name] = render(SETS[name])
    return DONE[name]


@pytest.fixture(scope="session")
def demo() -> Rendered:
    return render(SETS["demo"])


@pytest.fixture(scope="session")
def everything() -> Rendered:
    return render(SETS["everything"])


@pytest.fixture(scope="session")
def external() -> Rendered:
    return render(SETS["external"])
