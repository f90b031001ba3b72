-- Add column "thread_owned_at" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `thread_owned_at` datetime NULL;
-- Add column "thread_other_app_id" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `thread_other_app_id` text NULL;
-- Add column "delivered_up_to" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `delivered_up_to` datetime NULL;
-- Add column "read_up_to" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `read_up_to` datetime NULL;
