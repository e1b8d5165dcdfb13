"""The image: `make image` builds it, `make image-verify` proves what docs/image.md says of it. Called by the end-to-end tests, too.

    python -m hack.image build|verify

Needs docker; the legacy builder is enough. Other bases by the environment: BASE=… .
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = metadata.version("solarinvest-monitor")
IMAGE = f"solarinvest-monitor:{VERSION}"
BASE = "python:3.13-slim"
USER = 10001
BUILD_SECONDS = 900
RUN_SECONDS = 120
MEGABYTE = 1_000_000
OVER_BASE_MAX_MB = 200
TOP = 5
COMPILERS = ("cc", "gcc", "c++", "g++", "ld", "make", "rustc", "go")

SURVEY = """
import collections, json, pathlib, shutil, sys
root, found, sizes = pathlib.Path(sys.argv[1]), [], collections.Counter()
packages = next(root.glob("lib/python*/site-packages"))
for path in root.rglob("*"):
    if path.suffix == ".pyc" or path.name in ("pip", "setuptools", "ensurepip", "wheel"):
        found.append(str(path))
    if path.is_file() and not path.is_symlink() and packages in path.parents:
        sizes[path.relative_to(packages).parts[0]] += path.stat().st_size
print(json.dumps({"left": found, "compilers": [name for name in sys.argv[2:] if shutil.which(name)], "sizes": sizes}))
"""
"""Run inside the image: what should not have stayed, and the bytes of each package."""


class ImageError(Exception):
    """The image could not be built, or is not what docs/image.md says; the message says what."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("command", choices=["build", "verify"])
    try:
        if arguments.parse_args().command == "build":
            print(f"{build()}: {over_base_mb(IMAGE):.0f} MB on top of {base()}")
        else:
            verify()
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def base() -> str:
    return os.environ.get("BASE") or BASE


def build(tag: str = IMAGE, context: Path = ROOT, *, anew: bool = False) -> str:
    """Builds the image, with `anew` without the builder's cache; its tag. Raises `ImageError`."""
    settings = {"BASE": base(), "VERSION": VERSION, "REVISION": _revision()}
    options = [f"--build-arg={name}={value}" for name, value in settings.items()] + ["--no-cache"] * anew
    docker("build", "--quiet", *options, "--tag", tag, str(context), bound_seconds=BUILD_SECONDS)
    return tag


def verify() -> None:
    """Builds the image twice from nothing and looks into it. Raises `ImageError` at the first thing that is not as it should be."""
    tags = []
    try:
        with tempfile.TemporaryDirectory(prefix="solarinvest-image-") as folder:
            context = Path(folder)
            _copy_context(context)
            for turn in (1, 2):
                tags.append(build(f"solarinvest-monitor:verify-{turn}", context, anew=True))
                # Whoever clones at another time has other file times, which must not matter.
                (context / "README.md").touch()
        one, two = map(layers, tags)
        if one != two:
            raise ImageError(f"two builds differ: layers {one} and {two}")
        print(f"two builds have the same {len(one)} layers; the newest is {one[-1]}")
        survey(tags[0])
    finally:
        if tags:
            docker("image", "rm", *tags)


def _copy_context(target: Path) -> None:
    """What .dockerignore lets into the image, and the two files that say so: an edit between two builds shall not make them differ."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in ("Dockerfile", ".dockerignore", *allowed):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target / name)


def survey(tag: str) -> None:
    """Prints what the image holds. Raises `ImageError` for what should not be in it."""
    found = json.loads(run_in(tag, "python", "-c", SURVEY, "/opt/solarinvest", *COMPILERS))
    if found["left"] or found["compilers"]:
        raise ImageError(f"left in the image: {[*found['left'], *found['compilers']]}")
    size = over_base_mb(tag)
    if size > OVER_BASE_MAX_MB:
        raise ImageError(f"{size:.0f} MB on top of {base()}; the limit is {OVER_BASE_MAX_MB}")
    print(f"no bytecode, pip or compiler; {size:.0f} MB on top of {base()}, of which the {TOP} largest are")
    for name, bytes_ in sorted(found["sizes"].items(), key=lambda part: -part[1])[:TOP]:
        print(f"  {bytes_ / MEGABYTE:6.1f} MB  {name}")
    print(run_in(tag, "solarinvest", "--version").strip())


def run_in(tag: str, *command: str) -> str:
    """What `command` prints in the image, as locked in as in a cluster: no rights, nothing writable but /tmp. Raises `ImageError`."""
    name, *arguments = command
    locked = ("--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", f"--user={USER}", "--network=none", f"--entrypoint={name}")
    return docker("run", *locked, tag, *arguments, bound_seconds=RUN_SECONDS)


def layers(tag: str) -> list[str]:
    found: list[str] = json.loads(docker("image", "inspect", "--format={{json .RootFS.Layers}}", tag))
    return found


def over_base_mb(tag: str) -> float:
    """Megabytes that the image adds to its base."""
    image, below = (int(docker("image", "inspect", "--format={{.Size}}", name)) for name in (tag, base()))
    return (image - below) / MEGABYTE


def exists(tag: str) -> bool:
    """Does this machine have the image?"""
    return bool(docker("image", "ls", "--quiet", tag).strip())


def docker(*arguments: str, bound_seconds: float = RUN_SECONDS) -> str:
    """What `docker ARGUMENTS` prints. Raises `ImageError` with its last lines."""
    try:
        done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=bound_seconds, check=False)
    except FileNotFoundError as error:
        raise ImageError("docker is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"docker {arguments[0]} took more than {bound_seconds:g} s") from error
    if done.returncode != 0:
        raise ImageError(f"docker {arguments[0]} failed:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-15:]))
    return done.stdout


def _revision() -> str:
    shown = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return shown.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
