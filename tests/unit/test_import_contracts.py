"""Each import contract of pyproject.toml catches what it is for: planted in a copy of the packages, each violation is named."""

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
LINT_SECONDS = 60
"""For one run, which takes half a second: a bound, not an expectation."""


@dataclass(frozen=True)
class Violation:
    """`module` gets a line that imports `imported`; contract `contract` must not let that pass."""

    contract: str
    module: str
    imported: str

    def plant(self, root: Path) -> str:
        """Adds the import at the end of the module. How a report names it: line number and all."""
        path = root.joinpath(*self.module.split(".")).with_suffix(".py")
        path = path if path.exists() else path.with_suffix("") / "__init__.py"
        # Inside a function: contracts look at every import, not only at those that run on loading.
        text = f"{path.read_text()}\n\ndef _planted() -> None:\n    import {self.imported}\n"
        path.write_text(text)
        return f"(l.{len(text.splitlines())})"


VIOLATIONS = [
    Violation("layers", "controller.domain.plant", "controller.polling.ports"),
    Violation("layers", "controller.storage", "controller.scheduling.ports"),
    Violation("layers", "controller.queueing", "controller.storage.tables"),
    Violation("layers", "controller.scheduling.scheduler", "controller.metrics"),
    Violation("layers", "controller.metrics", "controller.logs"),
    Violation("layers", "controller.worker", "controller.operator.main"),
    Violation("layers", "controller.operator.main", "controller.tools"),
    Violation("layers", "controller.tools", "controller.cli"),
    Violation("domain-on-contract", "controller.polling.poll_plants", "integrations.registry"),
    Violation("pure", "controller.domain.judge", "kopf"),
    Violation("pure", "controller.polling.ports", "redis.exceptions"),
    Violation("pure", "integrations.contract", "prometheus_client"),
    Violation("owner-postgres", "controller.operator.main", "psycopg"),
    Violation("owner-postgres", "integrations.transport", "sqlalchemy.engine"),
    Violation("owner-redis", "controller.operator.main", "redis"),
    Violation("owner-redis", "controller.cli", "huey.api"),
    Violation("owner-kubernetes", "controller.cli", "kopf"),
    Violation("owner-kubernetes", "controller.worker", "kubernetes.client"),
    Violation("owner-http", "controller.operator.main", "litestar"),
    Violation("owner-http", "controller.cli", "uvicorn"),
    Violation("owner-prometheus", "controller.probes", "prometheus_client"),
    Violation("owner-settings", "controller.operator.main", "controller.settings"),
    Violation("worker-without-http", "controller.worker", "jwt"),
    Violation("worker-without-http", "controller.worker", "litestar"),
    Violation("integrations-below", "integrations.transport", "controller.domain.plant"),
    Violation("brands-apart", "integrations.solis.adapter", "integrations.huawei.normalise"),
    Violation("brands-behind-registry", "controller.cli", "integrations.dele.adapter"),
    Violation("brands-behind-registry", "integrations.transport", "integrations.goodwe.adapter"),
]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A copy of what the contracts look at."""
    for package in ("controller", "integrations"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # A wide terminal, so that no reported import is broken over two lines.
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1"}
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", *options], cwd=root, env=environment, capture_output=True, text=True, timeout=LINT_SECONDS, check=False
    )


def test_the_packages_keep_every_contract(packages: Path) -> None:
    checked = lint(packages)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("contract", sorted({violation.contract for violation in VIOLATIONS}))
@pytest.mark.rule("D8.3")
def test_violations_break_their_contract(contract: str, packages: Path) -> None:
    violations = [violation for violation in VIOLATIONS if violation.contract == contract]
    planted = {violation: violation.plant(packages) for violation in violations}

    checked = lint(packages, "--contract", contract)

    assert checked.returncode != 0
    assert "BROKEN" in checked.stdout
    for violation, line_number in planted.items():
        lines = [line for line in checked.stdout.splitlines() if violation.module in line and line_number in line]
        assert lines, f"{violation} is not in the report:\n{checked.stdout}"


def test_a_module_without_a_layer_breaks_the_layers(packages: Path) -> None:
    (packages / "controller" / "utils.py").touch()
    checked = lint(packages, "--contract", "layers")
    assert checked.returncode != 0
    assert "controller.utils" in checked.stdout


def test_every_contract_has_a_violation_that_was_tried() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {violation.contract for violation in VIOLATIONS}
