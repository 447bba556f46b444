// What the stages write. PEER_SQL chooses how:
// fused   each stage is one prepared statement (CTEs): one round trip, one commit. As fast as SQL gets.
// plain   each stage is a transaction of single prepared statements, as most teams write it.
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


const run = (name, text, values, client = pool) => client.query({ name, text, values })
const linesOf = (text, earlier) =>
  [{ role: 'user', text }, ...earlier.map((l) => ({ role: l.direction === 'in' ? 'user' : 'assistant', text: l.text }))]
    .reverse()

const fused = {
  // Stores an incoming event; undefined when it was seen before, else its ids and the last 10 lines, oldest first.
  async store(event) {
    const { rows } = await run('store', STORE, [event.account, event.contact, event.name, event.event, event.text])
    if (rows.length === 0) return undefined
    const { id, conversation, history } = rows[0]
    return { id, conversation, lines: linesOf(event.text, history ?? []) }
  },
  async saveReply(turn, answer) {
    const { rows } = await run('reply', REPLY, [
      turn.customer, `message:${turn.message}`, answer.tokens_in, answer.tokens_out,
      turn.conversation, turn.account, answer.text, turn.message,
    ])
    return rows[0].id
  },
  async saveSent(send, provider) {
    await run('sent', SENT, [send.customer, `message:${send.message}`, provider.id, send.message])
  },
}

async function transaction(work) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    client.release()
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    client.release(true)
    throw error
  }
}

const TOUCH = 'UPDATE conversation SET last_message_at = now() WHERE id = $1'
const USED = `INSERT INTO usage_record (customer_id, reference, messages, tokens_in, tokens_out, sends)
  VALUES ($1, $2, $3, $4, $5, $6)`

const plain = {
  store: (event) => transaction(async (db) => {
    const who = [event.account, event.contact]
    const find = 'SELECT id FROM conversation WHERE account_id = $1 AND external_id = $2'
    let found = await run('find', find, who, db)
    if (found.rows.length === 0) {
      await run('open', `INSERT INTO conversation (account_id, external_id, name) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING`, [...who, event.name], db)
      found = await run('find', find, who, db)
    }
    const conversation = found.rows[0].id
    const { rows: earlier } = await run('context', `SELECT direction, text FROM message
      WHERE conversation_id = $1 ORDER BY id DESC LIMIT 9`, [conversation], db)
    const { rows } = await run('in', `INSERT INTO message (conversation_id, account_id, event_id, direction, status, text)
      VALUES ($1, $2, $3, 'in', 'received', $4)
      ON CONFLICT (account_id, event_id) WHERE event_id IS NOT NULL DO NOTHING RETURNING id`,
      [conversation, event.account, event.event, event.text], db)
    if (rows.length === 0) return undefined
    await run('touch', TOUCH, [conversation], db)
    return { id: rows[0].id, conversation, lines: linesOf(event.text, earlier) }
  }),
  saveReply: (turn, answer) => transaction(async (db) => {
    const { rows } = await run('out', `INSERT INTO message (conversation_id, account_id, direction, status, text, in_reply_to)
      VALUES ($1, $2, 'out', 'pending', $3, $4) RETURNING id`,
      [turn.conversation, turn.account, answer.text, turn.message], db)
    await run('touch', TOUCH, [turn.conversation], db)
    await run('used', USED,
      [turn.customer, `message:${turn.message}`, 1, answer.tokens_in, answer.tokens_out, 0], db)
    return rows[0].id
  }),
  saveSent: (send, provider) => transaction(async (db) => {
    await run('sent', `UPDATE message SET status = 'sent', provider_message_id = $1, sent_at = now()
      WHERE id = $2 AND status = 'pending'`, [provider.id, send.message], db)
    await run('used', USED, [send.customer, `message:${send.message}`, 0, 0, 0, 1], db)
  }),
}

export const { store, saveReply, saveSent } = env('PEER_SQL', 'fused') === 'plain' ? plain : fused

export async function accounts() {
  const { rows } = await pool.query('SELECT id, customer_id AS customer, api_key_hash, ai_delay FROM account')
  return new Map(rows.map((row) => [row.id, row]))
}
