"""`make generate`: files and tables that are made from others, so that each fact is written once.

    python -m hack.generate            writes them
    python -m hack.generate --check    names those that are not what their sources say, and ends with 1

Whoever adds one adds a line to `GENERATED`.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from controller.api import openapi
from hack import chart_values, cli_page, rules, tables

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "solarinvest-monitor"
CRD = "manifests/crd/plants.monitor.solarinvest.info.yaml"
OPERATOR_ROLE = "solarinvest-operator"


def chart_crd() -> str:
    """The resource definition as a template: its text, with metadata that make it an object of the release. Raises ValueError."""
    source = (ROOT / CRD).read_text()
    name = yaml.safe_load(source)["metadata"]["name"]
    metadata = f"""
metadata:
  name: {name}
  labels:
    {{{{- include "solarinvest.labels" (dict "root" $) | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
"""
    text, count = re.subn(r"\nmetadata:\n(?:  .*\n)+", lambda _: metadata, source)
    if "{{" in source or count != 1:
        raise ValueError(f"{CRD} cannot be made a template as text")
    head = f"{{{{- /* Made by `make generate` from {CRD}. */ -}}}}\n{{{{- if .Values.crds.install }}}}\n"
    return head + text + "{{- end }}\n"


def chart_rbac() -> str:
    """The rules of every ClusterRole of manifests/rbac: the operator's, and those for users with their labels."""
    found = [one for path in sorted((ROOT / "manifests" / "rbac").glob("*.yaml")) for one in yaml.safe_load_all(path.read_text())]
    roles = {one["metadata"]["name"]: one for one in found if one["kind"] == "ClusterRole"}
    operator = roles.pop(OPERATOR_ROLE)
    users = [{"name": name, "labels": role["metadata"]["labels"], "rules": role["rules"]} for name, role in roles.items()]
    document: dict[str, Any] = {"operator": operator["rules"], "users": users}
    return "# Made by `make generate` from manifests/rbac.\n" + yaml.safe_dump(document, sort_keys=False)


def chart_schema() -> str:
    return chart_values.schema(_values())


def chart_readme() -> str:
    return _with_table(CHART / "README.md", chart_values.HEAD, chart_values.table(_values()))


def metrics_page() -> str:
    return _with_table(ROOT / "docs" / "metrics.md", tables.METRICS_HEAD, tables.metrics())


def configuration_page() -> str:
    return _with_table(ROOT / "docs" / "configuration.md", tables.SETTINGS_HEAD, tables.variables_table())


def _values() -> chart_values.Value:
    return chart_values.read((CHART / "values.yaml").read_text())


def _with_table(page: Path, begins: str, table: str) -> str:
    """The page with the one table that begins with this line replaced. Raises ValueError where there is none."""
    text = page.read_text()
    found, count = re.subn(rf"^{re.escape(begins)}.*\n(?:\|.*\n)+", lambda _: table, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{page.relative_to(ROOT)} has {count} tables that begin with '{begins}'")
    return found


GENERATED: Mapping[str, Callable[[], str]] = {
    "charts/solarinvest-monitor/templates/crd-plants.yaml": chart_crd,
    "charts/solarinvest-monitor/files/rbac.yaml": chart_rbac,
    "charts/solarinvest-monitor/values.schema.json": chart_schema,
    "charts/solarinvest-monitor/README.md": chart_readme,
    "docs/cli.md": cli_page.page,
    "docs/configuration.md": configuration_page,
    "docs/metrics.md": metrics_page,
    "docs/openapi.json": lambda: openapi.document().decode(),
    "docs/rules.md": rules.current,
}
"""Path below the project's folder to what makes its whole text."""


def stale() -> dict[Path, str]:
    """Of the files that are not as their sources say: what they should hold."""
    wanted = {ROOT / name: make() for name, make in GENERATED.items()}
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.generate", description="Make what is made from other files.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where something is not up to date")
    is_check = parser.parse_args().check
    found = stale()
    for path, text in found.items():
        sys.stdout.write(f"{'not up to date' if is_check else 'written'}: {path.relative_to(ROOT)}\n")
        if not is_check:
            path.write_text(text)
    if is_check and found:
        sys.stdout.write("Run: make generate\n")
    return 1 if is_check and found else 0


if __name__ == "__main__":
    sys.exit(main())
