"""Asks the vulnerability service about every pinned dependency: `make audit`.

Exit code 0: all were looked up, and nothing is known against them. 1: something is known; it is listed. 3: not all could be looked up, so
nothing is said. pip-audit alone would call the last one a success.
"""

import subprocess
import sys
from pathlib import Path

import msgspec

REQUIREMENTS = ("requirements/run.txt", "requirements/dev.txt")
WITHIN_S = 600
SOCKET_WITHIN_S = 10
EXIT_FOUND, EXIT_NOT_AUDITED = 1, 3


class Vulnerability(msgspec.Struct, frozen=True):
    id: str
    fix_versions: list[str] = []


class Dependency(msgspec.Struct, frozen=True):
    name: str
    version: str = ""
    skip_reason: str | None = None
    vulns: list[Vulnerability] = []


class Answer(msgspec.Struct, frozen=True):
    dependencies: list[Dependency]


def judge(answer: Answer) -> tuple[int, list[str]]:
    """The exit code, and what to print."""
    known = [
        f"{one.name} {one.version}: {vulnerability.id}, fixed in {', '.join(vulnerability.fix_versions) or 'no version yet'}"
        for one in answer.dependencies
        for vulnerability in one.vulns
    ]
    skipped = [one.name for one in answer.dependencies if one.skip_reason is not None]
    asked = len(answer.dependencies) - len(skipped)
    if known:
        return EXIT_FOUND, [*known, f"{len(known)} known vulnerabilities in {asked} dependencies"]
    if skipped or not asked:
        return EXIT_NOT_AUDITED, [f"AUDIT NOT RUN: the service knows nothing of {len(skipped)} of {len(answer.dependencies)} dependencies"]
    return 0, [f"{asked} dependencies, no known vulnerability"]


def ask() -> Answer | str:
    """What pip-audit found, or why it did not get that far."""
    command: list[str] = [str(Path(sys.executable).parent / "pip-audit"), "--format", "json", "--progress-spinner", "off"]
    command += ["--disable-pip", "--require-hashes", "--timeout", str(SOCKET_WITHIN_S)]
    command += [argument for file in REQUIREMENTS for argument in ("--requirement", file)]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {WITHIN_S} s"
    try:
        return msgspec.json.decode(asked.stdout, type=Answer)
    except msgspec.DecodeError:
        return next(reversed(asked.stderr.strip().splitlines()), "pip-audit said nothing")


def main() -> int:
    answer = ask()
    code, lines = (EXIT_NOT_AUDITED, [f"AUDIT NOT RUN: {answer}"]) if isinstance(answer, str) else judge(answer)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return code


if __name__ == "__main__":
    sys.exit(main())
