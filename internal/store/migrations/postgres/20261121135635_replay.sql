-- Modify "contacts" table
ALTER TABLE "contacts" ADD COLUMN "blocked_at" timestamptz NULL;
-- Modify "webhook_logs" table
ALTER TABLE "webhook_logs" ADD COLUMN "attempts_before" bigint NOT NULL DEFAULT 0, ADD COLUMN "applied_before" boolean NOT NULL DEFAULT false;
