-- The peer's own tables: what the work needs, and the indexes its statements use.
DROP SCHEMA IF EXISTS peer CASCADE;
CREATE SCHEMA peer;
SET search_path = peer;

CREATE TABLE account (
    id uuid PRIMARY KEY,
    customer_id bigint NOT NULL,
    api_key_hash text NOT NULL,
    ai_delay real NOT NULL
);
CREATE TABLE conversation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id uuid NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    last_message_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, external_id)
) WITH (fillfactor = 80);
CREATE TABLE message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL,
    account_id uuid NOT NULL,
    event_id text,
    direction text NOT NULL,
    status text NOT NULL,
    text text NOT NULL,
    in_reply_to bigint,
    provider_message_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX message_context ON message (conversation_id, id);
CREATE UNIQUE INDEX message_event ON message (account_id, event_id) WHERE event_id IS NOT NULL;
CREATE TABLE usage_record (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    reference text NOT NULL,
    messages int NOT NULL DEFAULT 0,
    tokens_in int NOT NULL DEFAULT 0,
    tokens_out int NOT NULL DEFAULT 0,
    sends int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX usage_customer ON usage_record (customer_id, created_at);
