"""Writes fixtures/<brand>/<scenario>.json: `python hack/make_fixtures.py [folder]`. Deterministic: the same code gives the same bytes.

The payloads have the fields, units and formats of each vendor's cloud; the values are invented. A plant of each brand has its own size and
weather. Power is a bell over the day with passing clouds, energy is its integral, and what the house does not use goes to the grid.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = date(2026, 1, 15)
STEP = timedelta(minutes=5)
"""Every vendor refreshes about every five minutes."""
SERIES_STEP = timedelta(minutes=30)

Json = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """An invented plant."""

    brand: str
    plant_id: str
    capacity_kwp: float
    peak_share: float
    """Power at noon under a clear sky, as a share of the capacity."""
    clouds: float
    cloud_phase: float
    lifetime_kwh: float
    """Before the recorded day."""
    load_w: float
    """What the house uses all day; mornings and evenings it uses more."""
    battery_w: float = 0.0


@dataclass(frozen=True)
class Sample:
    """The plant at one local time of the recorded day."""

    at: datetime
    power_w: float
    energy_kwh: float
    load_w: float
    battery_w: float
    """Positive discharges, negative charges."""
    grid_w: float
    """Positive exports, negative imports."""
    export_kwh: float
    import_kwh: float
    load_kwh: float

    @property
    def ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())


def local(at: time, days: int = 0) -> datetime:
    return datetime.combine(DAY + timedelta(days=days), at, tzinfo=ZONE)


def ms(at: time, days: int = 0) -> int:
    return int(local(at, days).timestamp() * 1000)


def us(instant: datetime) -> str:
    return f"{instant:%m/%d/%Y %H:%M:%S}"


def hours(instant: datetime) -> float:
    return instant.hour + instant.minute / 60


def power(site: Site, hour: float) -> float:
    """Sunrise 05:35, sunset 18:55, as in Sao Paulo in January."""
    rise, sunset = 5.58, 18.92
    if not rise < hour < sunset:
        return 0.0
    bell = math.pow(math.sin(math.pi * (hour - rise) / (sunset - rise)), 1.3)
    cloud = max(0.0, math.sin(2.9 * hour + site.cloud_phase)) * max(0.0, math.sin(0.83 * hour + 2 * site.cloud_phase))
    return round(1000 * site.capacity_kwp * site.peak_share * bell * (1 - site.clouds * cloud))


def load(site: Site, hour: float) -> float:
    morning, evening = math.exp(-(((hour - 7.2) / 0.9) ** 2)), math.exp(-(((hour - 20.0) / 1.6) ** 2))
    return round(site.load_w * (1 + 1.1 * morning + 2.2 * evening + 0.15 * math.sin(5 * hour)))


def battery(site: Site, hour: float, surplus: float) -> float:
    if not site.battery_w:
        return 0.0
    if surplus > 0:
        return -min(surplus, site.battery_w) if hour < 13.5 else 0.0
    return min(-surplus, site.battery_w / 2) if 18 < hour < 23 else 0.0


def samples(site: Site) -> list[Sample]:
    """The recorded day in steps of five minutes from 00:00. Energies are sums of the trapezoids so far."""
    found: list[Sample] = []
    step_hours = STEP.total_seconds() / 3600
    for number in range(int(timedelta(days=1) / STEP)):
        at = local(time(0)) + number * STEP
        hour = hours(at)
        made, used = power(site, hour), load(site, hour)
        stored = battery(site, hour, made - used)
        grid = made + stored - used
        last = found[-1] if found else None

        def so_far(energy: float, before: float, now: float) -> float:
            return energy + (before + now) / 2 / 1000 * step_hours

        found.append(
            Sample(
                at=at,
                power_w=made,
                energy_kwh=so_far(last.energy_kwh, last.power_w, made) if last else 0.0,
                load_w=used,
                battery_w=stored,
                grid_w=grid,
                export_kwh=so_far(last.export_kwh, max(0, last.grid_w), max(0, grid)) if last else 0.0,
                import_kwh=so_far(last.import_kwh, max(0, -last.grid_w), max(0, -grid)) if last else 0.0,
                load_kwh=so_far(last.load_kwh, last.load_w, used) if last else 0.0,
            )
        )
    return found


def frames(readings: list[Sample], body: Callable[[Sample], Json], step: timedelta = STEP) -> list[Json]:
    return [{"at": f"{reading.at:%H:%M:%S}", "body": body(reading)} for reading in readings[:: int(step / STEP)]]


def always(body: Json) -> list[Json]:
    return [{"at": "00:00:00", "body": body}]


def header(site: Site, scenario: str) -> Json:
    return {
        "brand": site.brand,
        "scenario": scenario,
        "recorded": {"timezone": ZONE.key, "first_day": DAY.isoformat(), "days": 1, "vendor_plant_id": site.plant_id},
    }


# SOLIS

SOLIS = Site("SOLIS", "1298491919448000001", 6.6, 0.80, 0.45, 0.4, 12510.0, 450)
SOLIS_SN = "10F0000000000001"


def solis_envelope(data: Any) -> Json:
    return {"success": True, "code": "0", "msg": "success", "data": data}


def solis_detail(site: Site, final: Sample) -> Callable[[Sample], Json]:
    def body(now: Sample) -> Json:
        energy = round(now.energy_kwh, 1)
        lifetime = round(site.lifetime_kwh + energy, 3)
        return solis_envelope(
            {
                "id": site.plant_id,
                "userId": "1298491919448631111",
                "stationName": "Usina Exemplo",
                "sno": "102AA",
                "state": 1,
                "stateExceptionFlag": 0,
                "dataTimestamp": str(now.ms),
                "timeZone": -3.0,
                "timeZoneStr": "(UTC-03:00)",
                "timeZoneName": "(UTC-03:00)America/Sao_Paulo",
                "timeZoneStandardId": "America/Sao_Paulo",
                "daylight": 0,
                "daylightSwitch": 0,
                "capacity": site.capacity_kwp,
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
                "allEnergy": round(lifetime / 1000, 3),
                "allEnergyStr": "MWh",
                "allEnergy1": lifetime,
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
                "fullHour": round(energy / site.capacity_kwp, 2),
                "dayIncome": round(energy * 0.9, 2),
                "dayIncomeUnit": "BRL",
                "money": "BRL",
                "price": 0.9,
                "inverterCount": 1,
                "inverterOnlineCount": 1,
                "alarmCount": 0,
            }
        )

    return body


def solis_month(site: Site, final: Sample) -> Callable[[Sample], Json]:
    def row(days: int, of: Sample) -> Json:
        energy = round(of.energy_kwh, 1)
        return {
            "id": str(1308652875882000010 + days),
            "energy": energy,
            "energyStr": "kWh",
            "energyPec": "1",
            "date": ms(time(1), days),  # 04:00Z, as the vendor has it: no one's midnight
            "dateStr": (DAY + timedelta(days=days)).isoformat(),
            "timeZone": -3,
            "fullHour": round(energy / site.capacity_kwp, 2),
            "money": round(energy * 0.9, 2),
            "moneyStr": "BRL",
            "moneyPec": "1",
            "gridSellEnergy": round(of.export_kwh, 1),
            "gridPurchasedEnergy": round(of.import_kwh, 1),
            "homeLoadEnergy": round(of.load_kwh, 1),
            "errorFlag": 0,
        }

    return lambda now: solis_envelope([*(row(days, final) for days in range(-6, 0)), row(0, now)])


def solis_alarms(site: Site) -> Json:
    began, ended = ms(time(15), -2), ms(time(15, 35), -2)
    recovered = {
        "id": "-1",
        "stationId": site.plant_id,
        "stationName": "Usina Exemplo",
        "alarmDeviceSn": SOLIS_SN,
        "alarmDeviceType": "3",
        "alarmType": 0,
        "alarmLevel": "1",
        "alarmCode": "1010",
        "alarmMsg": "OV-G-V",
        "advice": "",
        "alarmBeginTime": began,
        "alarmEndTime": ended,
        "alarmLong": str(ended - began),
        "state": "2",
        "model": "1e",
        "warningInfoData": 0,
        "type": 0,
    }
    return solis_envelope({"total": 1, "size": 100, "current": 1, "pages": 1, "records": [recovered]})


def solis_healthy() -> Json:
    readings = samples(SOLIS)
    final = readings[-1]
    energy = round(final.energy_kwh, 1)
    return {
        **header(SOLIS, "healthy"),
        "instants": {
            "/v1/api/stationDetail": {"/data/dataTimestamp": "epoch_ms_text"},
            "/v1/api/stationMonth": {"/data/*/date": "epoch_ms"},
            "/v1/api/alarmList": {"/data/records/*/alarmBeginTime": "epoch_ms", "/data/records/*/alarmEndTime": "epoch_ms"},
        },
        "local_dates": {"/v1/api/stationMonth": {"/data/*/dateStr": "yyyy-MM-dd"}},
        "counters": {
            "/v1/api/stationDetail": {
                "/data/allEnergy1": {"per_day": energy, "decimals": 3},
                "/data/allEnergy": {"per_day": round(energy / 1000, 6), "decimals": 3},
            }
        },
        "answers": {
            "/v1/api/stationDetail": frames(readings, solis_detail(SOLIS, final)),
            "/v1/api/stationMonth": frames(readings, solis_month(SOLIS, final), SERIES_STEP),
            "/v1/api/alarmList": always(solis_alarms(SOLIS)),
        },
    }


# HUAWEI

HUAWEI = Site("HUAWEI", "NE=33550001", 8.2, 0.78, 0.35, 1.7, 21840.0, 600)
HUAWEI_INVERTERS = [(1000000033550011, "ES2350000001", 0.56, 12231.0), (1000000033550012, "ES2350000002", 0.44, 9609.0)]
"""Device id, serial, share of the plant's power, kWh before the recorded day."""
HUAWEI_METER = (1000000033550013, "PM2350000001")


def huawei_envelope(params: Json, now_ms: int, data: Any) -> Json:
    return {"success": True, "failCode": 0, "message": None, "params": {**params, "currentTime": now_ms}, "data": data}


def huawei_shares(now: Sample) -> list[float]:
    return [round(now.energy_kwh * share, 2) for _, _, share, _ in HUAWEI_INVERTERS]


def huawei_energy(now: Sample) -> float:
    """As the inverters count it: the plant's figure is their sum."""
    return round(sum(huawei_shares(now)), 2)


def huawei_kpi(now: Sample) -> Json:
    energy = huawei_energy(now)
    items = {
        "real_health_state": "3",
        "day_power": f"{energy:.2f}",
        "month_power": f"{524.0 + energy:.2f}",
        "total_power": f"{HUAWEI.lifetime_kwh + energy:.2f}",
        "day_income": f"{energy * 0.9:.2f}",
        "total_income": f"{(HUAWEI.lifetime_kwh + energy) * 0.9:.2f}",
        "day_on_grid_energy": f"{now.export_kwh:.2f}",
        "day_use_energy": f"{now.load_kwh:.2f}",
    }
    return huawei_envelope({"stationCodes": HUAWEI.plant_id}, now.ms, [{"stationCode": HUAWEI.plant_id, "dataItemMap": items}])


def huawei_inverters(now: Sample) -> Json:
    def row(device: int, serial: str, share: float, before: float, energy: float) -> Json:
        producing = now.power_w > 0
        return {
            "devId": device,
            "sn": serial,
            "dataItemMap": {
                "active_power": round(now.power_w * share / 1000, 3),
                "reactive_power": 0.0,
                "mppt_power": round(now.power_w * share / 980, 3),
                "day_cap": energy,
                "total_cap": round(before + energy, 2),
                "inverter_state": 512.0 if producing else 40960.0,
                "run_state": 1,
                "temperature": round(28 + 18 * now.power_w / 1000 / HUAWEI.capacity_kwp, 1),
                "efficiency": 98.2 if producing else 0.0,
                "power_factor": 1.0 if producing else 0.0,
                "open_time": ms(time(5, 40)) if now.at >= local(time(5, 40)) else "N/A",
                "close_time": ms(time(18, 55)) if now.at >= local(time(18, 55)) else "N/A",
                "elec_freq": 60.0,
                "a_u": 221.4,
                "ab_u": 383.1,
            },
        }

    rows = [row(*device, energy) for device, energy in zip(HUAWEI_INVERTERS, huawei_shares(now), strict=True)]
    ids = ",".join(str(device) for device, *_ in HUAWEI_INVERTERS)
    return huawei_envelope({"devIds": ids, "devTypeId": 38}, now.ms, rows)


def huawei_meter(now: Sample) -> Json:
    device, serial = HUAWEI_METER
    items = {
        "active_power": now.grid_w,
        "reactive_power": 12.0,
        "meter_u": 221.4,
        "meter_i": round(now.grid_w / 221.4, 2),
        "active_cap": round(15200.0 + now.export_kwh, 2),
        "reverse_active_cap": round(6100.0 + now.import_kwh, 2),
        "power_factor": 0.99,
        "grid_frequency": 60.0,
        "meter_status": 1,
        "run_state": 1,
    }
    rows = [{"devId": device, "sn": serial, "dataItemMap": items}]
    return huawei_envelope({"devIds": str(device), "devTypeId": 47}, now.ms, rows)


def huawei_devices() -> Json:
    def row(device: int, serial: str, kind: int, name: str, model: str | None) -> Json:
        return {
            "id": device,
            "devDn": f"NE={device % 100000000}",
            "devName": name,
            "stationCode": HUAWEI.plant_id,
            "esnCode": serial,
            "devTypeId": kind,
            "softwareVersion": "V100R001C00SPC141",
            "invType": model,
            "optimizerNumber": 0,
            "latitude": -23.55,
            "longitude": -46.63,
        }

    rows = [row(device, serial, 38, f"Inverter-{n}", "SUN2000-4KTL-L1") for n, (device, serial, *_) in enumerate(HUAWEI_INVERTERS, 1)]
    rows.append(row(*HUAWEI_METER, 47, "Meter-1", None))
    rows.append(row(1000000033550014, "HV2350000001", 62, "Dongle-1", None))
    return huawei_envelope({"stationCodes": HUAWEI.plant_id}, ms(time(0)), rows)


def huawei_days(final: Sample) -> Callable[[Sample], Json]:
    def row(days: int, of: Sample) -> Json:
        energy = huawei_energy(of)
        items = {
            "installed_capacity": HUAWEI.capacity_kwp,
            "inverter_power": energy,
            "PVYield": energy,
            "inverterYield": energy,
            "ongrid_power": round(of.export_kwh, 2),
            "use_power": round(of.load_kwh, 2),
            "perpower_ratio": round(energy / HUAWEI.capacity_kwp, 3),
            "power_profit": round(energy * 0.9, 2),
            "reduction_total_co2": round(energy * 0.000475, 3),
        }
        return {"stationCode": HUAWEI.plant_id, "collectTime": ms(time(0), days), "dataItemMap": items}

    def body(now: Sample) -> Json:
        params = {"stationCodes": HUAWEI.plant_id, "collectTime": ms(time(12))}
        return huawei_envelope(params, now.ms, [*(row(days, final) for days in range(-6, 0)), row(0, now)])

    return body


def huawei_healthy() -> Json:
    readings = samples(HUAWEI)
    final = readings[-1]
    inverters, meter = "/thirdData/getDevRealKpi?devTypeId=38", "/thirdData/getDevRealKpi?devTypeId=47"
    now = {"/params/currentTime": "epoch_ms"}
    alarms = {"stationCodes": HUAWEI.plant_id, "beginTime": ms(time(0), -30), "endTime": ms(time(0)), "language": "en_US"}
    return {
        **header(HUAWEI, "healthy"),
        "instants": {
            "/thirdData/getStationRealKpi": now,
            "/thirdData/getDevList": now,
            inverters: {**now, "/data/*/dataItemMap/open_time": "epoch_ms", "/data/*/dataItemMap/close_time": "epoch_ms"},
            meter: now,
            "/thirdData/getKpiStationDay": {**now, "/params/collectTime": "epoch_ms", "/data/*/collectTime": "epoch_ms"},
            "/thirdData/getAlarmList": {**now, "/params/beginTime": "epoch_ms", "/params/endTime": "epoch_ms"},
        },
        "counters": {
            "/thirdData/getStationRealKpi": {"/data/*/dataItemMap/total_power": {"per_day": huawei_energy(final), "decimals": 2}},
            inverters: {
                f"/data/{number}/dataItemMap/total_cap": {"per_day": energy, "decimals": 2}
                for number, energy in enumerate(huawei_shares(final))
            },
            meter: {
                "/data/*/dataItemMap/active_cap": {"per_day": round(final.export_kwh, 2), "decimals": 2},
                "/data/*/dataItemMap/reverse_active_cap": {"per_day": round(final.import_kwh, 2), "decimals": 2},
            },
        },
        "answers": {
            "/thirdData/getStationRealKpi": frames(readings, huawei_kpi),
            "/thirdData/getDevList": always(huawei_devices()),
            inverters: frames(readings, huawei_inverters),
            meter: frames(readings, huawei_meter),
            "/thirdData/getKpiStationDay": frames(readings, huawei_days(final), SERIES_STEP),
            "/thirdData/getAlarmList": always(huawei_envelope(alarms, ms(time(0)), [])),
        },
    }


# GOODWE

GOODWE = Site("GOODWE", "11111111-2222-4333-8444-555555555555", 5.2, 0.83, 0.55, 2.6, 9870.0, 380)
GOODWE_SN = "56000ABC21W00001"
SEMS = "http://us.semsportal.com:82/api"
CHINA = ZoneInfo("Asia/Shanghai")


def goodwe_envelope(path: str, data: Any) -> Json:
    components = {"para": None, "langVer": 306, "timeSpan": 0, "api": f"{SEMS}{path}", "msgSocketAdr": None}
    return {"language": "en", "function": None, "hasError": False, "msg": "success", "code": "0", "data": data, "components": components}


def goodwe_detail(now: Sample) -> Json:
    energy = round(now.energy_kwh, 1)
    lifetime = round(GOODWE.lifetime_kwh + energy, 1)
    producing = now.power_w > 0
    warm = round(28 + 20 * now.power_w / 1000 / GOODWE.capacity_kwp, 1)
    pv_input = f"{312.4 if producing else 0}V/{round(now.power_w / 312.4, 1) if producing else 0}A"
    inverter = {
        "sn": GOODWE_SN,
        "name": "Inversor 1",
        "releation_id": "22222222-3333-4444-8555-666666666666",
        "status": 1 if producing else 0,
        "capacity": 5.0,
        "type": "GW5000-DNS",
        "out_pac": now.power_w,
        "in_pac": now.power_w,
        "eday": energy,
        "emonth": round(341.0 + energy, 1),
        "etotal": lifetime,
        "tempperature": warm,
        "turnon_time": "02/29/2024 00:00:00",
        "time": us(now.at),
        "last_refresh_time": us(now.at),
        "output_power": f"{now.power_w:.0f}W",
        "daily_generation": f"{energy}kWh",
        "total_generation": f"{lifetime}kWh",
        "pv_input_1": pv_input,
        "fault_message": "",
        "d": {
            "capacity": "5kW",
            "last_refresh_time": f"{now.at:%d/%m/%Y %H:%M:%S}",
            "creationDate": us(now.at.astimezone(CHINA)),
            "pac": now.power_w,
        },
        "invert_full": {
            "sn": GOODWE_SN,
            "pac": now.power_w,
            "eday": energy,
            "etotal": lifetime,
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
            "powerstation_id": GOODWE.plant_id,
            "stationname": "Usina Exemplo",
            "time": us(now.at),
            "date_format": "dd/MM/yyyy",
            "time_span": 3.0,
            "capacity": GOODWE.capacity_kwp,
            "battery_capacity": 0.0,
            "status": 1 if producing else 0,
            "turnon_time": "02/29/2024 00:00:00",
            "powerstation_type": "Residential",
        },
        "kpi": {
            "pac": now.power_w,
            "power": energy,
            "month_generation": round(341.0 + energy, 1),
            "total_power": lifetime,
            "day_income": round(energy * 0.9, 2),
            "total_income": round(lifetime * 0.9, 2),
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
    return goodwe_envelope("/v3/PowerStation/GetMonitorDetailByPowerstationId", data)


def goodwe_chart(final: Sample) -> Callable[[Sample], Json]:
    def body(now: Sample) -> Json:
        energies = [round(final.energy_kwh, 1)] * 6 + [round(now.energy_kwh, 1)]
        dates = [(DAY + timedelta(days=days)).isoformat() for days in range(-6, 2)]
        generation = [{"x": day, "y": energy, "z": None} for day, energy in zip(dates, [*energies, None], strict=True)]
        income = [{"x": day, "y": round(energy * 0.9, 2), "z": None} for day, energy in zip(dates[:-1], energies, strict=True)]
        lines = [
            {"label": "Generation (kWh)", "name": "PVGeneration", "unit": "kWh", "xy": generation},
            {"label": "Income (BRL)", "name": "Income", "unit": "BRL", "xy": income},
        ]
        return goodwe_envelope("/v2/Charts/GetChartByPlant", {"lines": lines})

    return body


def goodwe_warnings() -> Json:
    recovered = {
        "stationId": GOODWE.plant_id,
        "stationname": "Usina Exemplo",
        "adcode": "",
        "devicesn": GOODWE_SN,
        "deviceName": "Inversor 1",
        "warningid": "w-0002",
        "warningname": "Vac Failure",
        "warninglevel": 1,
        "error_code": 32,
        "error_type": 1,
        "status": 1,
        "happentime": us(local(time(15), -3)),
        "recoverytime": us(local(time(15, 35), -3)),
        "is_add_task": 2,
    }
    path = "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition"
    return goodwe_envelope(path, {"record": 1, "list": [recovered]})


def goodwe_healthy() -> Json:
    readings = samples(GOODWE)
    final = readings[-1]
    energy = round(final.energy_kwh, 1)
    detail, chart = "/v3/PowerStation/GetMonitorDetailByPowerstationId", "/v2/Charts/GetChartByPlant"
    warnings = "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition"
    american = "local MM/dd/yyyy HH:mm:ss"
    lifetime = {"per_day": energy, "decimals": 1}
    return {
        **header(GOODWE, "healthy"),
        "instants": {
            detail: {
                "/data/info/time": american,
                "/data/inverter/*/time": american,
                "/data/inverter/*/last_refresh_time": american,
                "/data/inverter/*/d/last_refresh_time": "local dd/MM/yyyy HH:mm:ss",
                "/data/inverter/*/d/creationDate": "utc+8 MM/dd/yyyy HH:mm:ss",
                "/data/inverter/*/invert_full/last_time": "epoch_ms",
            },
            warnings: {"/data/list/*/happentime": american, "/data/list/*/recoverytime": american},
        },
        "local_dates": {chart: {"/data/lines/*/xy/*/x": "yyyy-MM-dd"}},
        "counters": {
            detail: {
                "/data/kpi/total_power": lifetime,
                "/data/inverter/*/etotal": lifetime,
                "/data/inverter/*/invert_full/etotal": lifetime,
                "/data/inverter/*/invert_full/total_sell": {"per_day": round(final.export_kwh, 1), "decimals": 1},
                "/data/inverter/*/invert_full/total_buy": {"per_day": round(final.import_kwh, 1), "decimals": 1},
            }
        },
        "answers": {
            detail: frames(readings, goodwe_detail),
            chart: frames(readings, goodwe_chart(final), SERIES_STEP),
            warnings: always(goodwe_warnings()),
        },
    }


# DELE

DELE = Site("DELE", "61094321", 10.4, 0.76, 0.30, 3.9, 30150.0, 900, battery_w=2500)
DELE_SN = "2402010000"


def dele_envelope(request_id: str, data: Json) -> Json:
    return {"code": "1000000", "msg": "success", "success": True, "requestId": request_id, **data}


def dele_latest(now: Sample) -> Json:
    exported, imported = max(0.0, now.grid_w), max(0.0, -now.grid_w)
    return dele_envelope(
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


def dele_history(final: Sample) -> Callable[[Sample], Json]:
    def row(days: int, of: Sample) -> Json:
        day = DAY + timedelta(days=days)
        energy = round(of.energy_kwh, 2)
        return {
            "generationValue": energy,
            "consumptionValue": round(of.load_kwh, 2),
            "gridValue": round(of.export_kwh, 2),
            "purchaseValue": round(of.import_kwh, 2),
            "chargeValue": 3.0,
            "dischargeValue": 2.8,
            "fullPowerHours": round(energy / DELE.capacity_kwp, 2),
            "generationPower": None,
            "pr": None,
            "cpr": None,
            "dateTime": None,
            "timeStamp": None,
            "year": day.year,
            "month": day.month,
            "day": day.day,
        }

    def body(now: Sample) -> Json:
        rows = [*(row(days, final) for days in range(-3, 0)), row(0, now)]
        return dele_envelope("a1b2c3d4e5f60719", {"total": len(rows), "stationDataItems": rows})

    return body


def dele_devices() -> Json:
    def row(serial: str, device_id: int, kind: str) -> Json:
        return {
            "deviceSn": serial,
            "deviceId": device_id,
            "deviceType": kind,
            "stationId": int(DELE.plant_id),
            "connectStatus": 1,
            "collectionTime": ms(time(0)) // 1000,
            "productId": "0_5411_1",
        }

    rows = [row(DELE_SN, 230400001, "INVERTER"), row("2402019999", 230400002, "COLLECTOR")]
    return dele_envelope("a1b2c3d4e5f6071c", {"total": len(rows), "deviceListItems": rows})


def dele_device(now: Sample) -> Json:
    energy = round(now.energy_kwh, 2)
    points = [
        {"key": "TotalActiveProduction", "value": f"{DELE.lifetime_kwh + energy:.2f}", "unit": "kWh"},
        {"key": "DailyActiveProduction", "value": f"{energy:.2f}", "unit": "kWh"},
        {"key": "TotalGridPower", "value": f"{-now.grid_w:.0f}", "unit": "W"},
        {"key": "DC Temperature", "value": "46.1", "unit": "℃"},
    ]
    device = {
        "deviceSn": DELE_SN,
        "deviceType": "INVERTER",
        "deviceState": 1,
        "collectionTime": now.seconds,
        "dataList": points,
    }
    return {"code": "1000000", "success": True, "requestId": "a1b2c3d4e5f6071b", "deviceDataList": [device]}


def dele_alerts() -> Json:
    recovered = {
        "alertId": "900000000000002",
        "alertCode": "W03",
        "alertName": "W03\u00a0Grid_Warning",
        "protocolName": "Grid_Warning",
        "deviceSn": DELE_SN,
        "deviceType": "INVERTER",
        "level": 1,
        "impact": 0,
        "status": 0,
        "alertStartTime": ms(time(15), -4) // 1000,
        "alertEndTime": ms(time(15, 35), -4) // 1000,
        "description": "",
        "reason": "",
        "solution": "",
    }
    return dele_envelope("a1b2c3d4e5f6071a", {"total": 1, "stationAlertItems": [recovered]})


def dele_healthy() -> Json:
    readings = samples(DELE)
    final = readings[-1]
    history = "/station/history?granularity=2"
    return {
        **header(DELE, "healthy"),
        "instants": {
            "/station/latest": {"/lastUpdateTime": "epoch_s"},
            "/station/device": {"/deviceListItems/*/collectionTime": "epoch_s"},
            "/device/latest": {"/deviceDataList/*/collectionTime": "epoch_s"},
            "/station/alertList": {"/stationAlertItems/*/alertStartTime": "epoch_s", "/stationAlertItems/*/alertEndTime": "epoch_s"},
        },
        "local_dates": {history: {"/stationDataItems/*": "year month day"}},
        "counters": {
            "/device/latest": {"/deviceDataList/*/dataList/0/value": {"per_day": round(final.energy_kwh, 2), "decimals": 2}},
        },
        "answers": {
            "/station/latest": frames(readings, dele_latest),
            history: frames(readings, dele_history(final)),
            "/station/device": always(dele_devices()),
            "/device/latest": frames(readings, dele_device),
            "/station/alertList": always(dele_alerts()),
        },
    }


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(recording: Json) -> Iterator[str]:
    """A header entry a line, a frame a line: short files, readable differences."""
    yield "{"
    for name, value in recording.items():
        if name != "answers":
            yield f"{compact(name)}:{compact(value)},"
    yield '"answers":{'
    paths = list(recording["answers"].items())
    for number, (path, answers) in enumerate(paths, 1):
        yield f"{compact(path)}:["
        yield ",\n".join(compact(frame) for frame in answers)
        yield "]," if number < len(paths) else "]"
    yield "}}"


RECORDINGS: list[Callable[[], Json]] = [solis_healthy, huawei_healthy, goodwe_healthy, dele_healthy]


def main(folder: Path) -> None:
    for record in RECORDINGS:
        recording = record()
        target = folder / recording["brand"].lower() / f"{recording['scenario']}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines(recording)) + "\n", encoding="utf-8")
        print(f"{target}: {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures")
