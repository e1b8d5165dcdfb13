"""Writes fixtures/<brand>/<scenario>.json: `python -m hack.make_fixtures [folder]`. Deterministic: the same code gives the same bytes.

The payloads have the fields, units and formats of each vendor's cloud; the values are invented (hack/recordings). A plant of each brand has
its own size and weather.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hack.recordings import dele, goodwe, huawei, solis
from hack.recordings.plants import Json

BRANDS: list[Callable[[], list[Json]]] = [solis.recordings, huawei.recordings, goodwe.recordings, dele.recordings]


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(recording: Json) -> Iterator[str]:
    """A header entry a line, a frame a line: short files, readable differences."""
    yield "{"
    for name, value in recording.items():
        if name != "answers":
            yield f"{compact(name)}:{compact(value)},"
    yield '"answers":{'
    paths = list(recording["answers"].items())
    for number, (path, answers) in enumerate(paths, 1):
        yield f"{compact(path)}:["
        yield ",\n".join(compact(frame) for frame in answers)
        yield "]," if number < len(paths) else "]"
    yield "}}"


def main(folder: Path) -> None:
    for recordings in BRANDS:
        for recording in recordings():
            target = folder / recording["brand"].lower() / f"{recording['scenario']}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(lines(recording)) + "\n", encoding="utf-8")
            print(f"{target}: {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures")
