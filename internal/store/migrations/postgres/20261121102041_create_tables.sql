-- Create "access_tokens" table
CREATE TABLE "access_tokens" ("id" character varying NOT NULL, "name" character varying NOT NULL, "prefix" character varying NOT NULL, "hash" character varying NOT NULL, "created_at" timestamptz NOT NULL, "expires_at" timestamptz NULL, "last_used_at" timestamptz NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "accesstoken_hash" to table: "access_tokens"
CREATE UNIQUE INDEX "accesstoken_hash" ON "access_tokens" ("hash");
-- Create index "accesstoken_user_id_created_at" to table: "access_tokens"
CREATE INDEX "accesstoken_user_id_created_at" ON "access_tokens" ("user_id", "created_at");
-- Create "attachments" table
CREATE TABLE "attachments" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "place" bigint NOT NULL, "kind" character varying NOT NULL, "state" character varying NULL, "platform_ref" character varying NULL, "name" character varying NULL, "mime_type" character varying NULL, "size" bigint NULL, "width" bigint NULL, "height" bigint NULL, "duration_seconds" double precision NULL, "latitude" double precision NULL, "longitude" double precision NULL, "message_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "attachment_message_id_place" to table: "attachments"
CREATE UNIQUE INDEX "attachment_message_id_place" ON "attachments" ("message_id", "place");
-- Create "campaigns" table
CREATE TABLE "campaigns" ("id" character varying NOT NULL, "name" character varying NOT NULL, "description" character varying NULL, "event_seq" bigint NOT NULL DEFAULT 0, "archived_at" timestamptz NULL, "created_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "campaign_created_at_id" to table: "campaigns"
CREATE INDEX "campaign_created_at_id" ON "campaigns" ("created_at", "id");
-- Create "campaign_members" table
CREATE TABLE "campaign_members" ("id" character varying NOT NULL, "role" character varying NOT NULL, "joined_at" timestamptz NOT NULL, "campaign_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "campaignmember_campaign_id_user_id" to table: "campaign_members"
CREATE UNIQUE INDEX "campaignmember_campaign_id_user_id" ON "campaign_members" ("campaign_id", "user_id");
-- Create index "campaignmember_user_id_campaign_id" to table: "campaign_members"
CREATE INDEX "campaignmember_user_id_campaign_id" ON "campaign_members" ("user_id", "campaign_id");
-- Create "connections" table
CREATE TABLE "connections" ("id" character varying NOT NULL, "platform" character varying NOT NULL, "account_id" character varying NOT NULL, "profile" jsonb NOT NULL, "name" character varying NOT NULL, "language" character varying NULL, "enabled" boolean NOT NULL DEFAULT true, "authorized_by" character varying NULL, "status" character varying NOT NULL, "problem" jsonb NULL, "warnings" jsonb NULL, "sealed_token" bytea NULL, "token_valid" boolean NOT NULL DEFAULT false, "token_refreshed_at" timestamptz NULL, "delivery" character varying NOT NULL, "webhook_key" character varying NOT NULL, "sealed_webhook_secret" bytea NULL, "webhook_status" character varying NOT NULL, "webhook_problem" jsonb NULL, "subscribed_fields" jsonb NULL, "registered_at" timestamptz NULL, "poll_offset" bigint NOT NULL DEFAULT 0, "poll_leased_until" timestamptz NULL, "platform_pending" bigint NOT NULL DEFAULT 0, "last_received_at" timestamptz NULL, "total_received" bigint NOT NULL DEFAULT 0, "error_count" bigint NOT NULL DEFAULT 0, "rejected_count" bigint NOT NULL DEFAULT 0, "connected_at" timestamptz NOT NULL, "reconnected_at" timestamptz NULL, "disconnected_at" timestamptz NULL, "last_synced_at" timestamptz NULL, "failed_checks" bigint NOT NULL DEFAULT 0, "next_check_at" timestamptz NULL, "leased_until" timestamptz NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "connection_campaign_id_connected_at_id" to table: "connections"
CREATE INDEX "connection_campaign_id_connected_at_id" ON "connections" ("campaign_id", "connected_at", "id");
-- Create index "connection_campaign_id_platform_account_id" to table: "connections"
CREATE INDEX "connection_campaign_id_platform_account_id" ON "connections" ("campaign_id", "platform", "account_id");
-- Create index "connection_due" to table: "connections"
CREATE INDEX "connection_due" ON "connections" ("next_check_at") WHERE (disconnected_at IS NULL);
-- Create index "connection_live_account" to table: "connections"
CREATE UNIQUE INDEX "connection_live_account" ON "connections" ("platform", "account_id") WHERE (disconnected_at IS NULL);
-- Create index "connection_webhook_key" to table: "connections"
CREATE UNIQUE INDEX "connection_webhook_key" ON "connections" ("webhook_key");
-- Create "contacts" table
CREATE TABLE "contacts" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "account_id" character varying NOT NULL, "platform" character varying NOT NULL, "external_id" character varying NOT NULL, "name" character varying NOT NULL, "username" character varying NULL, "language" character varying NULL, "blocked" boolean NOT NULL DEFAULT false, "created_at" timestamptz NOT NULL, "connection_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "contact_connection_id_account_id_external_id" to table: "contacts"
CREATE UNIQUE INDEX "contact_connection_id_account_id_external_id" ON "contacts" ("connection_id", "account_id", "external_id");
-- Create "conversations" table
CREATE TABLE "conversations" ("id" character varying NOT NULL, "account_id" character varying NOT NULL, "platform" character varying NOT NULL, "chat" character varying NOT NULL, "title" character varying NULL, "status" character varying NOT NULL, "unread_count" bigint NOT NULL DEFAULT 0, "last_seq" bigint NOT NULL DEFAULT 0, "last_message_at" timestamptz NOT NULL, "created_at" timestamptz NOT NULL, "closed_at" timestamptz NULL, "campaign_id" character varying NOT NULL, "connection_id" character varying NOT NULL, "contact_id" character varying NOT NULL, "last_message_id" character varying NULL, PRIMARY KEY ("id"));
-- Create index "conversation_campaign_id_created_at_id" to table: "conversations"
CREATE INDEX "conversation_campaign_id_created_at_id" ON "conversations" ("campaign_id", "created_at", "id");
-- Create index "conversation_campaign_id_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_campaign_id_last_message_at_id" ON "conversations" ("campaign_id", "last_message_at", "id");
-- Create index "conversation_campaign_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_campaign_id_status_last_message_at_id" ON "conversations" ("campaign_id", "status", "last_message_at", "id");
-- Create index "conversation_connection_id_account_id_chat" to table: "conversations"
CREATE UNIQUE INDEX "conversation_connection_id_account_id_chat" ON "conversations" ("connection_id", "account_id", "chat");
-- Create index "conversation_connection_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_connection_id_status_last_message_at_id" ON "conversations" ("connection_id", "status", "last_message_at", "id");
-- Create index "conversation_contact_id" to table: "conversations"
CREATE INDEX "conversation_contact_id" ON "conversations" ("contact_id");
-- Create "feed_events" table
CREATE TABLE "feed_events" ("id" character varying NOT NULL, "seq" bigint NOT NULL, "at" timestamptz NOT NULL, "kind" character varying NOT NULL, "change" character varying NULL, "status" character varying NULL, "conversation_id" character varying NULL, "message_id" character varying NULL, "connection_id" character varying NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "feedevent_at" to table: "feed_events"
CREATE INDEX "feedevent_at" ON "feed_events" ("at");
-- Create index "feedevent_campaign_id_seq" to table: "feed_events"
CREATE UNIQUE INDEX "feedevent_campaign_id_seq" ON "feed_events" ("campaign_id", "seq");
-- Create "messages" table
CREATE TABLE "messages" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "connection_id" character varying NOT NULL, "account_id" character varying NOT NULL, "seq" bigint NOT NULL, "direction" character varying NOT NULL, "author_kind" character varying NOT NULL, "text" text NULL, "payload" character varying NULL, "status" character varying NOT NULL, "album_id" character varying NULL, "forwarded_from" character varying NULL, "external_id" character varying NULL, "sent_at" timestamptz NOT NULL, "created_at" timestamptz NOT NULL, "edited_at" timestamptz NULL, "conversation_id" character varying NOT NULL, "contact_id" character varying NULL, "webhook_log_id" character varying NULL, "reply_to_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "messages_messages_replies" FOREIGN KEY ("reply_to_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE SET NULL);
-- Create index "message_connection_id_account_id_external_id" to table: "messages"
CREATE UNIQUE INDEX "message_connection_id_account_id_external_id" ON "messages" ("connection_id", "account_id", "external_id");
-- Create index "message_conversation_id_seq" to table: "messages"
CREATE UNIQUE INDEX "message_conversation_id_seq" ON "messages" ("conversation_id", "seq");
-- Create index "message_reply_to_id" to table: "messages"
CREATE INDEX "message_reply_to_id" ON "messages" ("reply_to_id");
-- Create index "message_webhook_log_id" to table: "messages"
CREATE INDEX "message_webhook_log_id" ON "messages" ("webhook_log_id");
-- Create "reactions" table
CREATE TABLE "reactions" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "emoji" character varying NOT NULL, "at" timestamptz NOT NULL, "message_id" character varying NOT NULL, "contact_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "reaction_message_id_contact_id_emoji" to table: "reactions"
CREATE UNIQUE INDEX "reaction_message_id_contact_id_emoji" ON "reactions" ("message_id", "contact_id", "emoji");
-- Create "test_reports" table
CREATE TABLE "test_reports" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "kind" character varying NOT NULL, "passed" boolean NOT NULL, "checks" jsonb NOT NULL, "started_at" timestamptz NOT NULL, "duration_ms" double precision NOT NULL, "connection_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "testreport_connection_id_started_at_id" to table: "test_reports"
CREATE INDEX "testreport_connection_id_started_at_id" ON "test_reports" ("connection_id", "started_at", "id");
-- Create "users" table
CREATE TABLE "users" ("id" character varying NOT NULL, "email" character varying NOT NULL, "name" character varying NOT NULL, "role" character varying NOT NULL, "language" character varying NOT NULL DEFAULT 'en', "password_hash" character varying NOT NULL, "deactivated_at" timestamptz NULL, "created_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "user_created_at_id" to table: "users"
CREATE INDEX "user_created_at_id" ON "users" ("created_at", "id");
-- Create index "user_email" to table: "users"
CREATE UNIQUE INDEX "user_email" ON "users" ("email");
-- Create "webhook_logs" table
CREATE TABLE "webhook_logs" ("id" character varying NOT NULL, "campaign_id" character varying NOT NULL, "account_id" character varying NOT NULL, "update_key" character varying NULL, "event_type" character varying NOT NULL, "payload" bytea NOT NULL, "response_status" bigint NOT NULL DEFAULT 200, "test" boolean NOT NULL DEFAULT false, "status" character varying NOT NULL, "error" character varying NULL, "received_at" timestamptz NOT NULL, "processed_at" timestamptz NULL, "duration_ms" double precision NULL, "position" bigint NOT NULL, "queue_key" character varying NOT NULL, "next_try_at" timestamptz NOT NULL, "attempts" bigint NOT NULL DEFAULT 0, "leased_until" timestamptz NULL, "connection_id" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "webhook_log_update" to table: "webhook_logs"
CREATE UNIQUE INDEX "webhook_log_update" ON "webhook_logs" ("connection_id", "account_id", "update_key") WHERE ((status)::text <> 'DUPLICATE'::text);
-- Create index "webhook_log_waiting" to table: "webhook_logs"
CREATE INDEX "webhook_log_waiting" ON "webhook_logs" ("position") WHERE ((status)::text = 'PENDING'::text);
-- Create index "webhook_log_waiting_by_key" to table: "webhook_logs"
CREATE INDEX "webhook_log_waiting_by_key" ON "webhook_logs" ("queue_key", "position") WHERE ((status)::text = 'PENDING'::text);
-- Create index "webhooklog_connection_id_position" to table: "webhook_logs"
CREATE INDEX "webhooklog_connection_id_position" ON "webhook_logs" ("connection_id", "position");
-- Create index "webhooklog_connection_id_status_position" to table: "webhook_logs"
CREATE INDEX "webhooklog_connection_id_status_position" ON "webhook_logs" ("connection_id", "status", "position");
-- Create index "webhooklog_received_at" to table: "webhook_logs"
CREATE INDEX "webhooklog_received_at" ON "webhook_logs" ("received_at");
-- Modify "access_tokens" table
ALTER TABLE "access_tokens" ADD CONSTRAINT "access_tokens_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "attachments" table
ALTER TABLE "attachments" ADD CONSTRAINT "attachments_messages_message" FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "campaign_members" table
ALTER TABLE "campaign_members" ADD CONSTRAINT "campaign_members_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "campaign_members_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "connections" table
ALTER TABLE "connections" ADD CONSTRAINT "connections_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "contacts" table
ALTER TABLE "contacts" ADD CONSTRAINT "contacts_connections_connection" FOREIGN KEY ("connection_id") REFERENCES "connections" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "conversations" table
ALTER TABLE "conversations" ADD CONSTRAINT "conversations_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "conversations_connections_connection" FOREIGN KEY ("connection_id") REFERENCES "connections" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "conversations_contacts_contact" FOREIGN KEY ("contact_id") REFERENCES "contacts" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "conversations_messages_last_message" FOREIGN KEY ("last_message_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Modify "feed_events" table
ALTER TABLE "feed_events" ADD CONSTRAINT "feed_events_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "messages" table
ALTER TABLE "messages" ADD CONSTRAINT "messages_contacts_contact" FOREIGN KEY ("contact_id") REFERENCES "contacts" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, ADD CONSTRAINT "messages_conversations_conversation" FOREIGN KEY ("conversation_id") REFERENCES "conversations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "messages_webhook_logs_webhook_log" FOREIGN KEY ("webhook_log_id") REFERENCES "webhook_logs" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Modify "reactions" table
ALTER TABLE "reactions" ADD CONSTRAINT "reactions_contacts_contact" FOREIGN KEY ("contact_id") REFERENCES "contacts" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD CONSTRAINT "reactions_messages_message" FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "test_reports" table
ALTER TABLE "test_reports" ADD CONSTRAINT "test_reports_connections_connection" FOREIGN KEY ("connection_id") REFERENCES "connections" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- Modify "webhook_logs" table
ALTER TABLE "webhook_logs" ADD CONSTRAINT "webhook_logs_connections_connection" FOREIGN KEY ("connection_id") REFERENCES "connections" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
