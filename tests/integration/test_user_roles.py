"""What people may do with Plants, on a real API server: manifests/rbac/users.yaml, asked as `kubectl auth can-i` asks.

The API server itself does not aggregate roles, the controller manager does; here its one rule is applied to what the server has stored.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from hack.devstack.control_plane import ControlPlane
from hack.devstack.program import DevStackError
from hack.devstack.waiting import wait_until

RBAC = "/apis/rbac.authorization.k8s.io/v1"
VIEWER, EDITOR = "solarinvest-plants-viewer", "solarinvest-plants-editor"
READ, WRITE = {"get", "list", "watch"}, {"create", "update", "patch", "delete"}
VERBS = READ | WRITE | {"deletecollection"}


@pytest.fixture(scope="module")
def users(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """ana is bound to the viewer in the namespace default, bruno to the editor, and eva to nothing."""
    control_plane.revive()
    for user, role in (("ana", VIEWER), ("bruno", EDITOR)):
        control_plane.kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}")
    # The authoriser learns of a binding by a watch.
    wait_until(lambda: may(control_plane, "ana", "get", "plants") and may(control_plane, "bruno", "create", "plants"), 15, "the bindings")
    yield control_plane
    control_plane.kubectl("delete", "rolebinding", "ana", "bruno")


def may(cluster: ControlPlane, user: str, verb: str, what: str, namespace: str = "default") -> bool:
    resource, _, subresource = what.partition("/")
    options = [f"--as={user}", f"--namespace={namespace}", *([f"--subresource={subresource}"] if subresource else [])]
    try:
        return cluster.kubectl("auth", "can-i", verb, f"{resource}.monitor.solarinvest.info", *options).strip() == "yes"
    except DevStackError:
        # It says no by its exit code, too.
        return False


@pytest.mark.parametrize(("user", "allowed"), [("ana", READ), ("bruno", READ | WRITE), ("eva", set())])
def test_each_role_allows_its_verbs_and_no_others(users: ControlPlane, user: str, allowed: set[str]) -> None:
    assert {verb for verb in VERBS if may(users, user, verb, "plants")} == allowed


@pytest.mark.parametrize("user", ["ana", "bruno"])
def test_nobody_but_the_operator_may_write_a_status(users: ControlPlane, user: str) -> None:
    assert {verb for verb in VERBS if may(users, user, verb, "plants/status")} == set()
    assert not may(users, user, "get", "plants", namespace="kube-system"), "nor look into other namespaces"


@pytest.mark.parametrize(("role", "allowed"), [("view", READ), ("edit", READ | WRITE), ("admin", READ | WRITE)])
def test_kubernetes_own_roles_take_ours_up(users: ControlPlane, role: str, allowed: set[str]) -> None:
    own = users.request("GET", f"{RBAC}/clusterroles/{role}")
    verbs: set[str] = set()
    for selector in own["aggregationRule"]["clusterRoleSelectors"]:
        query = ",".join(f"{label}={value}" for label, value in selector["matchLabels"].items())
        for found in users.request("GET", f"{RBAC}/clusterroles?labelSelector={query}")["items"]:
            verbs |= {verb for rule in found.get("rules") or () if covers_plants(rule) for verb in rule["verbs"]}
    assert verbs == allowed


def covers_plants(rule: dict[str, Any]) -> bool:
    return "monitor.solarinvest.info" in rule.get("apiGroups", ()) and "plants" in rule.get("resources", ())
