-- Modify "conversations" table
ALTER TABLE "conversations" ADD COLUMN "thread_owned_at" timestamptz NULL, ADD COLUMN "thread_other_app_id" character varying NULL, ADD COLUMN "delivered_up_to" timestamptz NULL, ADD COLUMN "read_up_to" timestamptz NULL;
