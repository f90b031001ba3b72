-- Written by hand: columns that are added need no table made anew.
ALTER TABLE `webhook_logs` ADD COLUMN `attempts_before` integer NOT NULL DEFAULT 0;
ALTER TABLE `webhook_logs` ADD COLUMN `applied_before` bool NOT NULL DEFAULT false;
ALTER TABLE `contacts` ADD COLUMN `blocked_at` datetime NULL;
