-- Create "access_tokens" table
CREATE TABLE `access_tokens` (`id` text NOT NULL, `name` text NOT NULL, `prefix` text NOT NULL, `hash` text NOT NULL, `created_at` datetime NOT NULL, `expires_at` datetime NULL, `last_used_at` datetime NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `access_tokens_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION);
-- Create index "accesstoken_hash" to table: "access_tokens"
CREATE UNIQUE INDEX `accesstoken_hash` ON `access_tokens` (`hash`);
-- Create index "accesstoken_user_id_created_at" to table: "access_tokens"
CREATE INDEX `accesstoken_user_id_created_at` ON `access_tokens` (`user_id`, `created_at`);
-- Create "attachments" table
CREATE TABLE `attachments` (`id` text NOT NULL, `campaign_id` text NOT NULL, `place` integer NOT NULL, `kind` text NOT NULL, `state` text NULL, `platform_ref` text NULL, `name` text NULL, `mime_type` text NULL, `size` integer NULL, `width` integer NULL, `height` integer NULL, `duration_seconds` real NULL, `latitude` real NULL, `longitude` real NULL, `message_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `attachments_messages_message` FOREIGN KEY (`message_id`) REFERENCES `messages` (`id`) ON DELETE NO ACTION);
-- Create index "attachment_message_id_place" to table: "attachments"
CREATE UNIQUE INDEX `attachment_message_id_place` ON `attachments` (`message_id`, `place`);
-- Create "campaigns" table
CREATE TABLE `campaigns` (`id` text NOT NULL, `name` text NOT NULL, `description` text NULL, `event_seq` integer NOT NULL DEFAULT (0), `archived_at` datetime NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- Create index "campaign_created_at_id" to table: "campaigns"
CREATE INDEX `campaign_created_at_id` ON `campaigns` (`created_at`, `id`);
-- Create "campaign_members" table
CREATE TABLE `campaign_members` (`id` text NOT NULL, `role` text NOT NULL, `joined_at` datetime NOT NULL, `campaign_id` text NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `campaign_members_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION, CONSTRAINT `campaign_members_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION);
-- Create index "campaignmember_campaign_id_user_id" to table: "campaign_members"
CREATE UNIQUE INDEX `campaignmember_campaign_id_user_id` ON `campaign_members` (`campaign_id`, `user_id`);
-- Create index "campaignmember_user_id_campaign_id" to table: "campaign_members"
CREATE INDEX `campaignmember_user_id_campaign_id` ON `campaign_members` (`user_id`, `campaign_id`);
-- Create "connections" table
CREATE TABLE `connections` (`id` text NOT NULL, `platform` text NOT NULL, `account_id` text NOT NULL, `profile` json NOT NULL, `name` text NOT NULL, `language` text NULL, `enabled` bool NOT NULL DEFAULT (true), `authorized_by` text NULL, `status` text NOT NULL, `problem` json NULL, `warnings` json NULL, `sealed_token` blob NULL, `token_valid` bool NOT NULL DEFAULT (false), `token_refreshed_at` datetime NULL, `delivery` text NOT NULL, `webhook_key` text NOT NULL, `sealed_webhook_secret` blob NULL, `webhook_status` text NOT NULL, `webhook_problem` json NULL, `subscribed_fields` json NULL, `registered_at` datetime NULL, `poll_offset` integer NOT NULL DEFAULT (0), `poll_leased_until` datetime NULL, `platform_pending` integer NOT NULL DEFAULT (0), `last_received_at` datetime NULL, `total_received` integer NOT NULL DEFAULT (0), `error_count` integer NOT NULL DEFAULT (0), `rejected_count` integer NOT NULL DEFAULT (0), `connected_at` datetime NOT NULL, `reconnected_at` datetime NULL, `disconnected_at` datetime NULL, `last_synced_at` datetime NULL, `failed_checks` integer NOT NULL DEFAULT (0), `next_check_at` datetime NULL, `leased_until` datetime NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `connections_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create index "connection_live_account" to table: "connections"
CREATE UNIQUE INDEX `connection_live_account` ON `connections` (`platform`, `account_id`) WHERE disconnected_at IS NULL;
-- Create index "connection_webhook_key" to table: "connections"
CREATE UNIQUE INDEX `connection_webhook_key` ON `connections` (`webhook_key`);
-- Create index "connection_campaign_id_connected_at_id" to table: "connections"
CREATE INDEX `connection_campaign_id_connected_at_id` ON `connections` (`campaign_id`, `connected_at`, `id`);
-- Create index "connection_campaign_id_platform_account_id" to table: "connections"
CREATE INDEX `connection_campaign_id_platform_account_id` ON `connections` (`campaign_id`, `platform`, `account_id`);
-- Create index "connection_due" to table: "connections"
CREATE INDEX `connection_due` ON `connections` (`next_check_at`) WHERE disconnected_at IS NULL;
-- Create "contacts" table
CREATE TABLE `contacts` (`id` text NOT NULL, `campaign_id` text NOT NULL, `account_id` text NOT NULL, `platform` text NOT NULL, `external_id` text NOT NULL, `name` text NOT NULL, `username` text NULL, `language` text NULL, `blocked` bool NOT NULL DEFAULT (false), `created_at` datetime NOT NULL, `connection_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `contacts_connections_connection` FOREIGN KEY (`connection_id`) REFERENCES `connections` (`id`) ON DELETE NO ACTION);
-- Create index "contact_connection_id_account_id_external_id" to table: "contacts"
CREATE UNIQUE INDEX `contact_connection_id_account_id_external_id` ON `contacts` (`connection_id`, `account_id`, `external_id`);
-- Create "conversations" table
CREATE TABLE `conversations` (`id` text NOT NULL, `account_id` text NOT NULL, `platform` text NOT NULL, `chat` text NOT NULL, `title` text NULL, `status` text NOT NULL, `unread_count` integer NOT NULL DEFAULT (0), `last_seq` integer NOT NULL DEFAULT (0), `last_message_at` datetime NOT NULL, `created_at` datetime NOT NULL, `closed_at` datetime NULL, `campaign_id` text NOT NULL, `connection_id` text NOT NULL, `contact_id` text NOT NULL, `last_message_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `conversations_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION, CONSTRAINT `conversations_connections_connection` FOREIGN KEY (`connection_id`) REFERENCES `connections` (`id`) ON DELETE NO ACTION, CONSTRAINT `conversations_contacts_contact` FOREIGN KEY (`contact_id`) REFERENCES `contacts` (`id`) ON DELETE NO ACTION, CONSTRAINT `conversations_messages_last_message` FOREIGN KEY (`last_message_id`) REFERENCES `messages` (`id`) ON DELETE SET NULL);
-- Create index "conversation_connection_id_account_id_chat" to table: "conversations"
CREATE UNIQUE INDEX `conversation_connection_id_account_id_chat` ON `conversations` (`connection_id`, `account_id`, `chat`);
-- Create index "conversation_contact_id" to table: "conversations"
CREATE INDEX `conversation_contact_id` ON `conversations` (`contact_id`);
-- Create index "conversation_campaign_id_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_campaign_id_last_message_at_id` ON `conversations` (`campaign_id`, `last_message_at`, `id`);
-- Create index "conversation_campaign_id_created_at_id" to table: "conversations"
CREATE INDEX `conversation_campaign_id_created_at_id` ON `conversations` (`campaign_id`, `created_at`, `id`);
-- Create index "conversation_campaign_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_campaign_id_status_last_message_at_id` ON `conversations` (`campaign_id`, `status`, `last_message_at`, `id`);
-- Create index "conversation_connection_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_connection_id_status_last_message_at_id` ON `conversations` (`connection_id`, `status`, `last_message_at`, `id`);
-- Create "feed_events" table
CREATE TABLE `feed_events` (`id` text NOT NULL, `seq` integer NOT NULL, `at` datetime NOT NULL, `kind` text NOT NULL, `change` text NULL, `status` text NULL, `conversation_id` text NULL, `message_id` text NULL, `connection_id` text NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `feed_events_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create index "feedevent_campaign_id_seq" to table: "feed_events"
CREATE UNIQUE INDEX `feedevent_campaign_id_seq` ON `feed_events` (`campaign_id`, `seq`);
-- Create index "feedevent_at" to table: "feed_events"
CREATE INDEX `feedevent_at` ON `feed_events` (`at`);
-- Create "messages" table
CREATE TABLE `messages` (`id` text NOT NULL, `campaign_id` text NOT NULL, `connection_id` text NOT NULL, `account_id` text NOT NULL, `seq` integer NOT NULL, `direction` text NOT NULL, `author_kind` text NOT NULL, `text` text NULL, `payload` text NULL, `status` text NOT NULL, `album_id` text NULL, `forwarded_from` text NULL, `external_id` text NULL, `sent_at` datetime NOT NULL, `created_at` datetime NOT NULL, `edited_at` datetime NULL, `conversation_id` text NOT NULL, `contact_id` text NULL, `webhook_log_id` text NULL, `reply_to_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `messages_conversations_conversation` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`) ON DELETE NO ACTION, CONSTRAINT `messages_contacts_contact` FOREIGN KEY (`contact_id`) REFERENCES `contacts` (`id`) ON DELETE SET NULL, CONSTRAINT `messages_webhook_logs_webhook_log` FOREIGN KEY (`webhook_log_id`) REFERENCES `webhook_logs` (`id`) ON DELETE SET NULL, CONSTRAINT `messages_messages_replies` FOREIGN KEY (`reply_to_id`) REFERENCES `messages` (`id`) ON DELETE SET NULL);
-- Create index "message_conversation_id_seq" to table: "messages"
CREATE UNIQUE INDEX `message_conversation_id_seq` ON `messages` (`conversation_id`, `seq`);
-- Create index "message_connection_id_account_id_external_id" to table: "messages"
CREATE UNIQUE INDEX `message_connection_id_account_id_external_id` ON `messages` (`connection_id`, `account_id`, `external_id`);
-- Create index "message_webhook_log_id" to table: "messages"
CREATE INDEX `message_webhook_log_id` ON `messages` (`webhook_log_id`);
-- Create index "message_reply_to_id" to table: "messages"
CREATE INDEX `message_reply_to_id` ON `messages` (`reply_to_id`);
-- Create "reactions" table
CREATE TABLE `reactions` (`id` text NOT NULL, `campaign_id` text NOT NULL, `emoji` text NOT NULL, `at` datetime NOT NULL, `message_id` text NOT NULL, `contact_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `reactions_messages_message` FOREIGN KEY (`message_id`) REFERENCES `messages` (`id`) ON DELETE NO ACTION, CONSTRAINT `reactions_contacts_contact` FOREIGN KEY (`contact_id`) REFERENCES `contacts` (`id`) ON DELETE NO ACTION);
-- Create index "reaction_message_id_contact_id_emoji" to table: "reactions"
CREATE UNIQUE INDEX `reaction_message_id_contact_id_emoji` ON `reactions` (`message_id`, `contact_id`, `emoji`);
-- Create "test_reports" table
CREATE TABLE `test_reports` (`id` text NOT NULL, `campaign_id` text NOT NULL, `kind` text NOT NULL, `passed` bool NOT NULL, `checks` json NOT NULL, `started_at` datetime NOT NULL, `duration_ms` real NOT NULL, `connection_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `test_reports_connections_connection` FOREIGN KEY (`connection_id`) REFERENCES `connections` (`id`) ON DELETE NO ACTION);
-- Create index "testreport_connection_id_started_at_id" to table: "test_reports"
CREATE INDEX `testreport_connection_id_started_at_id` ON `test_reports` (`connection_id`, `started_at`, `id`);
-- Create "users" table
CREATE TABLE `users` (`id` text NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `language` text NOT NULL DEFAULT ('en'), `password_hash` text NOT NULL, `deactivated_at` datetime NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- Create index "user_email" to table: "users"
CREATE UNIQUE INDEX `user_email` ON `users` (`email`);
-- Create index "user_created_at_id" to table: "users"
CREATE INDEX `user_created_at_id` ON `users` (`created_at`, `id`);
-- Create "webhook_logs" table
CREATE TABLE `webhook_logs` (`id` text NOT NULL, `campaign_id` text NOT NULL, `account_id` text NOT NULL, `update_key` text NULL, `event_type` text NOT NULL, `payload` blob NOT NULL, `response_status` integer NOT NULL DEFAULT (200), `test` bool NOT NULL DEFAULT (false), `status` text NOT NULL, `error` text NULL, `received_at` datetime NOT NULL, `processed_at` datetime NULL, `duration_ms` real NULL, `position` integer NOT NULL, `queue_key` text NOT NULL, `next_try_at` datetime NOT NULL, `attempts` integer NOT NULL DEFAULT (0), `leased_until` datetime NULL, `connection_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `webhook_logs_connections_connection` FOREIGN KEY (`connection_id`) REFERENCES `connections` (`id`) ON DELETE NO ACTION);
-- Create index "webhook_log_update" to table: "webhook_logs"
CREATE UNIQUE INDEX `webhook_log_update` ON `webhook_logs` (`connection_id`, `account_id`, `update_key`) WHERE status <> 'DUPLICATE';
-- Create index "webhooklog_connection_id_position" to table: "webhook_logs"
CREATE INDEX `webhooklog_connection_id_position` ON `webhook_logs` (`connection_id`, `position`);
-- Create index "webhooklog_connection_id_status_position" to table: "webhook_logs"
CREATE INDEX `webhooklog_connection_id_status_position` ON `webhook_logs` (`connection_id`, `status`, `position`);
-- Create index "webhook_log_waiting" to table: "webhook_logs"
CREATE INDEX `webhook_log_waiting` ON `webhook_logs` (`position`) WHERE status = 'PENDING';
-- Create index "webhook_log_waiting_by_key" to table: "webhook_logs"
CREATE INDEX `webhook_log_waiting_by_key` ON `webhook_logs` (`queue_key`, `position`) WHERE status = 'PENDING';
-- Create index "webhooklog_received_at" to table: "webhook_logs"
CREATE INDEX `webhooklog_received_at` ON `webhook_logs` (`received_at`);
