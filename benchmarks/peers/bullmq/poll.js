// One poll of one plant: everything it reads and stores goes through Prisma.
import { randomUUID } from 'node:crypto';
import { ask, local } from './fixtures.js';

const STALE_AFTER_MS = 2 * 3600_000;

export async function poll(prisma, plantId, claimedAt) {
  const startedAt = new Date();
  const plant = await prisma.plant.findUniqueOrThrow({ where: { plant_id: plantId } });
  const reading = ask(plant, startedAt);
  await saveDay(prisma, plant, reading);
  const alerts = await saveAlerts(prisma, plant, reading.alarms, startedAt);
  await saveStatus(prisma, plant, reading, alerts, startedAt);
  const finishedAt = new Date();
  await prisma.pollLog.create({
    data: {
      plant_id: plantId,
      job_id: `poll:plant:${plantId}:latest`,
      job_type: 'POLL',
      attempt: 0,
      status: 'SUCCESS',
      duration_ms: finishedAt - startedAt,
      claimed_at: claimedAt,
      started_at: startedAt,
      finished_at: finishedAt,
    },
  });
}

async function saveDay(prisma, plant, reading) {
  const { date } = local(reading.sampledAt, plant.timezone);
  const key = { plant_id: plant.plant_id, date };
  const today = await prisma.snapshot.findUnique({ where: { plant_id_date: key } });
  const values = {
    today_energy_kwh: Math.max(today?.today_energy_kwh ?? 0, reading.todayKwh),
    peak_power_w: Math.max(today?.peak_power_w ?? 0, reading.powerW),
    current_power_w: reading.powerW,
    total_energy_kwh: reading.totalKwh,
    last_seen_at: reading.sampledAt,
    source_sampled_at: reading.sampledAt,
  };
  await prisma.snapshot.upsert({
    where: { plant_id_date: key },
    create: { ...key, timezone: plant.timezone, backfilled: false, ...values },
    update: values,
  });
}

async function saveAlerts(prisma, plant, alarms, now) {
  const open = await prisma.alert.findMany({ where: { plant_id: plant.plant_id, state: { not: 'RESOLVED' } } });
  const active = alarms.filter((alarm) => alarm.active);
  for (const alarm of active) {
    const known = open.find((alert) => alert.vendor_alarm_code === alarm.code && alert.device_sn === alarm.device);
    const values = { severity: alarm.severity, message: alarm.message, last_seen_at: now };
    if (known) {
      await prisma.alert.update({ where: { id: known.id }, data: values });
    } else {
      const key = { id: randomUUID(), plant_id: plant.plant_id, vendor_alarm_code: alarm.code, device_sn: alarm.device };
      await prisma.alert.create({ data: { ...key, type: 'MOCK_FAULT', state: 'NEW', opened_at: now, ...values } });
    }
  }
  for (const alert of open) {
    if (!active.some((alarm) => alarm.code === alert.vendor_alarm_code && alarm.device === alert.device_sn)) {
      await prisma.alert.update({ where: { id: alert.id }, data: { state: 'RESOLVED', resolved_at: now } });
    }
  }
  return active;
}

async function saveStatus(prisma, plant, reading, alerts, now) {
  const days = await prisma.snapshot.findMany({ where: { plant_id: plant.plant_id }, orderBy: { date: 'desc' }, skip: 1, take: 7 });
  const energies = days.map((day) => day.today_energy_kwh).sort((a, b) => a - b);
  const low = energies.length >= 3 && reading.todayKwh < 0.3 * energies[energies.length >> 1];
  const stale = now - reading.sampledAt > STALE_AFTER_MS;
  const status = alerts.some((alert) => alert.severity === 'CRITICAL') ? 'RED' : stale || low ? 'YELLOW' : 'GREEN';
  await prisma.plant.update({
    where: { plant_id: plant.plant_id },
    data: {
      status,
      reason: { RED: 'CriticalAlert', YELLOW: stale ? 'Stale' : 'LowGeneration', GREEN: 'Reporting' }[status],
      status_since: status === plant.status ? plant.status_since : now,
      explain: [`${status}: the plant last reported at ${reading.sampledAt.toISOString()}.`],
      last_seen_at: reading.sampledAt,
      sampled_at: reading.sampledAt,
      current_power_w: reading.powerW,
      total_energy_kwh: reading.totalKwh,
      last_poll_at: now,
      last_success_at: now,
      version: { increment: 1 },
    },
  });
}
