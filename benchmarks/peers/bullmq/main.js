// A scheduler and four workers in one process: a queue a brand, a job a plant, a lock in Redis around each poll.
// DATABASE_URL, REDIS_URL, INTEGRATION_FIXTURES_DIR; LIMIT_PER_MINUTE turns BullMQ's limiter on.
import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import generated from './generated/index.js';
import { poll } from './poll.js';

const CONCURRENCY = 20;
const LOCK_TTL_MS = 1_200_000;
const RELEASE = 'if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0';

const prisma = new generated.PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: CONCURRENCY }) });
const redis = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const brands = ['SOLIS', 'HUAWEI', 'GOODWE', 'DELE'];
const queues = Object.fromEntries(brands.map((brand) => [brand, new Queue(`poll-${brand.toLowerCase()}`, { connection: redis })]));
const limiter = process.env.LIMIT_PER_MINUTE ? { max: Number(process.env.LIMIT_PER_MINUTE), duration: 60_000 } : undefined;
const workers = brands.map(
  (brand) => new Worker(queues[brand].name, work, { connection: redis.duplicate(), concurrency: CONCURRENCY, limiter }),
);

async function work({ data }) {
  const key = `lock:plant:${data.plantId}`;
  const token = randomUUID();
  if (!(await redis.set(key, token, 'PX', LOCK_TTL_MS, 'NX'))) return;
  try {
    await poll(prisma, data.plantId, new Date(data.claimedAt));
  } finally {
    await redis.eval(RELEASE, 1, key, token);
  }
}

let scheduling = false;

async function schedule() {
  if (scheduling) return;
  scheduling = true;
  try {
    const now = new Date();
    const due = await prisma.plant.findMany({ where: { next_poll_at: { lte: now } }, orderBy: { next_poll_at: 'asc' } });
    for (const plant of due) {
      await prisma.plant.update({
        where: { plant_id: plant.plant_id },
        data: { next_poll_at: new Date(now.getTime() + plant.poll_interval_s * 1000) },
      });
      const job = { plantId: plant.plant_id, claimedAt: now.toISOString() };
      const id = `poll-plant-${plant.plant_id}-${now.getTime()}`;
      await queues[plant.brand].add('poll', job, { jobId: id, removeOnComplete: true });
    }
  } finally {
    scheduling = false;
  }
}

for (const worker of workers) worker.on('error', (error) => console.error(error));
for (const worker of workers) worker.on('failed', (job, error) => console.error(job?.id, error));
await Promise.all(workers.map((worker) => worker.waitUntilReady()));
setInterval(() => schedule().catch((error) => console.error(error)), 1000);
await redis.sadd('bench:ready', 'node');

process.on('SIGTERM', async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  process.exit(0);
});
