"""What every test has: the fixtures of tests/stack.py, real servers that start when first asked for."""

pytest_plugins = ["tests.stack"]
