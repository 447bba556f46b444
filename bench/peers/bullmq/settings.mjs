// What both processes of the peer are told by their environment, and the queues they share.
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

export const env = (name, fallback) => process.env[name] ?? fallback
export const number = (name, fallback) => Number(env(name, fallback))

export const redis = () =>
  new Redis({
    host: '127.0.0.1',
    port: number('PEER_REDIS_PORT'),
    maxRetriesPerRequest: null,
    enableAutoPipelining: true, // commands of one tick leave in one write
  })

const jobOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: true,
  removeOnFail: { count: 1000 },
}

// One producer connection serves all queues of a process; skipMetasUpdate saves a write at the start only.
export const queues = (connection, ...names) =>
  names.map((name) => new Queue(name, { connection, defaultJobOptions: jobOptions }))
