-- Written by hand: adding columns keeps the rows of other tables that point to messages,
-- which making the table anew would not.
ALTER TABLE `messages` ADD COLUMN `author_id` text NULL;
ALTER TABLE `messages` ADD COLUMN `problem` json NULL;
ALTER TABLE `messages` ADD COLUMN `idempotency_key` text NULL;
ALTER TABLE `messages` ADD COLUMN `queue_key` text NULL;
ALTER TABLE `messages` ADD COLUMN `next_try_at` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `attempts` integer NOT NULL DEFAULT 0;
ALTER TABLE `messages` ADD COLUMN `leased_until` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `queued_at` datetime NULL;
ALTER TABLE `messages` ADD COLUMN `failures` integer NOT NULL DEFAULT 0;
ALTER TABLE `messages` ADD COLUMN `sending_at` datetime NULL;
-- Create index "message_idempotency" to table: "messages"
CREATE UNIQUE INDEX `message_idempotency` ON `messages` (`conversation_id`, `idempotency_key`) WHERE idempotency_key IS NOT NULL;
-- Create index "message_queued" to table: "messages"
CREATE INDEX `message_queued` ON `messages` (`queue_key`, `seq`) WHERE status = 'QUEUED';
-- Create index "message_queued_by_connection" to table: "messages"
CREATE INDEX `message_queued_by_connection` ON `messages` (`connection_id`) WHERE status = 'QUEUED';
