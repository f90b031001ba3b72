-- Create index "message_failed_by_connection" to table: "messages"
CREATE INDEX "message_failed_by_connection" ON "messages" ("connection_id", "queued_at") WHERE ((status)::text = 'FAILED'::text);
-- Create "notices" table
CREATE TABLE "notices" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "opened_at" timestamptz NOT NULL, "closed_at" timestamptz NULL, "connection_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "notices_connections_connection" FOREIGN KEY ("connection_id") REFERENCES "connections" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "notice_closed_at" to table: "notices"
CREATE INDEX "notice_closed_at" ON "notices" ("closed_at");
-- Create index "notice_open" to table: "notices"
CREATE UNIQUE INDEX "notice_open" ON "notices" ("connection_id") WHERE (closed_at IS NULL);
-- Create "notice_letters" table
CREATE TABLE "notice_letters" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "state" character varying NOT NULL, "created_at" timestamptz NOT NULL, "sent_at" timestamptz NULL, "queue_key" character varying NOT NULL, "queue_order" bigint NOT NULL DEFAULT 0, "next_try_at" timestamptz NOT NULL, "attempts" bigint NOT NULL DEFAULT 0, "leased_until" timestamptz NULL, "notice_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "notice_letters_notices_notice" FOREIGN KEY ("notice_id") REFERENCES "notices" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "notice_letters_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "notice_letter_waiting" to table: "notice_letters"
CREATE INDEX "notice_letter_waiting" ON "notice_letters" ("queue_key", "queue_order") WHERE ((state)::text = 'WAITING'::text);
-- Create index "noticeletter_notice_id_user_id" to table: "notice_letters"
CREATE UNIQUE INDEX "noticeletter_notice_id_user_id" ON "notice_letters" ("notice_id", "user_id");
