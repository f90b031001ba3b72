-- Add column "authorizer_id" to table: "connections"
ALTER TABLE `connections` ADD COLUMN `authorizer_id` text NULL;
