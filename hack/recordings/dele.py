"""The invented plant at Deye Cloud, in that cloud's words (VENDORS 4)."""

from datetime import time, timedelta

from hack.recordings import stories
from hack.recordings.plants import DAY, Json, Sample, Site, ms
from hack.recordings.stories import Moment, Story, Week, always, frame, header, lifetime

LATEST = "/station/latest"
HISTORY = "/station/history?granularity=2"
DEVICES = "/station/device"
DEVICE = "/device/latest"
ALERTS = "/station/alertList"
PATHS = (LATEST, HISTORY, DEVICES, DEVICE, ALERTS)

SITE = Site("DELE", "61094321", 10.4, 0.76, 0.30, 3.9, 30150.0, 900, battery_w=2500)
SERIAL = "2402010000"


def recordings() -> list[Json]:
    """Every scenario of the brand."""
    told = [tell(story(SITE)) for story in stories.STORIES]
    return [*told, null_alerts(), *_refusals()]


def tell(story: Story) -> Json:
    return {
        **header(SITE, story.name),
        "instants": {
            LATEST: {"/lastUpdateTime": "epoch_s"},
            DEVICES: {"/deviceListItems/*/collectionTime": "epoch_s"},
            DEVICE: {"/deviceDataList/*/collectionTime": "epoch_s"},
            ALERTS: {"/stationAlertItems/*/alertStartTime": "epoch_s", "/stationAlertItems/*/alertEndTime": "epoch_s"},
        },
        "local_dates": {HISTORY: {"/stationDataItems/*": "year month day"}},
        "counters": {DEVICE: {"/deviceDataList/*/dataList/0/value": {"per_day": _energy(story.final), "decimals": 2}}},
        "answers": {
            LATEST: [frame(moment.at, _latest(moment)) for moment in story.moments],
            HISTORY: [frame(week.at, _history(week)) for week in story.weeks],
            DEVICES: always(_devices(all(moment.online for moment in story.moments))),
            DEVICE: [frame(moment.at, _device(moment, story)) for moment in story.moments],
            ALERTS: always(_alerts(story.fault)),
        },
    }


def null_alerts() -> Json:
    """A healthy day in which null stands for nothing: alerts, grid and battery power; codes are numbers or null, times are in ms."""
    recording = tell(stories.ordinary(SITE, "null-alerts"))
    recording["answers"][ALERTS] = always({"code": None, "msg": None, "success": True, "total": 0, "stationAlertItems": None})
    recording["instants"].pop(ALERTS)
    recording["instants"][LATEST] = {"/lastUpdateTime": "epoch_ms"}
    for answer in recording["answers"][LATEST]:
        body = answer["body"]
        nothing = dict.fromkeys(("gridPower", "purchasePower", "batterySOC", "wirePower"))
        body |= {"code": 1000000, **nothing, "lastUpdateTime": int(body["lastUpdateTime"]) * 1000}
    for answer in recording["answers"][HISTORY]:
        answer["body"]["code"] = None
    return recording


def _refusals() -> list[Json]:
    def error(code: str, text: str) -> Json:
        return {"body": {"code": code, "msg": text, "success": False, "requestId": "a1b2c3d4e5f6071d"}}

    lists = ("stationDataItems", "deviceListItems", "deviceDataList", "stationAlertItems")
    return [
        stories.refusing(SITE, "auth-error", PATHS, error("2101019", "auth invalid token")),
        stories.refusing(SITE, "rate-limit", PATHS, error("2101002", "client execute Too Frequently")),
        stories.refusing(SITE, "timeout", PATHS, {"fails": "NETWORK_TIMEOUT"}),
        stories.refusing(SITE, "not-found", PATHS, error("2101031", "station not found")),
        stories.malformed(SITE, PATHS, _envelope("a1b2c3d4e5f6071e", dict.fromkeys(lists, 7))),
    ]


def _energy(sample: Sample) -> float:
    return round(sample.energy_kwh, 2)


def _envelope(request_id: str, data: Json) -> Json:
    return {"code": "1000000", "msg": "success", "success": True, "requestId": request_id, **data}


def _latest(moment: Moment) -> Json:
    now = moment.sample
    exported, imported = max(0.0, now.grid_w), max(0.0, -now.grid_w)
    return _envelope(
        "a1b2c3d4e5f60718",
        {
            "generationPower": now.power_w,
            "consumptionPower": now.load_w,
            "gridPower": exported or None,
            "purchasePower": imported or None,
            "wirePower": -now.grid_w,
            "chargePower": -now.battery_w if now.battery_w < 0 else None,
            "dischargePower": now.battery_w if now.battery_w > 0 else None,
            "batteryPower": now.battery_w,
            "batterySOC": 81.0,
            "irradiateIntensity": None,
            "lastUpdateTime": float(now.seconds),
        },
    )


def _history(week: Week) -> Json:
    def row(days: int, of: Sample | None) -> Json:
        day = DAY + timedelta(days=days)
        energy = None if of is None else _energy(of)
        return {
            "generationValue": energy,
            "consumptionValue": None if of is None else round(of.load_kwh, 2),
            "gridValue": None if of is None else round(of.export_kwh, 2),
            "purchaseValue": None if of is None else round(of.import_kwh, 2),
            "chargeValue": 3.0,
            "dischargeValue": 2.8,
            "fullPowerHours": None if energy is None else round(energy / SITE.capacity_kwp, 2),
            "generationPower": None,
            "pr": None,
            "cpr": None,
            "dateTime": None,
            "timeStamp": None,
            "year": day.year,
            "month": day.month,
            "day": day.day,
        }

    items = [row(days, of) for days, of in stories.rows(week)]
    return _envelope("a1b2c3d4e5f60719", {"total": len(items), "stationDataItems": items})


def _devices(online: bool) -> Json:
    def row(serial: str, device_id: int, kind: str) -> Json:
        return {
            "deviceSn": serial,
            "deviceId": device_id,
            "deviceType": kind,
            "stationId": int(SITE.plant_id),
            "connectStatus": int(online),
            "collectionTime": ms(time(0)) // 1000,
            "productId": "0_5411_1",
        }

    rows = [row(SERIAL, 230400001, "INVERTER"), row("2402019999", 230400002, "COLLECTOR")]
    return _envelope("a1b2c3d4e5f6071c", {"total": len(rows), "deviceListItems": rows})


def _device(moment: Moment, story: Story) -> Json:
    now = moment.sample
    energy = _energy(now)
    total = lifetime(SITE, now, _energy(story.final), energy)
    points = [
        {"key": "TotalActiveProduction", "value": f"{total:.2f}", "unit": "kWh"},
        {"key": "DailyActiveProduction", "value": f"{energy:.2f}", "unit": "kWh"},
        {"key": "TotalGridPower", "value": f"{-now.grid_w:.0f}", "unit": "W"},
        {"key": "DC Temperature", "value": "46.1", "unit": "℃"},
    ]
    device = {
        "deviceSn": SERIAL,
        "deviceType": "INVERTER",
        "deviceState": 2 if story.fault else 1 if moment.online else 3,
        "collectionTime": now.seconds,
        "dataList": points,
    }
    return {"code": "1000000", "success": True, "requestId": "a1b2c3d4e5f6071b", "deviceDataList": [device]}


def _alerts(fault: bool) -> Json:
    def row(number: int, code: str, name: str, level: int, impact: int, status: int, began: int, ended: int) -> Json:
        return {
            "alertId": f"90000000000000{number}",
            "alertCode": code,
            "alertName": f"{code}\u00a0{name}",
            "protocolName": name,
            "deviceSn": SERIAL,
            "deviceType": "INVERTER",
            "level": level,
            "impact": impact,
            "status": status,
            "alertStartTime": began // 1000,
            "alertEndTime": ended // 1000,
            "description": "",
            "reason": "",
            "solution": "",
        }

    rows = [row(2, "W03", "Grid_Warning", 1, 0, 0, ms(time(15), -4), ms(time(15, 35), -4))]
    if fault:
        rows.insert(0, row(1, "F56", "DC_VoltLow_Fault", 2, 3, 1, ms(time(14, 10), -1), 0))
    return _envelope("a1b2c3d4e5f6071a", {"total": len(rows), "stationAlertItems": rows})
