// The fixture adapter: a vendor's recorded answers of this local time of day, parsed on every poll into watts, kWh and alarms.
import { readFileSync } from 'node:fs';

const recordings = new Map();
const clocks = new Map();

function recording(brand, scenario) {
  const key = `${brand}/${scenario}`;
  if (!recordings.has(key)) {
    const file = JSON.parse(readFileSync(`${process.env.INTEGRATION_FIXTURES_DIR}/${brand.toLowerCase()}/${scenario}.json`, 'utf8'));
    const answers = {};
    for (const [path, frames] of Object.entries(file.answers)) {
      answers[path] = frames.map(({ at, body }) => ({ second: seconds(at), body: JSON.stringify(body) })).sort((a, b) => a.second - b.second);
    }
    recordings.set(key, answers);
  }
  return recordings.get(key);
}

function seconds(text) {
  const [hour, minute, second] = text.split(':').map(Number);
  return hour * 3600 + minute * 60 + second;
}

export function local(at, timezone) {
  if (!clocks.has(timezone)) {
    const options = { timeZone: timezone, hourCycle: 'h23', dateStyle: 'short', timeStyle: 'medium' };
    clocks.set(timezone, new Intl.DateTimeFormat('sv-SE', options));
  }
  const [date, time] = clocks.get(timezone).format(at).split(' ');
  return { date: new Date(`${date}T00:00:00Z`), second: seconds(time) };
}

function newest(frames, second) {
  let found = frames.at(-1);
  for (const frame of frames) {
    if (frame.second > second) break;
    found = frame;
  }
  return found;
}

// What the plant says at `now`. Like the product's adapters, one parse for each answer that the vendor's API needs.
export function ask(plant, now) {
  const answers = recording(plant.brand, plant.scenario);
  const { second } = local(now, plant.timezone);
  let sampledAt = now;
  const answer = (path) => {
    const frame = newest(answers[path], second);
    if (frame.second > 0) sampledAt = new Date(now - ((second - frame.second + 86400) % 86400) * 1000);
    return JSON.parse(frame.body);
  };
  return { ...ADAPTERS[plant.brand](answer), get sampledAt() { return sampledAt; } };
}

const SEVERITIES = ['LOW', 'LOW', 'MEDIUM', 'HIGH'];

const ADAPTERS = {
  SOLIS(answer) {
    const { data } = answer('/v1/api/stationDetail');
    const alarms = answer('/v1/api/alarmList').data.records;
    return {
      powerW: data.power * 1000,
      todayKwh: data.dayEnergy,
      totalKwh: data.allEnergy1,
      alarms: alarms.map((a) => ({ code: a.alarmCode, device: a.alarmDeviceSn, message: a.alarmMsg, severity: SEVERITIES[a.alarmLevel], active: a.state === '0' })),
    };
  },
  HUAWEI(answer) {
    const kpi = answer('/thirdData/getStationRealKpi').data[0].dataItemMap;
    answer('/thirdData/getDevList');
    const inverters = answer('/thirdData/getDevRealKpi?devTypeId=38').data;
    answer('/thirdData/getDevRealKpi?devTypeId=47');
    const alarms = answer('/thirdData/getAlarmList').data;
    return {
      powerW: inverters.reduce((sum, inverter) => sum + (Number(inverter.dataItemMap.active_power) || 0) * 1000, 0),
      todayKwh: Number(kpi.day_power),
      totalKwh: Number(kpi.total_power),
      alarms: alarms.map((a) => ({ code: String(a.alarmId), device: a.esnCode, message: a.alarmName, severity: 'CRITICAL', active: a.status === 1 })),
    };
  },
  GOODWE(answer) {
    const { kpi } = answer('/v3/PowerStation/GetMonitorDetailByPowerstationId').data;
    const alarms = answer('/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition').data.list;
    return {
      powerW: kpi.pac,
      todayKwh: kpi.power,
      totalKwh: kpi.total_power,
      alarms: alarms.map((a) => ({ code: String(a.error_code), device: a.devicesn, message: a.warningname, severity: SEVERITIES[a.warninglevel] ?? 'LOW', active: a.status === 0 })),
    };
  },
  DELE(answer) {
    const latest = answer('/station/latest');
    answer('/station/device');
    const values = answer('/device/latest').deviceDataList[0].dataList;
    const days = answer('/station/history?granularity=2').stationDataItems;
    const alarms = answer('/station/alertList').stationAlertItems;
    return {
      powerW: latest.generationPower,
      todayKwh: days.at(-1).generationValue,
      totalKwh: Number(values.find(({ key }) => key === 'TotalActiveProduction').value),
      alarms: alarms.map((a) => ({ code: a.alertCode, device: a.deviceSn, message: a.alertName, severity: SEVERITIES[a.level + 1], active: a.status === 1 })),
    };
  },
};
