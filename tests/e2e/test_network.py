"""The chart's NetworkPolicies, tried with real connections: what is needed passes, and nothing else does.

A policy is a request to the cluster's network. Where that does not heed it (kind's does since 0.24, many do not), nothing is denied: the
tests say so by name and are skipped, unless REQUIRE_NETPOL=1.
"""

import os

import pytest

from hack.e2e.cluster import CommandError
from hack.image import IMAGE
from tests.e2e.product import NAMESPACE, Product

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close(); print('connected')"
REFUSALS = ("TimeoutError", "ConnectionRefusedError", "No route to host")
DATABASE, QUEUE = (f"solarinvest-postgres.{NAMESPACE}", "5432"), (f"solarinvest-valkey.{NAMESPACE}", "6379")
API_SERVER = ("kubernetes.default", "443")


def require_denied(connected: bool, what: str) -> None:
    if not connected:
        return
    told = f"this cluster's network does not enforce NetworkPolicies: {what} was connected"
    if os.environ.get("REQUIRE_NETPOL") == "1":
        pytest.fail(told)
    pytest.skip(told)


def connects(product: Product, pod: str, address: tuple[str, str]) -> bool:
    try:
        return "connected" in product.execute(pod, "python", "-c", CONNECT, *address)
    except CommandError as error:
        if not any(sign in str(error) for sign in REFUSALS):
            raise
        return False


def test_policies_select_every_pod_of_the_release(product: Product) -> None:
    policies = {
        policy["metadata"]["name"]: policy["spec"] for policy in product.cluster.items("networkpolicies", f"--namespace={NAMESPACE}")
    }
    assert set(policies["solarinvest-deny"]["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & set(policies["solarinvest-deny"])
    wanted = policies["solarinvest-deny"]["podSelector"]["matchLabels"].items()
    pods = product.pods()
    assert len(pods) >= 8
    assert [pod["metadata"]["name"] for pod in pods if not wanted <= pod["metadata"]["labels"].items()] == []


@pytest.mark.parametrize(("component", "address"), [("operator", DATABASE), ("operator", API_SERVER), ("worker", QUEUE), ("api", DATABASE)])
def test_what_a_role_needs_it_reaches(product: Product, component: str, address: tuple[str, str]) -> None:
    assert connects(product, product.one_pod(component), address)


def test_the_servers_refuse_a_pod_of_another_namespace(product: Product) -> None:
    for host, port in (DATABASE, QUEUE):
        code, told = product.run_pod("intruder", "default", ["python", "-c", CONNECT, host, port], image=IMAGE)
        assert (code == 0) is ("connected" in told)
        require_denied(code == 0, f"{host}:{port} from another namespace")


@pytest.mark.parametrize("component", ["worker", "api"])
def test_only_the_operator_reaches_the_api_server(product: Product, component: str) -> None:
    require_denied(connects(product, product.one_pod(component), API_SERVER), f"the API server from {component}")


def test_a_worker_reaches_no_vendor(product: Product) -> None:
    # An address of the cluster stands for the world: the API server's, on the port of vendors' clouds.
    host = product.cluster.get("service", "kubernetes", "--namespace=default")["spec"]["clusterIP"]
    require_denied(connects(product, product.one_pod("worker"), (host, "443")), "port 443 from a worker")
