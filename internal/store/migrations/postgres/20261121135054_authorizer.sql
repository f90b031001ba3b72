-- Modify "connections" table
ALTER TABLE "connections" ADD COLUMN "authorizer_id" character varying NULL;
