"""The bill of materials lists what is installed, and an audit that did not run is no pass."""

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hack import audit, sbom
from hack.audit import EXIT_FOUND, EXIT_NOT_AUDITED, Answer, Dependency, Vulnerability

ROOT = Path(__file__).resolve().parents[2]
DEV_ONLY = {"pytest", "ruff", "mypy", "hypothesis", "cyclonedx-bom", "helm-python-sdk"}
DEBIAN = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u1
Description: GNU C Library
 of several lines: with a colon

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


@pytest.fixture(scope="module")
def document() -> str:
    return json.dumps(sbom.document())


def test_the_bill_of_materials_is_valid_cyclonedx(document: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None


def test_it_is_the_same_each_time_and_tells_no_time_and_no_place(document: str) -> None:
    assert json.dumps(sbom.document()) == document
    assert "timestamp" not in document
    assert str(ROOT) not in document


def test_it_lists_what_the_lock_file_has_for_this_python_and_no_tool(document: str) -> None:
    listed = {tuple(purl.split("@")) for purl in re.findall(r'"purl": "pkg:pypi/([^"]+)"', document)}
    locked = set(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE))
    product = {entry for entry in listed if entry[0] == sbom.PRODUCT}
    assert len(product) == 1
    assert listed - product <= locked
    assert {"kopf", "sqlalchemy", "redis", "hiredis", "psycopg-binary", "litestar", "limits"} <= {name for name, _ in listed}
    assert not DEV_ONLY & {name for name, _ in listed}


def test_every_dependency_named_in_the_graph_is_a_component(document: str) -> None:
    bill = json.loads(document)
    known = {component["bom-ref"] for component in [*bill["components"], bill["metadata"]["component"]]}
    assert {ref for entry in bill["dependencies"] for ref in [entry["ref"], *entry["dependsOn"]]} <= known
    assert sum(bool(entry["dependsOn"]) for entry in bill["dependencies"]) > 10


def test_installed_debian_packages_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "status").write_text(DEBIAN)
    (tmp_path / "release").write_text('ID=debian\nVERSION_ID="13"\n')
    monkeypatch.setattr(sbom, "DEBIAN_PACKAGES", tmp_path / "status")
    monkeypatch.setattr(sbom, "OS_RELEASE", tmp_path / "release")
    purls = [component["purl"] for component in sbom.document()["components"] if "pkg:deb" in component.get("purl", "")]
    assert purls == ["pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13"]


FINE = Dependency("fine", "1")
BAD = Dependency("bad", "1", vulns=[Vulnerability("CVE-1", ["2"]), Vulnerability("CVE-2")])
UNKNOWN = Dependency("unknown", skip_reason="not found")


@pytest.mark.parametrize(
    ("dependencies", "code"),
    [([FINE], 0), ([FINE, BAD], EXIT_FOUND), ([BAD, UNKNOWN], EXIT_FOUND), ([FINE, UNKNOWN], EXIT_NOT_AUDITED), ([], EXIT_NOT_AUDITED)],
)
def test_only_an_audit_of_everything_that_found_nothing_passes(dependencies: list[Dependency], code: int) -> None:
    assert audit.judge(Answer(dependencies))[0] == code


def test_what_is_known_is_listed_with_the_version_that_mends_it() -> None:
    _, lines = audit.judge(Answer([BAD]))
    assert lines[:2] == ["bad 1: CVE-1, fixed in 2", "bad 1: CVE-2, fixed in no version yet"]


@pytest.mark.parametrize("said", ["no answer within 600 s", "ServiceError"])
def test_an_audit_that_did_not_run_says_so_and_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    monkeypatch.setattr(audit, "ask", lambda: said)
    assert audit.main() == EXIT_NOT_AUDITED
    assert capsys.readouterr().out == f"AUDIT NOT RUN: {said}\n"
