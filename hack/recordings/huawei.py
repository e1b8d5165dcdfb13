"""The invented plant at FusionSolar, in that cloud's words (VENDORS 2)."""

from collections.abc import Sequence
from datetime import time
from typing import Any

from hack.recordings import stories
from hack.recordings.plants import Json, Sample, Site, ms
from hack.recordings.stories import Moment, Story, Week, always, frame, header

STATION = "/thirdData/getStationRealKpi"
DEVICES = "/thirdData/getDevList"
DEVICE_KPI = "/thirdData/getDevRealKpi"
INVERTERS = f"{DEVICE_KPI}?devTypeId=38"
METERS = f"{DEVICE_KPI}?devTypeId=47"
DEVICE_HISTORY = "/thirdData/getDevHistoryKpi"
DAYS = "/thirdData/getKpiStationDay"
ALARMS = "/thirdData/getAlarmList"
PATHS = (STATION, DEVICES, DEVICE_KPI, DAYS, ALARMS)

SITE = Site("HUAWEI", "NE=33550001", 8.2, 0.78, 0.35, 1.7, 21840.0, 600)
INVERTER_ROWS = [(1000000033550011, "ES2350000001", 0.56, 12231.0), (1000000033550012, "ES2350000002", 0.44, 9609.0)]
"""Device id, serial, share of the plant's power, kWh before the recorded day."""
OPENS, CLOSES = time(5, 40), time(18, 55)
METER = (1000000033550013, "PM2350000001")


def recordings() -> list[Json]:
    """Every scenario of the brand."""
    told = [tell(story(SITE)) for story in stories.STORIES]
    return [*told, tell(stories.late_reset(SITE)), na_values(), grid_meter(), *_refusals()]


def tell(story: Story) -> Json:
    final = story.final
    now = {"/params/currentTime": "epoch_ms"}
    items = "/data/*/dataItemMap"
    raised = {"/data/*/raiseTime": "epoch_ms"} if story.fault else {}
    closed = {f"{items}/close_time": "epoch_ms"} if any(moment.sample.at.time() >= CLOSES for moment in story.moments) else {}
    offline = not all(moment.online for moment in story.moments)
    history = {DEVICE_HISTORY: [frame(moment.at, _history(moment)) for moment in story.moments]} if offline else {}
    return {
        **header(SITE, story.name),
        "instants": {
            STATION: now,
            DEVICES: now,
            INVERTERS: {**now, f"{items}/open_time": "epoch_ms", **closed},
            METERS: now,
            DAYS: {**now, "/params/collectTime": "epoch_ms", "/data/*/collectTime": "epoch_ms"},
            ALARMS: {**now, "/params/beginTime": "epoch_ms", "/params/endTime": "epoch_ms", **raised},
            **({DEVICE_HISTORY: {**now, "/data/*/collectTime": "epoch_ms"}} if offline else {}),
        },
        "counters": {
            STATION: {f"{items}/total_power": {"per_day": _energy(final), "decimals": 2}},
            INVERTERS: {
                f"/data/{number}/dataItemMap/total_cap": {"per_day": energy, "decimals": 2} for number, energy in enumerate(_shares(final))
            },
            METERS: {
                f"{items}/active_cap": {"per_day": round(final.export_kwh, 2), "decimals": 2},
                f"{items}/reverse_active_cap": {"per_day": round(final.import_kwh, 2), "decimals": 2},
            },
        },
        "answers": {
            STATION: [frame(moment.at, _station(moment, story)) for moment in story.moments],
            DEVICES: always(_devices()),
            INVERTERS: [frame(moment.at, _inverters(moment, story)) for moment in story.moments],
            METERS: [frame(moment.at, _meter(moment)) for moment in story.moments],
            **history,
            DAYS: [frame(week.at, _days(week)) for week in story.weeks],
            ALARMS: always(_alarms(story.fault)),
        },
    }


def na_values() -> Json:
    """A healthy day in which what the vendor does not know is "N/A" or null, and what it knows comes as text."""
    recording = tell(stories.ordinary(SITE, "na-values"))
    for answer in recording["answers"][STATION]:
        for row in answer["body"]["data"]:
            row["dataItemMap"] |= {"total_power": "N/A", "month_power": None}
    for answer in recording["answers"][INVERTERS]:
        first, second = (row["dataItemMap"] for row in answer["body"]["data"])
        first |= {"active_power": str(first["active_power"]), "run_state": "1", "temperature": "N/A", "mppt_power": None}
        second |= {"active_power": "N/A", "mppt_power": "N/A", "run_state": "N/A", "inverter_state": None}
    for answer in recording["answers"][METERS]:
        answer["body"]["data"][0]["dataItemMap"]["active_power"] = None
    for answer in recording["answers"][DAYS]:
        for row in answer["body"]["data"]:
            row["dataItemMap"] |= {"PVYield": None, "inverter_power": str(row["dataItemMap"]["inverter_power"]), "ongrid_power": "N/A"}
    del recording["counters"][STATION]
    return recording


def grid_meter() -> Json:
    """A healthy day of a plant with a grid meter (kW) where others have a power sensor (W)."""
    recording = tell(stories.ordinary(SITE, "grid-meter"))
    meters = METERS.replace("47", "17")
    for part in ("instants", "counters", "answers"):
        recording[part][meters] = recording[part].pop(METERS)
    for answer in recording["answers"][meters]:
        answer["body"]["params"]["devTypeId"] = 17
        items = answer["body"]["data"][0]["dataItemMap"]
        items["active_power"] = round(items["active_power"] / 1000, 3)
    for row in recording["answers"][DEVICES][0]["body"]["data"]:
        if row["devTypeId"] == 47:
            row["devTypeId"] = 17
    return recording


def _refusals() -> list[Json]:
    def error(fail_code: int, **parts: Any) -> Json:
        body = {"success": False, "failCode": fail_code, "params": None, "message": None, "data": None, **parts}
        return {"body": body}

    return [
        stories.refusing(SITE, "auth-error", PATHS, error(20400)),
        stories.refusing(SITE, "rate-limit", PATHS, error(407, data="ACCESS_FREQUENCY_IS_TOO_HIGH")),
        stories.refusing(SITE, "timeout", PATHS, {"fails": "NETWORK_TIMEOUT"}),
        stories.refusing(SITE, "not-found", PATHS, error(20007)),
        stories.malformed(SITE, PATHS, _envelope({}, 0, "maintenance")),
    ]


def _shares(sample: Sample, shown: bool = False) -> list[float]:
    energy = sample.today_kwh if shown else sample.energy_kwh
    return [round(energy * share, 2) for _, _, share, _ in INVERTER_ROWS]


def _energy(sample: Sample, shown: bool = False) -> float:
    """As the inverters count it: the plant's figure is their sum."""
    return round(sum(_shares(sample, shown)), 2)


def _envelope(params: Json, now_ms: int, data: Any) -> Json:
    return {"success": True, "failCode": 0, "message": None, "params": {**params, "currentTime": now_ms}, "data": data}


def _asked(moment: Moment) -> int:
    """The server's clock as it answers. It is close behind the last report of a plant that is connected."""
    return moment.sample.ms if moment.online else ms(moment.at)


def _station(moment: Moment, story: Story) -> Json:
    now = moment.sample
    energy = _energy(now, shown=True)
    total = SITE.lifetime_kwh - now.days_ago * _energy(story.final) + _energy(now)
    items = {
        "real_health_state": "2" if story.fault else "3" if moment.online else "1",
        "day_power": f"{energy:.2f}",
        "month_power": f"{524.0 + energy:.2f}",
        "total_power": f"{total:.2f}",
        "day_income": f"{energy * 0.9:.2f}",
        "total_income": f"{total * 0.9:.2f}",
        "day_on_grid_energy": f"{now.export_kwh:.2f}",
        "day_use_energy": f"{now.load_kwh:.2f}",
    }
    return _envelope({"stationCodes": SITE.plant_id}, _asked(moment), [{"stationCode": SITE.plant_id, "dataItemMap": items}])


def _inverters(moment: Moment, story: Story) -> Json:
    now = moment.sample
    day_kwh = _shares(story.final)

    def row(number: int, energy: float, shown: float) -> Json:
        device, serial, share, before = INVERTER_ROWS[number]
        producing = now.power_w > 0
        return {
            "devId": device,
            "sn": serial,
            "dataItemMap": {
                "active_power": round(now.power_w * share / 1000, 3),
                "reactive_power": 0.0,
                "mppt_power": round(now.power_w * share / 980, 3),
                "day_cap": shown,
                "total_cap": round(before - now.days_ago * day_kwh[number] + energy, 2),
                "inverter_state": (512.0 if producing else 40960.0) if moment.online else 45056.0,
                "run_state": int(moment.online),
                "temperature": round(28 + 18 * now.power_w / 1000 / SITE.capacity_kwp, 1),
                "efficiency": 98.2 if producing else 0.0,
                "power_factor": 1.0 if producing else 0.0,
                "open_time": _once_past(OPENS, now),
                "close_time": _once_past(CLOSES, now),
                "elec_freq": 60.0,
                "a_u": 221.4,
                "ab_u": 383.1,
            },
        }

    both = zip(_shares(now), _shares(now, shown=True), strict=True)
    rows = [row(number, energy, shown) for number, (energy, shown) in enumerate(both)]
    return _envelope({"devIds": _device_ids(), "devTypeId": 38}, _asked(moment), rows)


def _once_past(at: time, now: Sample) -> int | str:
    return ms(at, -now.days_ago) if now.at.time() >= at else "N/A"


def _device_ids() -> str:
    return ",".join(str(device) for device, *_ in INVERTER_ROWS)


def _meter(moment: Moment) -> Json:
    now = moment.sample
    device, serial = METER
    items = {
        "active_power": now.grid_w,
        "reactive_power": 12.0,
        "meter_u": 221.4,
        "meter_i": round(now.grid_w / 221.4, 2),
        "active_cap": round(15200.0 + now.export_kwh, 2),
        "reverse_active_cap": round(6100.0 + now.import_kwh, 2),
        "power_factor": 0.99,
        "grid_frequency": 60.0,
        "meter_status": int(moment.online),
        "run_state": int(moment.online),
    }
    rows = [{"devId": device, "sn": serial, "dataItemMap": items}]
    return _envelope({"devIds": str(device), "devTypeId": 47}, _asked(moment), rows)


def _history(moment: Moment) -> Json:
    """The last five-minute figures that the vendor has."""
    rows = [
        {
            "devId": device,
            "sn": serial,
            "collectTime": moment.sample.ms - minutes * 60_000,
            "dataItemMap": {"active_power": round(moment.sample.power_w * share / 1000, 3), "temperature": 41.0, "elec_freq": 60.0},
        }
        for device, serial, share, _ in INVERTER_ROWS
        for minutes in (10, 5, 0)
    ]
    return _envelope({"devIds": _device_ids(), "devTypeId": 38}, _asked(moment), rows)


def _devices() -> Json:
    def row(device: int, serial: str, kind: int, name: str, model: str | None) -> Json:
        return {
            "id": device,
            "devDn": f"NE={device % 100000000}",
            "devName": name,
            "stationCode": SITE.plant_id,
            "esnCode": serial,
            "devTypeId": kind,
            "softwareVersion": "V100R001C00SPC141",
            "invType": model,
            "optimizerNumber": 0,
            "latitude": -23.55,
            "longitude": -46.63,
        }

    rows = [row(device, serial, 38, f"Inverter-{n}", "SUN2000-4KTL-L1") for n, (device, serial, *_) in enumerate(INVERTER_ROWS, 1)]
    rows.append(row(*METER, 47, "Meter-1", None))
    rows.append(row(1000000033550014, "HV2350000001", 62, "Dongle-1", None))
    return _envelope({"stationCodes": SITE.plant_id}, ms(time(0)), rows)


def _days(week: Week) -> Json:
    def row(days: int, of: Sample | None) -> Json:
        items = _no_day() if of is None else _day(of)
        return {"stationCode": SITE.plant_id, "collectTime": ms(time(0), days), "dataItemMap": items}

    params = {"stationCodes": SITE.plant_id, "collectTime": ms(time(12))}
    return _envelope(params, ms(week.at), [row(days, of) for days, of in stories.rows(week)])


def _day(of: Sample) -> Json:
    energy = _energy(of)
    return {
        "installed_capacity": SITE.capacity_kwp,
        "inverter_power": energy,
        "PVYield": energy,
        "inverterYield": energy,
        "ongrid_power": round(of.export_kwh, 2),
        "use_power": round(of.load_kwh, 2),
        "perpower_ratio": round(energy / SITE.capacity_kwp, 3),
        "power_profit": round(energy * 0.9, 2),
        "reduction_total_co2": round(energy * 0.000475, 3),
    }


def _no_day() -> Json:
    known: Sequence[str] = ("inverter_power", "PVYield", "inverterYield", "ongrid_power", "use_power", "perpower_ratio", "power_profit")
    return {"installed_capacity": SITE.capacity_kwp, **dict.fromkeys(known)}


def _alarms(fault: bool) -> Json:
    """The vendor lists active alarms only."""
    active = {
        "alarmId": 2001,
        "alarmName": "High string input voltage",
        "alarmCause": "Too many modules are connected in series to the PV string.",
        "causeId": 1,
        "alarmType": 2,
        "devName": "Inverter-1",
        "devTypeId": 38,
        "esnCode": INVERTER_ROWS[0][1],
        "lev": 1,
        "raiseTime": ms(time(14, 10), -1),
        "repairSuggestion": "Check the PV string.\nID1: string 1",
        "stationCode": SITE.plant_id,
        "stationName": "Usina Exemplo",
        "status": 1,
    }
    asked = {"stationCodes": SITE.plant_id, "beginTime": ms(time(0), -30), "endTime": ms(time(0)), "language": "en_US"}
    return _envelope(asked, ms(time(0)), [active] if fault else [])
