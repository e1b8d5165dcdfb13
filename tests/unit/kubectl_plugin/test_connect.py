import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kubectl_plugin.connect import Call, _refuse_failure, chosen_context, connect, kubeconfig_files
from controller.kubectl_plugin.troubles import Conflict, Expired, Forbidden, KubeconfigUnusable, NotFound, Trouble, Unreachable

GET = Call(verb="get", namespace="default", name="roof")


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def written(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({name.replace("_", "-"): value for name, value in content.items()}))
    return path


def cluster(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": f"https://{name}.invalid:6443", **fields}}


def context(name: str, **fields: str) -> dict[str, Any]:
    return {"name": name, "context": {"cluster": name, "user": name, **fields}}


def user(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "user": fields or {"token": "t"}}


def whole(path: Path, name: str, **fields: str) -> Path:
    """A kubeconfig of one context."""
    return written(path, clusters=[cluster(name)], contexts=[context(name, **fields)], users=[user(name)], current_context=name)


def test_the_context_names_cluster_and_namespace(tmp_path: Path) -> None:
    found = connect(whole(tmp_path / "a", "north", namespace="roofs"), None, None)
    assert (found.url, found.namespace) == ("https://north.invalid:6443", "roofs")
    assert connect(whole(tmp_path / "b", "south"), None, None).namespace == "default"
    assert connect(whole(tmp_path / "a", "north", namespace="roofs"), None, "mine").namespace == "mine"


def test_several_files_are_one_kubeconfig_whose_first_word_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl takes the first current-context; the client library the last."""
    north, south = whole(tmp_path / "north", "north"), whole(tmp_path / "south", "south", namespace="roofs")
    users_only = written(tmp_path / "more", users=[user("south", token="other")])
    (tmp_path / "empty").write_text("")
    paths = [tmp_path / "absent", tmp_path / "empty", users_only, north, south]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
    assert connect(None, None, None).url == "https://north.invalid:6443"
    found = connect(None, "south", None)
    assert (found.url, found.namespace) == ("https://south.invalid:6443", "roofs")


def test_kubeconfig_is_found_where_kubectl_finds_it(tmp_path: Path) -> None:
    own, other = written(tmp_path / "home" / ".kube" / "config"), written(tmp_path / "other")
    assert kubeconfig_files(None, {}) == [own]
    assert kubeconfig_files(None, {"KUBECONFIG": str(other)}) == [other]
    assert kubeconfig_files(None, {"KUBECONFIG": str(tmp_path / "absent")}) == []
    assert kubeconfig_files(other, {"KUBECONFIG": str(own)}) == [other]
    with pytest.raises(KubeconfigUnusable, match="there is no such file"):
        kubeconfig_files(tmp_path / "absent", {})


CASES = [
    "no YAML",
    "no text",
    "no mapping",
    "no current context",
    "a context that is not there",
    "contexts of another shape",
    "no cluster of that name",
    "a cluster without a server",
    "a server that is no URL",
    "a user of another shape",
    "an authority that is not there",
    "a credential plugin that is not there",
]


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    def alone(name: str, **content: Any) -> Path:
        return written(tmp_path / name, **content)

    (tmp_path / "tabs").write_text("a:\n\t- b: [")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text").write_text("just words")
    base = {"contexts": [context("a")], "current_context": "a"}
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-credential-plugin"}
    return {
        "no YAML": (tmp_path / "tabs", "is no YAML"),
        "no text": (tmp_path / "binary", "is no YAML"),
        "no mapping": (tmp_path / "text", "Expected `object`"),
        "no current context": (alone("none", contexts=[context("a")]), "no current-context"),
        "a context that is not there": (alone("other", contexts=[context("a")], current_context="b"), "no context b; there are: a"),
        "contexts of another shape": (alone("shape", contexts={"a": 1}, current_context="a"), "contexts"),
        "no cluster of that name": (alone("clusters", **base, clusters=[cluster("b")]), "has no cluster 'a', which context a names"),
        "a cluster without a server": (alone("server", **base, clusters=[{"name": "a", "cluster": {}}]), "missing required field `server`"),
        "a server that is no URL": (alone("url", **base, clusters=[{"name": "a", "cluster": {"server": "a:6443"}}]), "is no URL: a:6443"),
        "a user of another shape": (alone("user", **base, clusters=[cluster("a")], users=[{"name": "a", "user": 7}]), "context a"),
        "an authority that is not there": (
            alone("authority", **base, clusters=[cluster("a", **{"certificate-authority": "nowhere"})], users=[user("a")]),
            "nowhere",
        ),
        "a credential plugin that is not there": (
            alone("plugin", **base, clusters=[cluster("a")], users=[user("a", exec=command)]),
            "no-such-credential-plugin",
        ),
    }


@pytest.mark.parametrize("case", CASES)
def test_a_kubeconfig_that_cannot_be_used_is_one_clear_line(tmp_path: Path, case: str) -> None:
    cases = broken(tmp_path)
    assert list(cases) == CASES
    path, said = cases[case]
    with pytest.raises(KubeconfigUnusable) as caught:
        connect(path, None, None)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_in_a_broken_kubeconfig_is_not_shown(tmp_path: Path) -> None:
    secret = base64.b64encode(b"not to be seen").decode()
    path = written(tmp_path / "a", contexts=[context("a")], current_context="a", users=[user("a", token=secret)], clusters=[{"name": "a"}])
    with pytest.raises(KubeconfigUnusable) as caught:
        connect(path, None, None)
    assert secret not in str(caught.value)


def test_without_a_kubeconfig_there_is_nobody_to_ask() -> None:
    with pytest.raises(KubeconfigUnusable, match="there is no kubeconfig"):
        connect(None, None, None)


def status(code: int, message: str, **details: str) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details}).encode()


RBAC = (
    'plants.monitor.solarinvest.info "roof" is forbidden: User "ana" cannot patch resource "plants" in API group '
    '"monitor.solarinvest.info" in the namespace "default"'
)


@pytest.mark.parametrize(
    ("call", "code", "body", "kind", "said"),
    [
        (
            Call(verb="patch", namespace="default", name="roof"),
            403,
            status(403, RBAC),
            Forbidden,
            'user "ana" may not patch plants in namespace default; the ClusterRole solarinvest-plants-editor gives that right',
        ),
        (Call(verb="list"), 403, b"", Forbidden, "you may not list plants in all namespaces; the ClusterRole solarinvest-plants-viewer"),
        (GET, 403, status(403, "denied by policy quiet-hours"), Forbidden, "refuses to get plants in namespace default: denied by policy"),
        (GET, 401, status(401, "Unauthorized"), Forbidden, "does not accept your credentials (401)"),
        (GET, 404, status(404, "x", name="roof", kind="plants"), NotFound, "there is no plant roof in namespace default"),
        (GET, 404, b"404 page not found\n", NotFound, "this cluster knows no plants (monitor.solarinvest.info/v1alpha1); is the chart"),
        (Call(verb="list"), 404, b"404 page not found\n", NotFound, "is the chart solarinvest-monitor installed?"),
        (GET, 409, status(409, "modified"), Conflict, "modified"),
        (GET, 410, status(410, "too old"), Expired, "too old"),
        (GET, 429, b"", Unreachable, "cannot answer now (HTTP 429)"),
        (GET, 503, b"<html>\x1b[31m", Unreachable, "cannot answer now (HTTP 503)"),
        (GET, 422, status(422, "spec.suspend: Invalid\x1b"), Trouble, "refuses to get plants in namespace default: spec.suspend: Invalid?"),
    ],
)
def test_a_refusal_says_what_it_means(call: Call, code: int, body: bytes, kind: type[Trouble], said: str) -> None:
    with pytest.raises(Trouble) as caught:
        _refuse_failure(call, code, body)
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_the_first_file_with_a_context_of_that_name_gives_its_namespace(tmp_path: Path) -> None:
    first = whole(tmp_path / "1", "north", namespace="first")
    second = whole(tmp_path / "2", "north", namespace="second")
    assert chosen_context([first, second], None) == ("north", "first")
