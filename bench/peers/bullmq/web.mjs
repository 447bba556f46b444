// The door: POST /api/v1/messages. Answers when the event can no longer be forgotten by this process:
// PEER_INTAKE=queue    after the job was added to Redis; the worker stores it (three hops),
// PEER_INTAKE=direct   after the message was committed and its AI job added (two hops).
import { createHash, randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { accounts, store } from './database.mjs'
import { env, number, queues, redis } from './settings.mjs'

const direct = env('PEER_INTAKE', 'queue') === 'direct'
const [incoming, ai] = queues(redis(), 'incoming', 'ai')
const known = await accounts()
const hashes = new Map()

function hashOf(key) {
  let hash = hashes.get(key)
  if (hash === undefined) {
    hash = createHash('sha256').update(key).digest('hex')
    hashes.set(key, hash)
  }
  return hash
}

const schema = {
  body: {
    type: 'object',
    required: ['account', 'contact', 'text'],
    properties: {
      account: { type: 'string', maxLength: 36 },
      contact: {
        type: 'object',
        required: ['id'],
        properties: { id: { type: 'string', maxLength: 255 }, name: { type: 'string', maxLength: 255 } },
      },
      text: { type: 'string', maxLength: 8000 },
    },
  },
  response: { 202: { type: 'object', properties: { id: { type: 'string' }, status: { type: 'string' } } } },
}

const app = Fastify({ logger: false, keepAliveTimeout: 60_000 })
app.post('/api/v1/messages', { schema }, async (request, reply) => {
  const account = known.get(request.body.account)
  const key = request.headers['x-api-key']
  if (account === undefined || key === undefined || hashOf(key) !== account.api_key_hash) {
    return reply.code(401).send({ status: 'refused' })
  }
  const { contact, text } = request.body
  const event = {
    account: account.id, customer: account.customer, delay: account.ai_delay,
    contact: contact.id, name: contact.name ?? '', text,
    event: request.headers['idempotency-key'] ?? randomUUID(),
  }
  if (direct) {
    const stored = await store(event)
    if (stored !== undefined) {
      const { id: message, conversation, lines } = stored
      await ai.add('turn', { ...turnOf(event), message, conversation, lines })
    }
  } else {
    await incoming.add('event', event)
  }
  reply.code(202)
  return { id: event.event, status: 'accepted' }
})

function turnOf({ account, customer, delay, contact }) {
  return { account, customer, delay, contact }
}

await app.listen({ host: '127.0.0.1', port: number('PEER_PORT'), backlog: 2048 })
