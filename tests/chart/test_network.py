"""What the network policies allow, as a network that enforces them would: each needed way is open, and no other."""

from typing import Any, NamedTuple

import pytest

from tests.chart.conftest import SETS
from tests.chart.rendering import COMPONENT, INSTANCE, NAME, RELEASE, Object, Rendered, labels, render, selects

ANYWHERE = {"app": "somebody-else"}
"""Labels of a pod that is not ours."""


class Way(NamedTuple):
    """A connection: from whom, to whom (labels; None: an address outside), to which port."""

    source: dict[str, str] | None
    target: dict[str, str] | None
    port: int


def pod(component: str) -> dict[str, str]:
    return {NAME: "solarinvest-monitor", INSTANCE: RELEASE, COMPONENT: component}


def is_open(rendered: Rendered, way: Way, address: str = "203.0.113.7") -> bool:
    """Both ends must allow it; an end that no policy selects allows everything."""
    policies = [one["spec"] for one in rendered.of("NetworkPolicy")]
    return _allows(policies, "Egress", way.source, way.target, way.port, address) and _allows(
        policies, "Ingress", way.target, way.source, way.port, address
    )


def _allows(
    policies: list[Object], direction: str, own: dict[str, str] | None, other: dict[str, str] | None, port: int, address: str
) -> bool:
    if own is None:
        return True
    binding = [each for each in policies if direction in each["policyTypes"] and selects(each["podSelector"], own)]
    peers = "to" if direction == "Egress" else "from"
    rules = [rule for each in binding for rule in each.get(direction.lower(), [])]
    return not binding or any(_rule_allows(rule, peers, other, port, address) for rule in rules)


def _rule_allows(rule: Object, peers: str, other: dict[str, str] | None, port: int, address: str) -> bool:
    if "ports" in rule and port not in [each["port"] for each in rule["ports"]]:
        return False
    return peers not in rule or any(_is_peer(peer, other, address) for peer in rule[peers])


def _is_peer(peer: Object, other: dict[str, str] | None, address: str) -> bool:
    if "ipBlock" in peer:
        return other is None and peer["ipBlock"]["cidr"].split("/")[0] == address
    # Of another namespace, none of ours is.
    return other is not None and "namespaceSelector" not in peer and selects(peer["podSelector"], other)


ROLES = ("operator", "worker", "api", "migrate")
DATABASE, QUEUE, METRICS, HTTP, KUBERNETES = 5432, 6379, 9100, 8080, 6443


def test_in_the_demo_each_role_reaches_what_it_needs_and_nothing_else(demo: Rendered) -> None:
    found = {
        (source, target, port)
        for source in (*ROLES, "test", "postgres", "valkey")
        for target, port in (("postgres", DATABASE), ("valkey", QUEUE), ("operator", METRICS), ("api", HTTP))
        if is_open(demo, Way(pod(source), pod(target), port))
    }
    assert found == {
        *((role, "postgres", DATABASE) for role in ROLES),
        *((role, "valkey", QUEUE) for role in ("operator", "worker", "api")),
        ("test", "operator", METRICS),
        ("test", "api", HTTP),
    }


def test_servers_do_not_rely_on_what_others_may_send(demo: Rendered) -> None:
    """Each end by itself: one policy that is lost opens nothing."""
    policies = [one["spec"] for one in demo.of("NetworkPolicy")]

    def admitted(target: str, port: int) -> set[str]:
        sources = (*ROLES, "test", "postgres", "valkey")
        return {source for source in sources if _allows(policies, "Ingress", pod(target), pod(source), port, "")}

    assert admitted("postgres", DATABASE) == set(ROLES)
    assert admitted("valkey", QUEUE) == {"operator", "worker", "api"}
    assert admitted("migrate", METRICS) == set()


@pytest.mark.parametrize("port", [443, KUBERNETES, 80, DATABASE, QUEUE])
def test_only_the_operator_leaves_the_namespace_and_only_to_the_api_server(demo: Rendered, port: int) -> None:
    out = {source for source in (*ROLES, "test", "postgres", "valkey") if is_open(demo, Way(pod(source), None, port))}
    assert out == ({"operator"} if port in (443, KUBERNETES) else set())


def test_strangers_reach_metrics_and_the_api_alone(demo: Rendered) -> None:
    for port in (METRICS, HTTP, DATABASE, QUEUE):
        reached = {target for target in (*ROLES, "postgres", "valkey") if is_open(demo, Way(ANYWHERE, pod(target), port))}
        assert reached == {METRICS: {"operator", "worker", "api"}, HTTP: {"api"}}.get(port, set())


def test_external_servers_are_reached_at_their_addresses_and_ports(external: Rendered) -> None:
    def reached(address: str, port: int) -> set[str]:
        return {role for role in ROLES if is_open(external, Way(pod(role), None, port), address)}

    assert reached("10.20.0.0", 5433) == set(ROLES)
    assert reached("fd00::", 6380) == {"operator", "worker", "api"}
    assert reached("10.0.0.1", 6443) == {"operator"}
    assert reached("203.0.113.7", 5433) == reached("10.20.0.0", DATABASE) == reached("10.0.0.1", 443) == set()


def test_without_addresses_external_servers_are_reached_at_any() -> None:
    made = render(SETS["ha"])
    assert {role for role in ROLES if is_open(made, Way(pod(role), None, DATABASE))} == set(ROLES)
    assert {role for role in ROLES if is_open(made, Way(pod(role), None, QUEUE))} == {"operator", "worker", "api"}


def test_who_may_ask_can_be_told_and_the_test_always_may(external: Rendered) -> None:
    assert not is_open(external, Way(ANYWHERE, pod("worker"), METRICS))
    assert not is_open(external, Way(ANYWHERE, pod("api"), HTTP))
    assert is_open(external, Way(None, pod("api"), HTTP), "10.0.0.0")
    assert is_open(external, Way(pod("test"), pod("worker"), METRICS))
    assert is_open(external, Way(pod("test"), pod("api"), HTTP))


def test_all_pods_resolve_names_and_nothing_is_left_open(rendered: Rendered) -> None:
    if not rendered.values.get("networkPolicy", {}).get("enabled", True):
        assert rendered.of("NetworkPolicy") == []
        return
    specs = {one["metadata"]["name"].split("-", 1)[1]: one["spec"] for one in rendered.of("NetworkPolicy")}
    assert specs["deny"].keys() == {"podSelector", "policyTypes"}
    assert specs["deny"]["policyTypes"] == ["Ingress", "Egress"]
    for name, each in rendered.workloads():
        for policy in ("deny", "dns"):
            assert selects(specs[policy]["podSelector"], labels(each)), name
    [rule] = specs["dns"]["egress"]
    assert {(each["port"], each["protocol"]) for each in rule["ports"]} == {(53, "UDP"), (53, "TCP")}


def test_policies_name_pods_and_ports_that_there_are(rendered: Rendered) -> None:
    pods = [(labels(each), _ports(each)) for _, each in rendered.workloads()]
    for one in rendered.of("NetworkPolicy"):
        spec: Any = one["spec"]
        name = one["metadata"]["name"]
        selected = [ports for found, ports in pods if selects(spec["podSelector"], found)]
        assert selected, name
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                assert all(port["port"] in ports for ports in selected), name
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" in peer:
                    reached = [ports for found, ports in pods if selects(peer["podSelector"], found)]
                    assert reached, name
                    assert all(any(port["port"] in ports for ports in reached) for port in rule["ports"]), name


def _ports(each: Object) -> set[int]:
    return {port["containerPort"] for container in each["spec"]["containers"] for port in container.get("ports", [])}
