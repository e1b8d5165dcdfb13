"""Which adapter reads which brand: the one place that knows the brands. Called by `controller.polling`'s composition."""

from collections.abc import Mapping
from types import MappingProxyType

from integrations.capture import CaptureReader
from integrations.contract import Brand, VendorAdapter
from integrations.dele import capture as dele
from integrations.dele.adapter import DeleAdapter
from integrations.goodwe import capture as goodwe
from integrations.goodwe.adapter import GoodweAdapter
from integrations.huawei import capture as huawei
from integrations.huawei.adapter import HuaweiAdapter
from integrations.solis import capture as solis
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

CAPTURE_READERS: Mapping[Brand, CaptureReader] = MappingProxyType(
    {
        Brand.SOLIS: solis.read_capture,
        Brand.HUAWEI: huawei.read_capture,
        Brand.GOODWE: goodwe.read_capture,
        Brand.DELE: dele.read_capture,
    }
)
"""Read one payload on its own: for `solarinvest normalise`."""


def adapter_for(brand: Brand) -> VendorAdapter:
    return ADAPTERS[brand]
