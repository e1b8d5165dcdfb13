"""A record of every exchange, for those who must prove that a vendor was asked exactly as often as it should be.

Written only where `INTEGRATION_LEDGER_FILE` is set: one JSON line as an exchange begins and one as it ends.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from integrations.contract import Brand, PlantRef, VendorRequest


class ExchangeLedger:
    """Appends lines to one file. Several processes may share it: each line is one write."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def started(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest) -> None:
        self._write({"event": "begin", "tag": tag, "brand": brand, "vendor_plant_id": plant.vendor_plant_id, "path": request.path})

    def ended(self, tag: str, brand: Brand, plant: PlantRef, request: VendorRequest, error: BaseException | None) -> None:
        outcome = None if error is None else type(error).__name__
        self._write({"event": "end", "tag": tag, "brand": brand, "path": request.path, "error": outcome})

    def _write(self, line: dict[str, Any]) -> None:
        line |= {
            "pid": os.getpid(),
            "thread": threading.get_native_id(),
            "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
            "time": time.time(),
        }
        os.write(self._descriptor, msgspec.json.encode(line) + b"\n")
