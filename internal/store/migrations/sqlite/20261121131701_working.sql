-- Written by hand where columns are added: that keeps the rows of other tables that point
-- to these, which making the tables anew would not.
-- Create "audit_entries" table
CREATE TABLE `audit_entries` (`id` text NOT NULL, `at` datetime NOT NULL, `actor_id` text NULL, `action` text NOT NULL, `subject_id` text NULL, `details` json NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `audit_entries_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create "facebook_logins" table
CREATE TABLE `facebook_logins` (`id` text NOT NULL, `user_id` text NOT NULL, `state_hash` text NOT NULL, `return_origin` text NOT NULL, `status` text NOT NULL, `user_name` text NULL, `facebook_user_id` text NULL, `permissions` json NULL, `pages` json NULL, `problem` json NULL, `sealed_token` blob NULL, `token_expires_at` datetime NULL, `data_access_expires_at` datetime NULL, `used_at` datetime NULL, `expires_at` datetime NOT NULL, `created_at` datetime NOT NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `facebook_logins_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create "message_parts" table
CREATE TABLE `message_parts` (`id` text NOT NULL, `campaign_id` text NOT NULL, `connection_id` text NOT NULL, `account_id` text NOT NULL, `place` integer NOT NULL, `external_id` text NOT NULL, `sent_at` datetime NOT NULL, `message_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `message_parts_messages_message` FOREIGN KEY (`message_id`) REFERENCES `messages` (`id`) ON DELETE NO ACTION);
-- Create "queues" table
CREATE TABLE `queues` (`id` text NOT NULL, `name` text NOT NULL, `assignment` text NOT NULL, `turns` integer NOT NULL DEFAULT (0), `created_at` datetime NOT NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `queues_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create "queue_members" table
CREATE TABLE `queue_members` (`id` text NOT NULL, `campaign_id` text NOT NULL, `turn` integer NOT NULL DEFAULT (0), `joined_at` datetime NOT NULL, `queue_id` text NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `queue_members_queues_queue` FOREIGN KEY (`queue_id`) REFERENCES `queues` (`id`) ON DELETE CASCADE, CONSTRAINT `queue_members_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION);
-- Create "quick_replies" table
CREATE TABLE `quick_replies` (`id` text NOT NULL, `shortcut` text NOT NULL, `language` text NOT NULL DEFAULT (''), `text` text NOT NULL, `created_at` datetime NOT NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `quick_replies_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create "tags" table
CREATE TABLE `tags` (`id` text NOT NULL, `name` text NOT NULL, `color` text NULL, `created_at` datetime NOT NULL, `campaign_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `tags_campaigns_campaign` FOREIGN KEY (`campaign_id`) REFERENCES `campaigns` (`id`) ON DELETE NO ACTION);
-- Create "taggings" table
CREATE TABLE `taggings` (`campaign_id` text NOT NULL, `conversation_id` text NOT NULL, `tag_id` text NOT NULL, PRIMARY KEY (`conversation_id`, `tag_id`), CONSTRAINT `taggings_conversations_conversation` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`) ON DELETE NO ACTION, CONSTRAINT `taggings_tags_tag` FOREIGN KEY (`tag_id`) REFERENCES `tags` (`id`) ON DELETE CASCADE);
ALTER TABLE `attachments` ADD COLUMN `hash` text NULL;
ALTER TABLE `attachments` ADD COLUMN `queue_key` text NULL;
ALTER TABLE `attachments` ADD COLUMN `queue_order` integer NOT NULL DEFAULT 0;
ALTER TABLE `attachments` ADD COLUMN `next_try_at` datetime NULL;
ALTER TABLE `attachments` ADD COLUMN `attempts` integer NOT NULL DEFAULT 0;
ALTER TABLE `attachments` ADD COLUMN `leased_until` datetime NULL;
ALTER TABLE `connections` ADD COLUMN `avatar_ref` text NULL;
ALTER TABLE `connections` ADD COLUMN `avatar_hash` text NULL;
ALTER TABLE `connections` ADD COLUMN `avatar_type` text NULL;
ALTER TABLE `connections` ADD COLUMN `token_expires_at` datetime NULL;
ALTER TABLE `connections` ADD COLUMN `token_refresh_at` datetime NULL;
ALTER TABLE `connections` ADD COLUMN `data_access_expires_at` datetime NULL;
ALTER TABLE `connections` ADD COLUMN `sealed_user_token` blob NULL;
ALTER TABLE `connections` ADD COLUMN `app_id` text NULL;
ALTER TABLE `connections` ADD COLUMN `sealed_app_secret` blob NULL;
ALTER TABLE `connections` ADD COLUMN `permissions` json NULL;
ALTER TABLE `connections` ADD COLUMN `queue_id` text NULL CONSTRAINT `connections_queues_queue` REFERENCES `queues` (`id`) ON DELETE SET NULL;
ALTER TABLE `connections` ADD COLUMN `assignee_id` text NULL CONSTRAINT `connections_users_assignee` REFERENCES `users` (`id`) ON DELETE SET NULL;
ALTER TABLE `contacts` ADD COLUMN `avatar_ref` text NULL;
ALTER TABLE `contacts` ADD COLUMN `avatar_hash` text NULL;
ALTER TABLE `contacts` ADD COLUMN `avatar_type` text NULL;
ALTER TABLE `contacts` ADD COLUMN `profile` text NOT NULL DEFAULT 'UNKNOWN';
ALTER TABLE `contacts` ADD COLUMN `described_at` datetime NULL;
ALTER TABLE `contacts` ADD COLUMN `queue_key` text NULL;
ALTER TABLE `contacts` ADD COLUMN `queue_order` integer NOT NULL DEFAULT 0;
ALTER TABLE `contacts` ADD COLUMN `next_try_at` datetime NULL;
ALTER TABLE `contacts` ADD COLUMN `attempts` integer NOT NULL DEFAULT 0;
ALTER TABLE `contacts` ADD COLUMN `leased_until` datetime NULL;
ALTER TABLE `conversations` ADD COLUMN `thread_owner` text NOT NULL DEFAULT 'NONE';
ALTER TABLE `conversations` ADD COLUMN `thread_owner_app_id` text NULL;
ALTER TABLE `conversations` ADD COLUMN `customer_wrote_at` datetime NULL;
ALTER TABLE `conversations` ADD COLUMN `assignee_id` text NULL CONSTRAINT `conversations_users_assignee` REFERENCES `users` (`id`) ON DELETE SET NULL;
ALTER TABLE `conversations` ADD COLUMN `queue_id` text NULL CONSTRAINT `conversations_queues_queue` REFERENCES `queues` (`id`) ON DELETE SET NULL;
ALTER TABLE `messages` ADD COLUMN `delivered_at` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `read_at` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `deleted_at` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `standby` bool NOT NULL DEFAULT false;
ALTER TABLE `messages` ADD COLUMN `parts_sent` integer NOT NULL DEFAULT 0;
ALTER TABLE `users` ADD COLUMN `presence` text NOT NULL DEFAULT 'OFFLINE';
ALTER TABLE `users` ADD COLUMN `said_presence` text NOT NULL DEFAULT 'OFFLINE';
ALTER TABLE `users` ADD COLUMN `seen_at` datetime NULL;
-- Create index "attachment_pending" to table: "attachments"
CREATE INDEX `attachment_pending` ON `attachments` (`queue_key`, `queue_order`) WHERE state = 'PENDING';
-- Create index "connection_queue_id" to table: "connections"
CREATE INDEX `connection_queue_id` ON `connections` (`queue_id`);
-- Create index "connection_assignee_id" to table: "connections"
CREATE INDEX `connection_assignee_id` ON `connections` (`assignee_id`);
-- Create index "contact_profile_pending" to table: "contacts"
CREATE INDEX `contact_profile_pending` ON `contacts` (`queue_key`, `queue_order`) WHERE profile = 'PENDING';
-- Create index "conversation_campaign_id_assignee_id_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_campaign_id_assignee_id_last_message_at_id` ON `conversations` (`campaign_id`, `assignee_id`, `last_message_at`, `id`);
-- Create index "conversation_queue_id_status_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_queue_id_status_last_message_at_id` ON `conversations` (`queue_id`, `status`, `last_message_at`, `id`);
-- Create index "conversation_assignee_id_status" to table: "conversations"
CREATE INDEX `conversation_assignee_id_status` ON `conversations` (`assignee_id`, `status`);
-- Create index "conversation_unassigned" to table: "conversations"
CREATE INDEX `conversation_unassigned` ON `conversations` (`queue_id`, `created_at`) WHERE assignee_id IS NULL AND status = 'OPEN';
-- Create index "message_on_its_way" to table: "messages"
CREATE INDEX `message_on_its_way` ON `messages` (`conversation_id`, `sent_at`) WHERE status = 'SENT' OR status = 'DELIVERED';
-- Create index "user_seen" to table: "users"
CREATE INDEX `user_seen` ON `users` (`seen_at`) WHERE seen_at IS NOT NULL;
-- Create index "auditentry_campaign_id_at_id" to table: "audit_entries"
CREATE INDEX `auditentry_campaign_id_at_id` ON `audit_entries` (`campaign_id`, `at`, `id`);
-- Create index "facebooklogin_state_hash" to table: "facebook_logins"
CREATE UNIQUE INDEX `facebooklogin_state_hash` ON `facebook_logins` (`state_hash`);
-- Create index "facebooklogin_campaign_id_user_id_created_at" to table: "facebook_logins"
CREATE INDEX `facebooklogin_campaign_id_user_id_created_at` ON `facebook_logins` (`campaign_id`, `user_id`, `created_at`);
-- Create index "facebooklogin_expires_at" to table: "facebook_logins"
CREATE INDEX `facebooklogin_expires_at` ON `facebook_logins` (`expires_at`);
-- Create index "messagepart_message_id_place" to table: "message_parts"
CREATE UNIQUE INDEX `messagepart_message_id_place` ON `message_parts` (`message_id`, `place`);
-- Create index "messagepart_connection_id_account_id_external_id" to table: "message_parts"
CREATE UNIQUE INDEX `messagepart_connection_id_account_id_external_id` ON `message_parts` (`connection_id`, `account_id`, `external_id`);
-- Create index "queue_campaign_id_name" to table: "queues"
CREATE UNIQUE INDEX `queue_campaign_id_name` ON `queues` (`campaign_id`, `name`);
-- Create index "queuemember_queue_id_user_id" to table: "queue_members"
CREATE UNIQUE INDEX `queuemember_queue_id_user_id` ON `queue_members` (`queue_id`, `user_id`);
-- Create index "queuemember_user_id_campaign_id" to table: "queue_members"
CREATE INDEX `queuemember_user_id_campaign_id` ON `queue_members` (`user_id`, `campaign_id`);
-- Create index "quickreply_campaign_id_shortcut_language" to table: "quick_replies"
CREATE UNIQUE INDEX `quickreply_campaign_id_shortcut_language` ON `quick_replies` (`campaign_id`, `shortcut`, `language`);
-- Create index "tag_campaign_id_name" to table: "tags"
CREATE UNIQUE INDEX `tag_campaign_id_name` ON `tags` (`campaign_id`, `name`);
-- Create index "tagging_tag_id_conversation_id" to table: "taggings"
CREATE INDEX `tagging_tag_id_conversation_id` ON `taggings` (`tag_id`, `conversation_id`);
-- What waited to be fetched is fetched now, and who was met is asked for.
UPDATE `attachments` SET `queue_key` = `id`, `next_try_at` = (SELECT `created_at` FROM `messages` WHERE `messages`.`id` = `attachments`.`message_id`) WHERE `state` = 'PENDING';
UPDATE `contacts` SET `profile` = 'PENDING', `queue_key` = `id`, `next_try_at` = `created_at`;
