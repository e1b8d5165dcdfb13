"""The commands of README.md's section on clusters, as a reader would type them. Called by tests/e2e, so that they stay true."""

import re
import shlex
from pathlib import Path

HEADING = re.compile(r"^## .*cluster.*$", re.MULTILINE | re.IGNORECASE)
TYPED = ("helm", "kubectl")
"""What a run hands to the cluster; making image and cluster is the run's own work."""
ENDLESS = ("-w", "--watch")


def commands(readme: Path) -> list[str]:
    """The helm and kubectl lines of the section's first block of code, without comments. Raises ValueError where there are none."""
    text = readme.read_text()
    heading = HEADING.search(text)
    if heading is None:
        raise ValueError(f"{readme.name} has no section on clusters")
    section = text[heading.end() :].split("\n## ")[0]
    block = section.split("```")[1].partition("\n")[2].replace("\\\n", " ") if "```" in section else ""
    found = [words for line in block.splitlines() if (words := shlex.split(line, comments=True)) and words[0] in TYPED]
    if not any(words[:2] == ["helm", "install"] for words in found):
        raise ValueError(f"{readme.name}, section {heading.group()[3:]!r}: its first block of code has no `helm install`")
    return [shlex.join(words) for words in found if not set(ENDLESS) & set(words)]
