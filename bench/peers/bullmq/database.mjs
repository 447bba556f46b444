// Every statement of the peer: one round trip and one commit a stage, prepared once a connection.
import pg from 'pg'
import { env, number } from './settings.mjs'

pg.types.setTypeParser(20, Number) // bigint ids fit a double here, and arithmetic on strings costs more

export const pool = new pg.Pool({
  connectionString: env('PEER_DATABASE_URL'),
  max: number('PEER_POOL', 16),
  idleTimeoutMillis: 0,
  options: '-c search_path=peer',
})

const STORE = `
  WITH c AS (
    INSERT INTO conversation (account_id, external_id, name) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, external_id) DO UPDATE SET last_message_at = now()
    RETURNING id
  ), m AS (
    INSERT INTO message (conversation_id, account_id, event_id, direction, status, text)
    SELECT c.id, $1, $4, 'in', 'received', $5 FROM c
    ON CONFLICT (account_id, event_id) WHERE event_id IS NOT NULL DO NOTHING
    RETURNING id, conversation_id
  )
  SELECT m.id, m.conversation_id AS conversation, (
    SELECT json_agg(h) FROM (
      SELECT direction, text FROM message
      WHERE conversation_id = m.conversation_id ORDER BY id DESC LIMIT 9
    ) h
  ) AS history FROM m`

const REPLY = `
  WITH used AS (
    INSERT INTO usage_record (customer_id, reference, messages, tokens_in, tokens_out)
    VALUES ($1, $2, 1, $3, $4)
  )
  INSERT INTO message (conversation_id, account_id, direction, status, text, in_reply_to)
  VALUES ($5, $6, 'out', 'pending', $7, $8) RETURNING id`

const SENT = `
  WITH used AS (
    INSERT INTO usage_record (customer_id, reference, sends) VALUES ($1, $2, 1)
  )
  UPDATE message SET status = 'sent', provider_message_id = $3, sent_at = now()
  WHERE id = $4 AND status = 'pending'`

const run = (name, text, values) => pool.query({ name, text, values })

// Stores one incoming event; gives undefined when it was seen before, else the ids and the last 10 lines, oldest first.
export async function store(event) {
  const { rows } = await run('store', STORE, [event.account, event.contact, event.name, event.event, event.text])
  if (rows.length === 0) return undefined
  const { id, conversation, history } = rows[0]
  const lines = [{ role: 'user', text: event.text }]
  for (const line of history ?? []) {
    lines.push({ role: line.direction === 'in' ? 'user' : 'assistant', text: line.text })
  }
  return { id, conversation, lines: lines.reverse() }
}

export async function saveReply(turn, answer) {
  const { rows } = await run('reply', REPLY, [
    turn.customer, `message:${turn.message}`, answer.tokens_in, answer.tokens_out,
    turn.conversation, turn.account, answer.text, turn.message,
  ])
  return rows[0].id
}

export const saveSent = (send, provider) =>
  run('sent', SENT, [send.customer, `message:${send.message}`, provider.id, send.message])

export async function accounts() {
  const { rows } = await pool.query('SELECT id, customer_id AS customer, api_key_hash, ai_delay FROM account')
  return new Map(rows.map((row) => [row.id, row]))
}
