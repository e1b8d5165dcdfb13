"""Every rule of docs/domain.md has a number and a test that says so, and docs/rules.md lists them."""

import re
from pathlib import Path

import pytest

from hack import rules

KNOWN = rules.rules(rules.DOMAIN.read_text())
MARKED = list(rules.marks(rules.ROOT / "tests"))
LATER = rules.later(rules.LATER.read_text())


def test_every_rule_is_tested_or_belongs_to_a_later_issue() -> None:
    tested = {number for number, _, _ in MARKED}
    assert [f"{number}: {text}" for number, text in KNOWN.items() if number not in tested | LATER.keys()] == []


def test_a_rule_that_is_tested_is_no_longer_left_for_later() -> None:
    assert sorted({number for number, _, _ in MARKED} & LATER.keys()) == []


def test_only_rules_of_the_page_are_named() -> None:
    named = {number: file for number, file, _ in MARKED} | dict.fromkeys(LATER, rules.LATER.name)
    assert {number: file for number, file in named.items() if number not in KNOWN} == {}


def test_the_numbers_of_a_section_have_no_gap_and_lie_in_it() -> None:
    sections = re.split(r"(?m)^## (\d+)\.", rules.DOMAIN.read_text())
    for section, text in zip(sections[1::2], sections[2::2], strict=True):
        numbers = list(rules.rules(text))
        assert numbers == [f"D{section}.{place}" for place in range(1, len(numbers) + 1)]
        assert numbers


def test_the_page_is_what_the_sources_say() -> None:
    assert rules.PAGE.read_text() == rules.current(), "run: python -m hack.rules"


# The generator itself


def test_a_rule_ends_with_the_next_number_or_with_its_bullet() -> None:
    page = "## 1. A\n\n- **D1.1** One\n  two. **D1.2** Three.\n- four\n\n1. **D1.3** Five\n2. six\n\n**D1.4** Seven\n\nEight\n"
    assert rules.rules(page) == {"D1.1": "One two.", "D1.2": "Three.", "D1.3": "Five", "D1.4": "Seven"}
    with pytest.raises(ValueError, match=r"D1\.1 stands twice"):
        rules.rules("**D1.1** a **D1.1** b")


def test_marks_are_found_at_functions_and_methods_alike(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text(
        '@pytest.mark.rule("D1.1", "D1.2")\n@pytest.mark.fault\ndef test_one(): ...\n\n'
        'class TestB:\n    @pytest.mark.rule("D1.1")\n    def test_two(self): ...\n\n'
        '@pytest.mark.other("D1.3")\ndef test_three(): ...\n'
    )
    (tests / "helper.py").write_text('@pytest.mark.rule("D1.4")\ndef test_four(): ...\n')
    assert list(rules.marks(tests)) == [
        ("D1.1", "tests/test_a.py", "test_one"),
        ("D1.2", "tests/test_a.py", "test_one"),
        ("D1.1", "tests/test_a.py", "test_two"),
    ]


def test_what_is_left_for_later_says_for_which_issue_and_why() -> None:
    assert rules.later("# why\n\nD7.1 issue 7: no API yet\n") == {"D7.1": 7}
    for line in ("D7.1", "D7.1 issue 7:", "D7.1 later: no API"):
        with pytest.raises(ValueError, match="no line of the form"):
            rules.later(line)
