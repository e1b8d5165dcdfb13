"""Who may do what in the cluster, asked of its API server: the operator what it needs, other pods nothing, people by role."""

import subprocess

import pytest

from hack.e2e.cluster import CommandError
from tests.e2e.product import NAMESPACE, Product

OPERATOR = f"system:serviceaccount:{NAMESPACE}:solarinvest-operator"
OTHERS = f"system:serviceaccount:{NAMESPACE}:solarinvest"
VIEWER, EDITOR, STRANGER = "viewer@example.test", "editor@example.test", "stranger@example.test"
PLANTS, STATUS = "plants.monitor.solarinvest.info", "plants.monitor.solarinvest.info/status"
MATRIX = [
    (OPERATOR, "list", PLANTS, "default", True),
    (OPERATOR, "watch", PLANTS, "default", True),
    (OPERATOR, "patch", STATUS, "default", True),
    (OPERATOR, "create", "events", "default", True),
    (OPERATOR, "patch", PLANTS, "default", False),
    (OPERATOR, "create", PLANTS, "default", False),
    (OPERATOR, "delete", PLANTS, "default", False),
    (OPERATOR, "get", "secrets", NAMESPACE, False),
    (OPERATOR, "list", "secrets", "default", False),
    (OPERATOR, "list", "pods", NAMESPACE, False),
    (OPERATOR, "create", "pods", NAMESPACE, False),
    (OPERATOR, "get", "configmaps", NAMESPACE, False),
    (OPERATOR, "patch", "customresourcedefinitions", "default", False),
    (OPERATOR, "list", "namespaces", "default", False),
    (OPERATOR, "*", "*", "default", False),
    (OTHERS, "list", PLANTS, "default", False),
    (OTHERS, "patch", STATUS, "default", False),
    (OTHERS, "get", "secrets", NAMESPACE, False),
    (OTHERS, "list", "pods", NAMESPACE, False),
    (OTHERS, "create", "events", "default", False),
    (VIEWER, "list", PLANTS, "default", True),
    (VIEWER, "watch", PLANTS, "default", True),
    (VIEWER, "patch", PLANTS, "default", False),
    (VIEWER, "patch", STATUS, "default", False),
    (VIEWER, "list", PLANTS, "kube-system", False),
    (EDITOR, "list", PLANTS, "default", True),
    (EDITOR, "create", PLANTS, "default", True),
    (EDITOR, "patch", PLANTS, "default", True),
    (EDITOR, "delete", PLANTS, "default", True),
    (EDITOR, "patch", STATUS, "default", False),
    (EDITOR, "create", PLANTS, "kube-system", False),
    (STRANGER, "list", PLANTS, "default", False),
]


@pytest.fixture(scope="module", autouse=True)
def people(product: Product) -> None:
    """Two people with Kubernetes' own roles in one namespace: what they may do with Plants, the chart's aggregated roles add."""
    for user, role in ((VIEWER, "view"), (EDITOR, "edit")):
        product.cluster.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": f"e2e-{role}", "namespace": "default"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            }
        )


@pytest.mark.parametrize(("who", "verb", "what", "namespace", "allowed"), MATRIX, ids=lambda value: str(value).rpartition(":")[2])
def test_rights(product: Product, who: str, verb: str, what: str, namespace: str, allowed: bool) -> None:
    resource, _, subresource = what.partition("/")
    more = [f"--subresource={subresource}"] if subresource else []
    assert _may(product, verb, resource, f"--as={who}", f"--namespace={namespace}", *more) is allowed


def test_a_worker_has_nothing_to_show_to_the_api_server(product: Product) -> None:
    for component in ("worker", "api"):
        with pytest.raises(CommandError):
            product.execute(product.one_pod(component), "ls", "/var/run/secrets/kubernetes.io")


def _may(product: Product, *question: str) -> bool:
    command = ("kubectl", f"--context={product.cluster.context}", "auth", "can-i", "--quiet", *question)
    done = subprocess.run(command, env=product.cluster.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0
