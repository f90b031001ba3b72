-- Create index "message_failed_by_connection" to table: "messages"
CREATE INDEX `message_failed_by_connection` ON `messages` (`connection_id`, `queued_at`) WHERE status = 'FAILED';
-- Create "notices" table
CREATE TABLE `notices` (`id` text NOT NULL, `campaign_id` text NOT NULL, `opened_at` datetime NOT NULL, `closed_at` datetime NULL, `connection_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `notices_connections_connection` FOREIGN KEY (`connection_id`) REFERENCES `connections` (`id`) ON DELETE CASCADE);
-- Create index "notice_open" to table: "notices"
CREATE UNIQUE INDEX `notice_open` ON `notices` (`connection_id`) WHERE closed_at IS NULL;
-- Create index "notice_closed_at" to table: "notices"
CREATE INDEX `notice_closed_at` ON `notices` (`closed_at`);
-- Create "notice_letters" table
CREATE TABLE `notice_letters` (`id` text NOT NULL, `campaign_id` text NOT NULL, `state` text NOT NULL, `created_at` datetime NOT NULL, `sent_at` datetime NULL, `queue_key` text NOT NULL, `queue_order` integer NOT NULL DEFAULT (0), `next_try_at` datetime NOT NULL, `attempts` integer NOT NULL DEFAULT (0), `leased_until` datetime NULL, `notice_id` text NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `notice_letters_notices_notice` FOREIGN KEY (`notice_id`) REFERENCES `notices` (`id`) ON DELETE CASCADE, CONSTRAINT `notice_letters_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION);
-- Create index "noticeletter_notice_id_user_id" to table: "notice_letters"
CREATE UNIQUE INDEX `noticeletter_notice_id_user_id` ON `notice_letters` (`notice_id`, `user_id`);
-- Create index "notice_letter_waiting" to table: "notice_letters"
CREATE INDEX `notice_letter_waiting` ON `notice_letters` (`queue_key`, `queue_order`) WHERE state = 'WAITING';
