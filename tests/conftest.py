"""What every test has: the fixtures of tests/stack.py, real servers that start when first asked for, and no time limit on one example."""

from hypothesis import settings

pytest_plugins = ["tests.stack"]

# How long an example takes says how busy the machine is. Speed is measured in benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
