// The three stages; each is a queue of its own, and each stage ends by adding the next job.
import { Worker } from 'bullmq'
import { Pool } from 'undici'
import { saveReply, saveSent, store } from './database.mjs'
import { env, number, queues, redis } from './settings.mjs'

const producer = redis()
const [ai, send] = queues(producer, 'ai', 'send')
const outside = new Pool(env('PEER_STANDIN_URL'), {
  connections: number('PEER_CONNECTIONS', 1024),
  pipelining: 1,
  keepAliveTimeout: 60_000,
})
const headers = { 'content-type': 'application/json' }

async function post(path, body) {
  const response = await outside.request({ method: 'POST', path, headers, body: JSON.stringify(body) })
  const answer = await response.body.json()
  if (response.statusCode !== 200) throw new Error(`${path} answered ${response.statusCode}`)
  return answer
}

async function receive({ data }) {
  const stored = await store(data)
  if (stored === undefined) return
  const { account, customer, delay, contact } = data
  const { id: message, conversation, lines } = stored
  await ai.add('turn', { account, customer, delay, contact, message, conversation, lines })
}

async function turn({ data }) {
  const answer = await post('/ai', { lines: data.lines, delay: data.delay })
  const message = await saveReply(data, answer)
  await send.add('send', {
    customer: data.customer, conversation: data.conversation, recipient: data.contact, message, text: answer.text,
  })
}

async function deliver({ data }) {
  const { conversation, recipient, message, text } = data
  const provider = await post('/send', { conversation: `${conversation}`, recipient, message: `${message}`, text })
  await saveSent(data, provider)
}

const stages = [
  ['incoming', receive, number('PEER_CONCURRENCY', 50)],
  ['ai', turn, number('PEER_AI_CONCURRENCY', 1000)],
  ['send', deliver, number('PEER_CONCURRENCY', 50)],
]
for (const [name, work, concurrency] of stages) {
  if (name === 'incoming' && env('PEER_INTAKE', 'queue') === 'direct') continue
  const worker = new Worker(name, work, {
    connection: producer, // the blocking connection is a duplicate BullMQ makes itself
    concurrency,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 1000 },
  })
  worker.on('error', (error) => console.error(name, error))
  worker.on('failed', (job, error) => console.error(name, job?.id, error.message))
}
