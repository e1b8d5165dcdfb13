"""A stranger with the README, in a namespace that enforces Pod Security's level restricted."""

import pytest

from hack.e2e.cluster import CommandError
from hack.e2e.install import commands
from hack.image import IMAGE
from tests.e2e.conftest import FILLED_S, ROOT
from tests.e2e.product import DEPLOYMENTS, NAMESPACE, RELEASE, Product, as_json, restricted_pod


def test_the_commands_of_the_readme_fill_the_table_within_three_minutes(install_seconds: float, product: Product) -> None:
    table = product.cluster.kubectl("get", "plants", "-A")
    print(f"\n{table}\nfilled {install_seconds:.0f} s after the first command: {commands(ROOT / 'README.md')}")
    assert table.split("\n")[0].split() == ["NAMESPACE", "NAME", "BRAND", "STATUS", "REASON", "POWER", "TODAY", "SEEN", "AGE"]
    assert install_seconds < FILLED_S


def test_every_role_runs_and_the_chart_tests_itself(product: Product) -> None:
    product.wait_rolled_out(*DEPLOYMENTS)
    told = product.cluster.helm("test", RELEASE, f"--namespace={NAMESPACE}", "--logs")
    assert "Succeeded" in told


def test_the_namespace_refuses_a_pod_that_is_not_restricted(product: Product) -> None:
    with pytest.raises(CommandError, match='violates PodSecurity "restricted'):
        product.cluster.apply(restricted_pod("too-free", NAMESPACE, ["true"], image=IMAGE, privileged=True, allowPrivilegeEscalation=True))


def test_a_misspelt_value_is_refused_with_its_path(product: Product) -> None:
    with pytest.raises(CommandError, match=r"operator.*replica"):
        product.cluster.helm("template", "x", "charts/solarinvest-monitor", "--set=postgres.demo.enabled=true,operator.replica=2")


def test_the_chart_passes_helm_lint(product: Product) -> None:
    values = "charts/solarinvest-monitor/ci/demo-values.yaml"
    assert "0 chart(s) failed" in product.cluster.helm("lint", "--strict", "charts/solarinvest-monitor", f"--values={values}")


def test_files_of_the_image_cannot_be_changed_by_what_runs_in_it(product: Product) -> None:
    for component in ("operator", "worker", "api"):
        with pytest.raises(CommandError, match="Read-only file system"):
            product.execute(product.one_pod(component), "touch", "/opt/solarinvest/x")
        assert product.execute(product.one_pod(component), "id", "-u").strip() == "10001"


def test_only_the_operator_has_a_token_for_the_api_server(product: Product) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    product.execute(product.one_pod("operator"), "test", "-s", token)
    for component in ("worker", "api"):
        with pytest.raises(CommandError):
            product.execute(product.one_pod(component), "test", "-e", token)


def test_the_migration_of_the_first_revision_has_succeeded(product: Product) -> None:
    job = as_json(product.cluster.kubectl("get", "job", "solarinvest-migrate-1", f"--namespace={NAMESPACE}", "--output=json"))
    assert job["status"]["succeeded"] == 1
