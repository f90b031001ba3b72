-- Modify "attachments" table
ALTER TABLE "attachments" ADD COLUMN "hash" character varying NULL, ADD COLUMN "queue_key" character varying NULL, ADD COLUMN "queue_order" bigint NOT NULL DEFAULT 0, ADD COLUMN "next_try_at" timestamptz NULL, ADD COLUMN "attempts" bigint NOT NULL DEFAULT 0, ADD COLUMN "leased_until" timestamptz NULL;
-- Create index "attachment_pending" to table: "attachments"
CREATE INDEX "attachment_pending" ON "attachments" ("queue_key", "queue_order") WHERE ((state)::text = 'PENDING'::text);
-- Modify "contacts" table
ALTER TABLE "contacts" ADD COLUMN "avatar_ref" character varying NULL, ADD COLUMN "avatar_hash" character varying NULL, ADD COLUMN "avatar_type" character varying NULL, ADD COLUMN "profile" character varying NOT NULL DEFAULT 'UNKNOWN', ADD COLUMN "described_at" timestamptz NULL, ADD COLUMN "queue_key" character varying NULL, ADD COLUMN "queue_order" bigint NOT NULL DEFAULT 0, ADD COLUMN "next_try_at" timestamptz NULL, ADD COLUMN "attempts" bigint NOT NULL DEFAULT 0, ADD COLUMN "leased_until" timestamptz NULL;
-- Create index "contact_profile_pending" to table: "contacts"
CREATE INDEX "contact_profile_pending" ON "contacts" ("queue_key", "queue_order") WHERE ((profile)::text = 'PENDING'::text);
-- Create "audit_entries" table
CREATE TABLE "audit_entries" ("id" character varying NOT NULL, "at" timestamptz NOT NULL, "actor_id" character varying NULL, "action" character varying NOT NULL, "subject_id" character varying NULL, "details" jsonb NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "audit_entries_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "auditentry_campaign_id_at_id" to table: "audit_entries"
CREATE INDEX "auditentry_campaign_id_at_id" ON "audit_entries" ("campaign_id", "at", "id");
-- Create "queues" table
CREATE TABLE "queues" ("id" character varying NOT NULL, "name" character varying NOT NULL, "assignment" character varying NOT NULL, "turns" bigint NOT NULL DEFAULT 0, "created_at" timestamptz NOT NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "queues_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "queue_campaign_id_name" to table: "queues"
CREATE UNIQUE INDEX "queue_campaign_id_name" ON "queues" ("campaign_id", "name");
-- Modify "users" table
ALTER TABLE "users" ADD COLUMN "presence" character varying NOT NULL DEFAULT 'OFFLINE', ADD COLUMN "said_presence" character varying NOT NULL DEFAULT 'OFFLINE', ADD COLUMN "seen_at" timestamptz NULL;
-- Create index "user_seen" to table: "users"
CREATE INDEX "user_seen" ON "users" ("seen_at") WHERE (seen_at IS NOT NULL);
-- Modify "connections" table
ALTER TABLE "connections" ADD COLUMN "avatar_ref" character varying NULL, ADD COLUMN "avatar_hash" character varying NULL, ADD COLUMN "avatar_type" character varying NULL, ADD COLUMN "token_expires_at" timestamptz NULL, ADD COLUMN "token_refresh_at" timestamptz NULL, ADD COLUMN "data_access_expires_at" timestamptz NULL, ADD COLUMN "sealed_user_token" bytea NULL, ADD COLUMN "app_id" character varying NULL, ADD COLUMN "sealed_app_secret" bytea NULL, ADD COLUMN "permissions" jsonb NULL, ADD COLUMN "queue_id" character varying NULL, ADD COLUMN "assignee_id" character varying NULL, ADD CONSTRAINT "connections_queues_queue" FOREIGN KEY ("queue_id") REFERENCES "queues" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, ADD CONSTRAINT "connections_users_assignee" FOREIGN KEY ("assignee_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Create index "connection_assignee_id" to table: "connections"
CREATE INDEX "connection_assignee_id" ON "connections" ("assignee_id");
-- Create index "connection_queue_id" to table: "connections"
CREATE INDEX "connection_queue_id" ON "connections" ("queue_id");
-- Modify "conversations" table
ALTER TABLE "conversations" ADD COLUMN "thread_owner" character varying NOT NULL DEFAULT 'NONE', ADD COLUMN "thread_owner_app_id" character varying NULL, ADD COLUMN "customer_wrote_at" timestamptz NULL, ADD COLUMN "assignee_id" character varying NULL, ADD COLUMN "queue_id" character varying NULL, ADD CONSTRAINT "conversations_queues_queue" FOREIGN KEY ("queue_id") REFERENCES "queues" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, ADD CONSTRAINT "conversations_users_assignee" FOREIGN KEY ("assignee_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Create index "conversation_assignee_id_status" to table: "conversations"
CREATE INDEX "conversation_assignee_id_status" ON "conversations" ("assignee_id", "status");
-- Create index "conversation_campaign_id_assignee_id_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_campaign_id_assignee_id_last_message_at_id" ON "conversations" ("campaign_id", "assignee_id", "last_message_at", "id");
-- Create index "conversation_queue_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_queue_id_status_last_message_at_id" ON "conversations" ("queue_id", "status", "last_message_at", "id");
-- Create index "conversation_unassigned" to table: "conversations"
CREATE INDEX "conversation_unassigned" ON "conversations" ("queue_id", "created_at") WHERE ((assignee_id IS NULL) AND ((status)::text = 'OPEN'::text));
-- Create "facebook_logins" table
CREATE TABLE "facebook_logins" ("id" character varying NOT NULL, "user_id" character varying NOT NULL, "state_hash" character varying NOT NULL, "return_origin" character varying NOT NULL, "status" character varying NOT NULL, "user_name" character varying NULL, "facebook_user_id" character varying NULL, "permissions" jsonb NULL, "pages" jsonb NULL, "problem" jsonb NULL, "sealed_token" bytea NULL, "token_expires_at" timestamptz NULL, "data_access_expires_at" timestamptz NULL, "used_at" timestamptz NULL, "expires_at" timestamptz NOT NULL, "created_at" timestamptz NOT NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "facebook_logins_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "facebooklogin_campaign_id_user_id_created_at" to table: "facebook_logins"
CREATE INDEX "facebooklogin_campaign_id_user_id_created_at" ON "facebook_logins" ("campaign_id", "user_id", "created_at");
-- Create index "facebooklogin_expires_at" to table: "facebook_logins"
CREATE INDEX "facebooklogin_expires_at" ON "facebook_logins" ("expires_at");
-- Create index "facebooklogin_state_hash" to table: "facebook_logins"
CREATE UNIQUE INDEX "facebooklogin_state_hash" ON "facebook_logins" ("state_hash");
-- Modify "messages" table
ALTER TABLE "messages" ADD COLUMN "delivered_at" timestamptz NULL, ADD COLUMN "read_at" timestamptz NULL, ADD COLUMN "deleted_at" timestamptz NULL, ADD COLUMN "standby" boolean NOT NULL DEFAULT false, ADD COLUMN "parts_sent" bigint NOT NULL DEFAULT 0;
-- Create index "message_on_its_way" to table: "messages"
CREATE INDEX "message_on_its_way" ON "messages" ("conversation_id", "sent_at") WHERE (((status)::text = 'SENT'::text) OR ((status)::text = 'DELIVERED'::text));
-- Create "message_parts" table
CREATE TABLE "message_parts" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "connection_id" character varying NOT NULL, "account_id" character varying NOT NULL, "place" bigint NOT NULL, "external_id" character varying NOT NULL, "sent_at" timestamptz NOT NULL, "message_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "message_parts_messages_message" FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "messagepart_connection_id_account_id_external_id" to table: "message_parts"
CREATE UNIQUE INDEX "messagepart_connection_id_account_id_external_id" ON "message_parts" ("connection_id", "account_id", "external_id");
-- Create index "messagepart_message_id_place" to table: "message_parts"
CREATE UNIQUE INDEX "messagepart_message_id_place" ON "message_parts" ("message_id", "place");
-- Create "queue_members" table
CREATE TABLE "queue_members" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "turn" bigint NOT NULL DEFAULT 0, "joined_at" timestamptz NOT NULL, "queue_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "queue_members_queues_queue" FOREIGN KEY ("queue_id") REFERENCES "queues" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "queue_members_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "queuemember_queue_id_user_id" to table: "queue_members"
CREATE UNIQUE INDEX "queuemember_queue_id_user_id" ON "queue_members" ("queue_id", "user_id");
-- Create index "queuemember_user_id_campaign_id" to table: "queue_members"
CREATE INDEX "queuemember_user_id_campaign_id" ON "queue_members" ("user_id", "campaign_id");
-- Create "quick_replies" table
CREATE TABLE "quick_replies" ("id" character varying NOT NULL, "shortcut" character varying NOT NULL, "language" character varying NOT NULL DEFAULT '', "text" text NOT NULL, "created_at" timestamptz NOT NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "quick_replies_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "quickreply_campaign_id_shortcut_language" to table: "quick_replies"
CREATE UNIQUE INDEX "quickreply_campaign_id_shortcut_language" ON "quick_replies" ("campaign_id", "shortcut", "language");
-- Create "tags" table
CREATE TABLE "tags" ("id" character varying NOT NULL, "name" character varying NOT NULL, "color" character varying NULL, "created_at" timestamptz NOT NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "tags_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "tag_campaign_id_name" to table: "tags"
CREATE UNIQUE INDEX "tag_campaign_id_name" ON "tags" ("campaign_id", "name");
-- Create "taggings" table
CREATE TABLE "taggings" ("campaign_id" character varying NOT NULL, "conversation_id" character varying NOT NULL, "tag_id" character varying NOT NULL, PRIMARY KEY ("conversation_id", "tag_id"), CONSTRAINT "taggings_conversations_conversation" FOREIGN KEY ("conversation_id") REFERENCES "conversations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "taggings_tags_tag" FOREIGN KEY ("tag_id") REFERENCES "tags" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "tagging_tag_id_conversation_id" to table: "taggings"
CREATE INDEX "tagging_tag_id_conversation_id" ON "taggings" ("tag_id", "conversation_id");
-- What waited to be fetched is fetched now, and who was met is asked for.
UPDATE "attachments" SET "queue_key" = "id", "next_try_at" = (SELECT "created_at" FROM "messages" WHERE "messages"."id" = "attachments"."message_id") WHERE "state" = 'PENDING';
UPDATE "contacts" SET "profile" = 'PENDING', "queue_key" = "id", "next_try_at" = "created_at";
