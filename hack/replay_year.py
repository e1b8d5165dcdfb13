"""Writes a year of a plant for measuring `solarinvest replay` (docs/replay.md): `python -m hack.replay_year FOLDER`.

A poll every ten minutes, a daily job every night, three days without answers, a day and a half with a critical alarm; clouds by a
fixed seed. For speed only: nothing is judged by this weather.
"""

import json
import math
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

BEGIN = datetime(2025, 1, 1, 3, tzinfo=UTC)
"""Midnight in Sao Paulo, whose clock has stood at UTC-3 since 2019."""
POLLS_A_DAY = 144
PLANT = {
    "brand": "SOLIS",
    "vendorPlantId": "X",
    "timezone": "America/Sao_Paulo",
    "pollInterval": "10m",
    "location": {"latitude": -23.5, "longitude": -46.6},
    "capacityKWp": 5.0,
    "createdAt": "2025-01-01T03:00:00Z",
}


def lines() -> Iterator[dict[str, object]]:
    """The year's lines in time order."""
    clouds, total = random.Random(2025), 1000.0
    for day in range(365):
        clear, energy = clouds.choice((1.0, 1.0, 0.8, 0.5, 0.15)), 0.0
        for poll in range(POLLS_A_DAY):
            at = BEGIN + timedelta(days=day, minutes=10 * poll)
            power = max(0.0, 5000 * clear * math.sin(math.pi * (poll - 36) / 72))
            energy, total = energy + power / 6000, total + power / 6000
            if 100 <= day < 103:
                yield {"at": _iso(at), "result": "ERROR", "error_type": "NETWORK_TIMEOUT"}
            else:
                yield _success(at, power, energy, total, has_fault=4000 < day * POLLS_A_DAY + poll < 4200)
        night = BEGIN + timedelta(days=day, hours=23, minutes=52)
        date = (night - timedelta(hours=3)).date().isoformat()
        yield {"at": _iso(night), "result": "DAYS", "date": date, "days": {date: round(energy, 2)}}


def _success(at: datetime, power: float, energy: float, total: float, has_fault: bool) -> dict[str, object]:
    fault = {"code": "1015", "device_sn": "SN", "severity": "CRITICAL", "message": "grid lost", "occurred_at": _iso(at), "is_active": True}
    return {
        "at": _iso(at),
        "result": "SUCCESS",
        "reading": {
            "sampled_at": _iso(at),
            "last_seen_at": _iso(at),
            "current_power_w": round(power, 1),
            "today_energy_kwh": round(energy, 2),
            "total_energy_kwh": round(total, 2),
            "grid_injection_power_w": None,
        },
        "alarms": [fault] if has_fault else [],
        "alarms_complete": True,
    }


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant.json").write_text(json.dumps(PLANT))
    with (folder / "readings.jsonl").open("w") as readings:
        readings.writelines(json.dumps(line) + "\n" for line in lines())
