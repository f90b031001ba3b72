-- Drop index "feedevent_at" from table: "feed_events"
DROP INDEX "feedevent_at";
-- Create "feed_trims" table
CREATE TABLE "feed_trims" ("id" character varying NOT NULL, "conversation_id" character varying NOT NULL DEFAULT '', "kind" character varying NOT NULL, "change" character varying NOT NULL, "seq" bigint NOT NULL, "campaign_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "feed_trims_campaigns_campaign" FOREIGN KEY ("campaign_id") REFERENCES "campaigns" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "feedtrim_campaign_id_conversation_id_kind_change" to table: "feed_trims"
CREATE UNIQUE INDEX "feedtrim_campaign_id_conversation_id_kind_change" ON "feed_trims" ("campaign_id", "conversation_id", "kind", "change");
