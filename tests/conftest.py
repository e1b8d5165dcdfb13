"""What every test has: fixtures of tests/stack.py (real servers start when first asked for), groups, the longest first, no time limit."""

import pytest
from hypothesis import settings

pytest_plugins = ["tests.stack"]

# How long an example takes says how busy the machine is. Speed is measured in benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, so that none is left alone at the end: `lasts` says the seconds of a test, or of its whole group."""
    items.sort(key=lambda item: -mark.args[0] if (mark := item.get_closest_marker("lasts")) else 0)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Raises where `--dist loadgroup` would lose the groups in silence, as xdist 3.8 does with pytest 9.2: they say it in the node id."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    lost = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
    if lost:
        raise pytest.UsageError(f"xdist keeps no group together: {lost[0]} and {len(lost) - 1} more have none")
