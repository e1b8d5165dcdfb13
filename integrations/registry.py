"""Which adapter reads which brand: the one place that knows the brands. Called by `controller.polling`'s composition."""

from collections.abc import Mapping
from types import MappingProxyType

from integrations.contract import Brand, VendorAdapter
from integrations.dele.adapter import DeleAdapter
from integrations.goodwe.adapter import GoodweAdapter
from integrations.huawei.adapter import HuaweiAdapter
from integrations.solis.adapter import SolisAdapter

ADAPTERS: Mapping[Brand, VendorAdapter] = MappingProxyType(
    {
        Brand.SOLIS: SolisAdapter(),
        Brand.HUAWEI: HuaweiAdapter(),
        Brand.GOODWE: GoodweAdapter(),
        Brand.DELE: DeleAdapter(),
    }
)
"""Adapters are stateless: one instance a brand serves every plant and thread."""


def adapter_for(brand: Brand) -> VendorAdapter:
    return ADAPTERS[brand]
