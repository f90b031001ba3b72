-- Modify "messages" table
ALTER TABLE "messages" ADD COLUMN "author_id" character varying NULL, ADD COLUMN "problem" jsonb NULL, ADD COLUMN "idempotency_key" character varying NULL, ADD COLUMN "queue_key" character varying NULL, ADD COLUMN "next_try_at" timestamptz NULL, ADD COLUMN "attempts" bigint NOT NULL DEFAULT 0, ADD COLUMN "leased_until" timestamptz NULL, ADD COLUMN "queued_at" timestamptz NULL, ADD COLUMN "failures" bigint NOT NULL DEFAULT 0, ADD COLUMN "sending_at" timestamptz NULL;
-- Create index "message_idempotency" to table: "messages"
CREATE UNIQUE INDEX "message_idempotency" ON "messages" ("conversation_id", "idempotency_key") WHERE (idempotency_key IS NOT NULL);
-- Create index "message_queued" to table: "messages"
CREATE INDEX "message_queued" ON "messages" ("queue_key", "seq") WHERE ((status)::text = 'QUEUED'::text);
-- Create index "message_queued_by_connection" to table: "messages"
CREATE INDEX "message_queued_by_connection" ON "messages" ("connection_id") WHERE ((status)::text = 'QUEUED'::text);
