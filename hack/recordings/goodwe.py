"""The invented plant at GoodWe's SEMS portal, in that cloud's words (VENDORS 3)."""

from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hack.recordings import stories
from hack.recordings.plants import DAY, Json, Site, local, us
from hack.recordings.stories import Moment, Story, Week, always, frame, header, lifetime

DETAIL = "/v3/PowerStation/GetMonitorDetailByPowerstationId"
CHART = "/v2/Charts/GetChartByPlant"
WARNINGS = "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition"
PATHS = (DETAIL, CHART, WARNINGS)
SEMS = "http://us.semsportal.com:82/api"

SITE = Site("GOODWE", "11111111-2222-4333-8444-555555555555", 5.2, 0.83, 0.55, 2.6, 9870.0, 380)
SERIAL = "56000ABC21W00001"
CHINA = ZoneInfo("Asia/Shanghai")

AMERICAN = "local MM/dd/yyyy HH:mm:ss"
BLANKS = "local MM/dd/yyyy HH: mm: ss"


def recordings() -> list[Json]:
    """Every scenario of the brand."""
    told = [tell(story(SITE)) for story in stories.STORIES]
    return [*told, tell(stories.late_reset(SITE)), blank_times(), no_kpi(), *_refusals()]


def tell(story: Story) -> Json:
    final = story.final
    counter = {"per_day": round(final.energy_kwh, 1), "decimals": 1}
    return {
        **header(SITE, story.name),
        "instants": {
            DETAIL: {
                "/data/info/time": AMERICAN,
                "/data/inverter/*/time": AMERICAN,
                "/data/inverter/*/last_refresh_time": AMERICAN,
                "/data/inverter/*/d/last_refresh_time": "local dd/MM/yyyy HH:mm:ss",
                "/data/inverter/*/d/creationDate": "utc+8 MM/dd/yyyy HH:mm:ss",
                "/data/inverter/*/invert_full/last_time": "epoch_ms",
            },
            WARNINGS: {"/data/list/*/happentime": AMERICAN, "/data/list/*/recoverytime": AMERICAN},
        },
        "local_dates": {CHART: {"/data/lines/*/xy/*/x": "yyyy-MM-dd"}},
        "counters": {
            DETAIL: {
                "/data/kpi/total_power": counter,
                "/data/inverter/*/etotal": counter,
                "/data/inverter/*/invert_full/etotal": counter,
                "/data/inverter/*/invert_full/total_sell": {"per_day": round(final.export_kwh, 1), "decimals": 1},
                "/data/inverter/*/invert_full/total_buy": {"per_day": round(final.import_kwh, 1), "decimals": 1},
            }
        },
        "answers": {
            DETAIL: [frame(moment.at, _detail(moment, story)) for moment in story.moments],
            CHART: [frame(week.at, _chart(week)) for week in story.weeks],
            WARNINGS: always(_warnings(story.fault)),
        },
    }


def blank_times() -> Json:
    """A healthy day in which times have blanks after their colons, as in one real capture, and the exact one is missing."""
    recording = tell(stories.ordinary(SITE, "blank-times"))
    for answer in recording["answers"][DETAIL]:
        data = answer["body"]["data"]
        inverter = data["inverter"][0]
        data["info"] |= {"time": _blanks(data["info"]["time"]), "date_format": "MM.dd.yyyy"}
        inverter |= {"time": _blanks(inverter["time"]), "last_refresh_time": _blanks(inverter["last_refresh_time"])}
        del inverter["d"]["last_refresh_time"], inverter["d"]["creationDate"], inverter["invert_full"]["last_time"]
        del data["info"]["time_span"]  # else the local texts would be read in the recorded plant's offset, wherever the plant is
    moved = ("/data/info/time", "/data/inverter/*/time", "/data/inverter/*/last_refresh_time")
    recording["instants"][DETAIL] = dict.fromkeys(moved, BLANKS)
    return recording


def no_kpi() -> Json:
    """A healthy day without the plant's own figures: its inverter's must do, and texts with their units."""
    recording = tell(stories.ordinary(SITE, "no-kpi"))
    for answer in recording["answers"][DETAIL]:
        data = answer["body"]["data"]
        inverter = data["inverter"][0]
        data |= {"kpi": None, "powerflow": None, "hasPowerflow": False}
        inverter["daily_generation"] = f"{inverter.pop('eday')}kWh"
        inverter["invert_full"] |= {"pac": f"{inverter['invert_full']['pac']:.0f}W", "eday": None}
    del recording["counters"][DETAIL]["/data/kpi/total_power"]
    return recording


def _blanks(text: str) -> str:
    return text.replace(":", ": ")


def _refusals() -> list[Json]:
    def error(code: int | str, text: str) -> Json:
        return {"body": {"language": "en", "function": None, "hasError": True, "msg": text, "code": code, "data": None}}

    return [
        stories.refusing(SITE, "auth-error", PATHS, error(100005, "Email or password error.")),
        stories.refusing(SITE, "rate-limit", PATHS, error("GY0429", "Too many requests")),
        stories.refusing(SITE, "timeout", PATHS, {"fails": "NETWORK_TIMEOUT"}),
        stories.refusing(SITE, "not-found", PATHS, {"body": _envelope("", None)}),
        stories.malformed(SITE, PATHS, _envelope("", 7)),
    ]


def _envelope(path: str, data: Any) -> Json:
    components = {"para": None, "langVer": 306, "timeSpan": 0, "api": f"{SEMS}{path}", "msgSocketAdr": None}
    return {"language": "en", "function": None, "hasError": False, "msg": "success", "code": "0", "data": data, "components": components}


def _detail(moment: Moment, story: Story) -> Json:
    now = moment.sample
    energy = round(now.today_kwh, 1)
    total = round(lifetime(SITE, now, round(story.final.energy_kwh, 1), round(now.energy_kwh, 1)), 1)
    producing = now.power_w > 0
    status = 2 if story.fault else (int(producing) if moment.online else -1)
    asked = us(now.at if moment.online else local(moment.at))
    warm = round(28 + 20 * now.power_w / 1000 / SITE.capacity_kwp, 1)
    pv_input = f"{312.4 if producing else 0}V/{round(now.power_w / 312.4, 1) if producing else 0}A"
    inverter = {
        "sn": SERIAL,
        "name": "Inversor 1",
        "releation_id": "22222222-3333-4444-8555-666666666666",
        "status": status,
        "capacity": 5.0,
        "type": "GW5000-DNS",
        "out_pac": now.power_w,
        "in_pac": now.power_w,
        "eday": energy,
        "emonth": round(341.0 + energy, 1),
        "etotal": total,
        "tempperature": warm,
        "turnon_time": "02/29/2024 00:00:00",
        "time": asked,
        "last_refresh_time": us(now.at),
        "output_power": f"{now.power_w:.0f}W",
        "daily_generation": f"{energy}kWh",
        "total_generation": f"{total}kWh",
        "pv_input_1": pv_input,
        "fault_message": "",
        "d": {
            "capacity": "5kW",
            "last_refresh_time": f"{now.at:%d/%m/%Y %H:%M:%S}",
            "creationDate": us(now.at.astimezone(CHINA)),
            "pac": now.power_w,
        },
        "invert_full": {
            "sn": SERIAL,
            "pac": now.power_w,
            "eday": energy,
            "etotal": total,
            "hour_total": 8123,
            "vac1": 221.4,
            "vac2": 6553.5,
            "vac3": 6553.5,
            "fac1": 60.01,
            "pmeter": now.grid_w,
            "hasmeter": True,
            "last_time": now.ms,
            "total_sell": round(6400.0 + now.export_kwh, 1),
            "total_buy": round(2100.0 + now.import_kwh, 1),
            "seller": round(now.export_kwh, 1),
            "buy": round(now.import_kwh, 1),
            "soc": 536,
            "errors": [],
        },
    }
    data = {
        "info": {
            "powerstation_id": SITE.plant_id,
            "stationname": "Usina Exemplo",
            "time": asked,
            "date_format": "dd/MM/yyyy",
            "time_span": 3.0,
            "capacity": SITE.capacity_kwp,
            "battery_capacity": 0.0,
            "status": status,
            "turnon_time": "02/29/2024 00:00:00",
            "powerstation_type": "Residential",
        },
        "kpi": {
            "pac": now.power_w,
            "power": energy,
            "month_generation": round(341.0 + energy, 1),
            "total_power": total,
            "day_income": round(energy * 0.9, 2),
            "total_income": round(total * 0.9, 2),
            "yield_rate": 0.9,
            "currency": "BRL",
        },
        "hasPowerflow": True,
        "powerflow": {
            "pv": f"{now.power_w:.0f}(W)",
            "pvStatus": -1 if producing else 0,
            "bettery": "0(W)",
            "betteryStatus": 0,
            "load": f"{now.load_w:.0f}(W)",
            "loadStatus": 1,
            "grid": f"{abs(now.grid_w):.0f}(W)",
            "gridStatus": (now.grid_w > 0) - (now.grid_w < 0),
            "genset": "0(W)",
            "soc": 0,
            "socText": "0%",
        },
        "homKit": {"homeKitLimit": False, "sn": None},
        "inverter": [inverter],
    }
    return _envelope(DETAIL, data)


def _chart(week: Week) -> Json:
    known = [(days, None if of is None else round(of.energy_kwh, 1)) for days, of in stories.rows(week)]
    generation = [{"x": _day(days), "y": energy, "z": None} for days, energy in [*known, (1, None)]]
    income = [{"x": _day(days), "y": None if energy is None else round(energy * 0.9, 2), "z": None} for days, energy in known]
    lines = [
        {"label": "Generation (kWh)", "name": "PVGeneration", "unit": "kWh", "xy": generation},
        {"label": "Income (BRL)", "name": "Income", "unit": "BRL", "xy": income},
    ]
    return _envelope(CHART, {"lines": lines})


def _day(days: int) -> str:
    return (DAY + timedelta(days=days)).isoformat()


def _warnings(fault: bool) -> Json:
    def row(number: int, name: str, level: int, error_code: int, status: int, began: str, ended: str) -> Json:
        return {
            "stationId": SITE.plant_id,
            "stationname": "Usina Exemplo",
            "adcode": "",
            "devicesn": SERIAL,
            "deviceName": "Inversor 1",
            "warningid": f"w-000{number}",
            "warningname": name,
            "warninglevel": level,
            "error_code": error_code,
            "error_type": 1,
            "status": status,
            "happentime": began,
            "recoverytime": ended,
            "is_add_task": 2,
        }

    rows = [row(2, "Vac Failure", 1, 32, 1, us(local(time(15), -3)), us(local(time(15, 35), -3)))]
    if fault:
        rows.insert(0, row(1, "Utility Loss", 4, 512, 0, us(local(time(14, 10), -1)), ""))
    return _envelope(WARNINGS, {"record": len(rows), "list": rows})
