"""docs/rules.md: which tests hold each rule of docs/domain.md. `python -m hack.rules` writes it; tests/unit/test_rules.py compares.

A rule is what follows a number such as **D2.1**; a test says `@pytest.mark.rule("D2.1")`. docs/rules-later.txt names the rules of
issues that are not done yet.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOMAIN, PAGE, LATER = ROOT / "docs" / "domain.md", ROOT / "docs" / "rules.md", ROOT / "docs" / "rules-later.txt"
SHOWN = 110
"""Characters of a rule in the table: enough to know it again; the page has it whole."""

HEAD = """# Rules and their tests

Made by `python -m hack.rules` from the numbers in [domain.md](domain.md) and the tests that are marked with them. A rule without a
test fails `make test`, unless [rules-later.txt](rules-later.txt) says which issue will bring it.

"""
_NUMBER = re.compile(r"\*\*(D\d+\.\d+)\*\* ")
_LATER = re.compile(r"(D\d+\.\d+) issue (\d+): (\S.*)")


def rules(page: str) -> dict[str, str]:
    """The rules of the page, in its order: number to text, on one line. Raises ValueError where one number stands twice."""
    parts = _NUMBER.split(page)[1:]
    found: dict[str, str] = {}
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        if number in found:
            raise ValueError(f"{number} stands twice")
        # A rule ends with its bullet or paragraph.
        found[number] = " ".join(re.split(r"\n\s*(?:\n|- |#|\d+\. )", text)[0].split())
    return found


def later(text: str) -> dict[str, int]:
    """The rules that are not tested yet, with the issue that will bring them. Raises ValueError at a line of another form."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _LATER.fullmatch(line)
        if match is None:
            raise ValueError(f"no line of the form 'D7.1 issue 7: why': {line}")
        found[match[1]] = int(match[2])
    return found


def marks(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Number, file and test name of every `@pytest.mark.rule(...)`, in the order of files and lines."""
    for path in sorted(folder.rglob("test_*.py")):
        name = path.relative_to(folder.parent).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield from ((number, name, node.name) for decorator in node.decorator_list for number in _numbers(decorator))


def page(known: Mapping[str, str], marked: Sequence[tuple[str, str, str]], postponed: Mapping[str, int]) -> str:
    """The whole of docs/rules.md."""
    lines = ["| rule | says | tests |", "|---|---|---|"]
    for number, text in known.items():
        tests = [f"[{test}](../{file})" for marked_number, file, test in marked if marked_number == number]
        if number in postponed:
            tests.append(f"issue {postponed[number]}")
        lines.append(f"| {number} | {_shortened(text)} | {'<br>'.join(tests)} |")
    return HEAD + "\n".join(lines) + "\n"


def current() -> str:
    """The page as the sources have it now."""
    return page(rules(DOMAIN.read_text()), list(marks(ROOT / "tests")), later(LATER.read_text()))


def _numbers(decorator: ast.expr) -> list[str]:
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rule"):
        return []
    return [argument.value for argument in decorator.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]


def _shortened(text: str) -> str:
    # Links, code and cells of the table would be torn by the cut.
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "").replace("|", "\\|")
    plain = plain.replace("<", "&lt;").replace("{", "&#123;")
    return plain if len(plain) <= SHOWN else plain[:SHOWN].rsplit(" ", 1)[0].rstrip(",;:. ") + " …"


if __name__ == "__main__":
    PAGE.write_text(current())
