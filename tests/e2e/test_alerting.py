"""A rule of the chart fires in a real Prometheus. It waits for minutes: late, but before operators restart, which begins them anew."""

from hack.devstack.waiting import wait_until
from tests.e2e.monitoring import Prometheus
from tests.e2e.product import Left, Product
from tests.e2e.test_scenarios import expected

FIRES_S = 420
"""`for` of the rule, and a minute to wait for the plants to be RED at all."""


def test_red_plants_raise_an_alert(product: Product, prometheus: Prometheus) -> None:
    fires = 'ALERTS{alertname="SolarinvestPlantRed",alertstate="firing"}'

    def silent() -> Left:
        return Left({"HUAWEI", "DELE"} - {series["metric"]["brand"] for series in prometheus.query(fires)})

    told = f"fault and offline are {expected()['fault']} and {expected()['offline']}"
    wait_until(silent, FIRES_S, f"SolarinvestPlantRed fires for both brands: {told}", every_seconds=2)
    print("firing:", sorted({series["metric"]["alertname"] for series in prometheus.query('ALERTS{alertstate="firing"}')}))
