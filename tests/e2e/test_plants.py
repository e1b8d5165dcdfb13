"""`kubectl get plants` and what stands behind it: the table, the conditions, and what people do to a Plant."""

import json
import re
from datetime import datetime

from hack.devstack.waiting import wait_until
from tests.e2e.product import Product, condition

SAMPLES = "default"
SAMPLE = "padaria-sol-nascente"
CONDITIONS = {"Accepted", "Polled", "DataFresh", "Producing", "Healthy", "Ready"}
ROW = re.compile(r"^(?P<name>\S+) +(?:SOLIS|HUAWEI|GOODWE|DELE) +GREEN +Reporting +[\d.]+k?W +[\d.]+kWh +\S+ +\S+$")
PUT_RIGHT_S = 60
AT_ONCE_S = 20


def test_every_row_of_the_table_is_filled(product: Product) -> None:
    rows = product.cluster.kubectl("get", "plants", f"--namespace={SAMPLES}", "--no-headers").splitlines()
    assert len(rows) == 4
    assert [row for row in rows if not ROW.match(row)] == []


def test_wide_columns_are_filled(product: Product) -> None:
    header, *rows = product.cluster.kubectl("get", "plants", f"--namespace={SAMPLES}", "--output=wide").splitlines()
    wide = header.split()[header.split().index("SEEN") + 1 :]
    assert {"READY", "ALERTS", "NEXT-POLL", "INTEGRATION", "VENDOR-ID"} <= set(wide)
    assert all(len(row.split()) == len(header.split()) and "True" in row and "ACTIVE" in row for row in rows)


def test_conditions_say_of_which_generation_they_speak(product: Product) -> None:
    for plant in product.plants(SAMPLES):
        conditions = plant["status"]["conditions"]
        assert {found["type"] for found in conditions} == CONDITIONS
        assert {found["observedGeneration"] for found in conditions} == {plant["metadata"]["generation"]}
        told = {found["type"]: found["status"] for found in conditions}
        assert [told[kind] for kind in ("Accepted", "Polled", "DataFresh", "Healthy", "Ready")] == ["True"] * 5


def test_kubectl_wait_works(product: Product) -> None:
    for wanted in ("condition=Ready", "jsonpath={.status.health}=GREEN"):
        product.cluster.kubectl("wait", "plant", "--all", f"--namespace={SAMPLES}", f"--for={wanted}", "--timeout=30s")


def test_plants_are_selected_by_brand_and_by_the_category_solar(product: Product) -> None:
    named = product.cluster.kubectl("get", "solar", f"--namespace={SAMPLES}", "--field-selector=spec.brand=SOLIS", "--output=name")
    assert named.split() == [f"plant.monitor.solarinvest.info/{SAMPLE}"]


def test_kubectl_explain_has_a_text_for_every_field(product: Product) -> None:
    for part in ("spec", "status"):
        told = product.cluster.kubectl("explain", f"plant.{part}")
        fields = re.findall(r"^  (\w+)\t<.*>.*\n(.*)$", told, re.MULTILINE)
        assert len(fields) > 8
        assert [name for name, text in fields if not text.strip()] == []


def test_a_status_that_was_edited_by_hand_is_put_right(product: Product) -> None:
    right = product.plant(SAMPLE, SAMPLES)["status"]["explain"]
    patch = json.dumps({"status": {"health": "RED", "reason": "Offline", "explain": ["somebody was here"]}})
    product.cluster.kubectl("patch", "plant", SAMPLE, f"--namespace={SAMPLES}", "--subresource=status", "--type=merge", f"--patch={patch}")
    product.wait_status(SAMPLE, SAMPLES, "GREEN Reporting", PUT_RIGHT_S)
    told = product.plant(SAMPLE, SAMPLES)["status"]["explain"]
    assert len(told) == len(right)
    assert "somebody was here" not in told


def test_a_changed_spec_is_polled_at_once(product: Product) -> None:
    before = product.plant(SAMPLE, SAMPLES)
    patch = json.dumps({"spec": {"displayName": f"Padaria {before['metadata']['generation'] + 1}"}})
    product.cluster.kubectl("patch", "plant", SAMPLE, f"--namespace={SAMPLES}", "--type=merge", f"--patch={patch}")
    wait_until(lambda: _is_polled_for(product, before["metadata"]["generation"] + 1), AT_ONCE_S, "polled for the new generation")
    after = product.plant(SAMPLE, SAMPLES)
    polled, was_polled = (datetime.fromisoformat(plant["status"]["lastPollTime"]) for plant in (after, before))
    assert polled > was_polled


def test_a_plant_that_no_schema_can_refuse_says_so_in_its_condition(product: Product) -> None:
    sample = product.plant(SAMPLE, SAMPLES)
    twin = {**sample, "metadata": {"name": "twin", "namespace": SAMPLES}, "status": None}
    product.cluster.apply({key: value for key, value in twin.items() if value is not None})
    try:
        wait_until(lambda: product.plant("twin", SAMPLES).get("status"), AT_ONCE_S, "a status of the twin")
        accepted = condition(product.plant("twin", SAMPLES), "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "DuplicateVendorPlant")
    finally:
        product.cluster.kubectl("delete", "plant", "twin", f"--namespace={SAMPLES}")


def _is_polled_for(product: Product, generation: int) -> bool:
    plant = product.plant(SAMPLE, SAMPLES)
    ready = condition(plant, "Ready")
    return bool(ready["status"] == "True" and ready["observedGeneration"] == generation)
