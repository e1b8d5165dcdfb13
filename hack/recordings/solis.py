"""The invented plant at SolisCloud, in that cloud's words (VENDORS 1)."""

from datetime import time, timedelta
from typing import Any

from hack.recordings import stories
from hack.recordings.plants import DAY, Json, Sample, Site, ms
from hack.recordings.stories import Moment, Story, Week, always, frame, header, lifetime

DETAIL = "/v1/api/stationDetail"
MONTH = "/v1/api/stationMonth"
ALARMS = "/v1/api/alarmList"
PATHS = (DETAIL, MONTH, ALARMS)

SITE = Site("SOLIS", "1298491919448000001", 6.6, 0.80, 0.45, 0.4, 12510.0, 450)
SERIAL = "10F0000000000001"


def recordings() -> list[Json]:
    """Every scenario of the brand."""
    told = [tell(story(SITE)) for story in stories.STORIES]
    return [*told, tell(stories.late_reset(SITE)), pec(), *_refusals()]


def tell(story: Story) -> Json:
    day_kwh = _energy(story.final)
    return {
        **header(SITE, story.name),
        "instants": {
            DETAIL: {"/data/dataTimestamp": "epoch_ms_text"},
            MONTH: {"/data/*/date": "epoch_ms"},
            ALARMS: {"/data/records/*/alarmBeginTime": "epoch_ms", "/data/records/*/alarmEndTime": "epoch_ms"},
        },
        "local_dates": {MONTH: {"/data/*/dateStr": "yyyy-MM-dd"}},
        "counters": {
            DETAIL: {
                "/data/allEnergy1": {"per_day": day_kwh, "decimals": 3},
                "/data/allEnergy": {"per_day": round(day_kwh / 1000, 6), "decimals": 3},
            }
        },
        "answers": {
            DETAIL: [frame(moment.at, _detail(moment, story)) for moment in story.moments],
            MONTH: [frame(week.at, _month(week)) for week in story.weeks],
            ALARMS: always(_alarms(story.fault)),
        },
    }


def pec() -> Json:
    """A healthy day in which numbers come in one unit, their unit texts say another and the multipliers make up for it."""
    recording = tell(stories.ordinary(SITE, "pec"))
    for answer in recording["answers"][DETAIL]:
        data = answer["body"]["data"]
        data |= {"power": round(data["power"] * 1000, 1), "powerPec": "0.001"}
        data |= {"psum": str(round(data["psum"] * 1000, 1)), "psumPec": "0.001"}
        data |= {"dayEnergy": data["dayEnergy"], "dayEnergyStr": "MWh", "dayEnergyPec": "0.001"}
        data |= {"allEnergy": data["allEnergy1"], "allEnergyStr": "MWh", "allEnergyPec": "0.001"}
        del data["allEnergy1"]
    for answer in recording["answers"][MONTH]:
        for number, row in enumerate(answer["body"]["data"]):
            if number % 2:
                row |= {"energy": str(round(row["energy"] * 1000)), "energyStr": "MWh", "energyPec": "0.000001"}
    per_day = recording["counters"][DETAIL]["/data/allEnergy1"]
    recording["counters"][DETAIL] = {"/data/allEnergy": per_day}
    return recording


def _refusals() -> list[Json]:
    def error(code: str, text: str, success: bool = False) -> Json:
        return {"body": {"success": success, "code": code, "msg": text, "data": None}}

    return [
        stories.refusing(SITE, "auth-error", PATHS, error("R0000", "No authority")),
        stories.refusing(SITE, "rate-limit", PATHS, error("R0000", "No authority too many request 200 times in 1DAYS")),
        stories.refusing(SITE, "timeout", PATHS, {"fails": "NETWORK_TIMEOUT"}),
        stories.refusing(SITE, "not-found", PATHS, error("1", "数据异常 请联系管理员", success=True)),
        stories.malformed(SITE, PATHS, _envelope("maintenance")),
    ]


def _energy(sample: Sample) -> float:
    return round(sample.today_kwh, 1)


def _lifetime(sample: Sample, story: Story) -> float:
    return round(lifetime(SITE, sample, _energy(story.final), round(sample.energy_kwh, 1)), 3)


def _envelope(data: Any) -> Json:
    return {"success": True, "code": "0", "msg": "success", "data": data}


def _detail(moment: Moment, story: Story) -> Json:
    now = moment.sample
    energy, total = _energy(now), _lifetime(now, story)
    return _envelope(
        {
            "id": SITE.plant_id,
            "userId": "1298491919448631111",
            "stationName": "Usina Exemplo",
            "sno": "102AA",
            "state": 3 if story.fault else 1 if moment.online else 2,
            "stateExceptionFlag": 0 if moment.online else 1,
            "dataTimestamp": str(now.ms),
            "timeZone": -3.0,
            "timeZoneStr": "(UTC-03:00)",
            "timeZoneName": "(UTC-03:00)America/Sao_Paulo",
            "timeZoneStandardId": "America/Sao_Paulo",
            "daylight": 0,
            "daylightSwitch": 0,
            "capacity": SITE.capacity_kwp,
            "capacityStr": "kWp",
            "capacityPec": "1",
            "power": round(now.power_w / 1000, 3),
            "powerStr": "kW",
            "powerPec": "1",
            "dayEnergy": energy,
            "dayEnergyStr": "kWh",
            "monthEnergy": round(402.0 + energy, 3),
            "monthEnergyStr": "kWh",
            "yearEnergy": round(402.0 + energy, 3),
            "yearEnergyStr": "kWh",
            "allEnergy": round(total / 1000, 3),
            "allEnergyStr": "MWh",
            "allEnergy1": total,
            "psum": round(now.grid_w / 1000, 3),
            "psumStr": "kW",
            "psumPec": "1",
            "psumZheng": max(0.0, now.grid_w),
            "psumFu": max(0.0, -now.grid_w),
            "gridSellDayEnergy": round(now.export_kwh, 1),
            "gridSellDayEnergyStr": "kWh",
            "gridPurchasedDayEnergy": round(now.import_kwh, 1),
            "gridPurchasedDayEnergyStr": "kWh",
            "homeLoadEnergy": round(now.load_kwh, 1),
            "homeLoadEnergyStr": "kWh",
            "familyLoadPower": round(now.load_w / 1000, 3),
            "familyLoadPowerStr": "kW",
            "batteryPower": 0.0,
            "batteryPowerStr": "kW",
            "fullHour": round(energy / SITE.capacity_kwp, 2),
            "dayIncome": round(energy * 0.9, 2),
            "dayIncomeUnit": "BRL",
            "money": "BRL",
            "price": 0.9,
            "inverterCount": 1,
            "inverterOnlineCount": int(moment.online),
            "alarmCount": int(story.fault),
        }
    )


def _month(week: Week) -> Json:
    def row(days: int, of: Sample | None) -> Json:
        energy = None if of is None else round(of.energy_kwh, 1)
        return {
            "id": str(1308652875882000010 + days),
            "energy": energy,
            "energyStr": "kWh",
            "energyPec": "1",
            "date": ms(time(1), days),  # 04:00Z, as the vendor has it: no one's midnight
            "dateStr": (DAY + timedelta(days=days)).isoformat(),
            "timeZone": -3,
            "fullHour": None if energy is None else round(energy / SITE.capacity_kwp, 2),
            "money": None if energy is None else round(energy * 0.9, 2),
            "moneyStr": "BRL",
            "moneyPec": "1",
            "gridSellEnergy": None if of is None else round(of.export_kwh, 1),
            "gridPurchasedEnergy": None if of is None else round(of.import_kwh, 1),
            "homeLoadEnergy": None if of is None else round(of.load_kwh, 1),
            "errorFlag": 0,
        }

    return _envelope([row(days, of) for days, of in stories.rows(week)])


def _alarms(fault: bool) -> Json:
    def row(code: str, text: str, level: str, state: str, began: int, ended: int) -> Json:
        return {
            "id": "-1",
            "stationId": SITE.plant_id,
            "stationName": "Usina Exemplo",
            "alarmDeviceSn": SERIAL,
            "alarmDeviceType": "3",
            "alarmType": 0,
            "alarmLevel": level,
            "alarmCode": code,
            "alarmMsg": text,
            "advice": "",
            "alarmBeginTime": began,
            "alarmEndTime": ended,
            "alarmLong": str(ended - began),
            "state": state,
            "model": "1e",
            "warningInfoData": 0,
            "type": 0,
        }

    rows = [row("1010", "OV-G-V", "1", "2", ms(time(15), -2), ms(time(15, 35), -2))]
    if fault:
        # Pending although it has an end: so does the vendor's own sample.
        rows.insert(0, row("1015", "NO-Grid", "3", "0", ms(time(14, 10), -1), ms(time(23, 50), -1)))
    return _envelope({"total": len(rows), "size": 100, "current": 1, "pages": 1, "records": rows})
