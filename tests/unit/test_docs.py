"""The pages say what the code says: metrics, settings, words, links, references; and nothing about the machine they were written on."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.tables import variables

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def tracked() -> list[Path]:
    """Files that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


# Settings and metrics: the tables are made by hack/generate.py, and tests/unit/test_generate.py compares them


def test_every_variable_has_a_reason() -> None:
    assert [name for name, _, reason in variables() if not reason] == []


# Words


def test_every_word_of_the_glossary_is_explained_once() -> None:
    words = [row[0].strip("`").lower() for row in glossary()]
    assert len(words) == len(set(words)) > 30
    assert [word for word in words if not word] == []


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = [row[0].strip("`").lower() for row in glossary()]
    assert words == sorted(words)


def glossary() -> list[list[str]]:
    lines = (DOCS / "glossary.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| word |")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if not line.startswith("|--")]


# Links and references


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            dead.append(target)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_rules_cited_in_code_exist() -> None:
    """`DOMAIN 5` is a section of docs/domain.md, `PROTOCOL 15` a rule of docs/protocol.md, `VENDORS 2` a section of docs/vendors.md."""
    known = {
        "DOMAIN": set(re.findall(r"^## (\d+)\.", (DOCS / "domain.md").read_text(), re.MULTILINE)),
        "PROTOCOL": set(re.findall(r"^(\d+)\.", (DOCS / "protocol.md").read_text(), re.MULTILINE)),
        "VENDORS": set(re.findall(r"^## (\d+)\.", (DOCS / "vendors.md").read_text(), re.MULTILINE)),
    }
    unknown = [
        f"{path.relative_to(ROOT)}: {cited} {number}"
        for path, text in texts(".py", ".lua", ".yaml", ".toml", ".sql")
        for cited, number in re.findall(r"\b(DOMAIN|PROTOCOL|VENDORS|DESIGN|PERFORMANCE|PITFALLS|STYLE) ?(\d*)\b", text)
        if path != Path(__file__) and (cited not in known or (number and number not in known[cited]))
    ]
    assert unknown == []


def test_make_targets_named_on_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(page.name, name) for page in pages() for name in re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)}
    assert {entry for entry in named if entry[1] not in targets} == set()
    assert len(named) > 10


def texts(*suffixes: str) -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if not suffixes or path.suffix in suffixes:
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


# Nothing of the machine


FOREIGN = {
    "a path of some machine": r"(?<![\w.$~{}/-])/(?:root|work|home/\w+|tmp/(?!pytest)\w+)/",
    "an index address": r"(?:pypi|pythonhosted|npmjs|crates|golang|maven|debian)\.(?:org|io|com)\b|--index-url https?:|proxy\.golang",
}


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:80]}"
        for path, text in texts()
        if path not in (Path(__file__), ROOT / "LICENSE")
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FOREIGN.items()
        if re.search(pattern, line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line", "name"),
    [
        # In two parts, so that no search for such lines finds this one.
        ("a path of some machine", "see /{}/.cache/x", "root"),
        ("a path of some machine", 'folder="/{}/x"', "work"),
        ("a path of some machine", "in /{}/ana/src", "home"),
        ("an index address", "https://{}.org/simple", "pypi"),
        ("an index address", "GOPROXY=https://proxy.{}.org", "golang"),
    ],
)
def test_such_a_line_would_be_found(what: str, line: str, name: str) -> None:
    assert re.search(FOREIGN[what], line.format(name))
