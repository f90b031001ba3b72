-- The inverted index behind conversations(filter: {search}): the folded words of a
-- conversation's messages and contact, with how many of them hold the word. Written
-- by hand, since ent has no key of several columns. Words compare by bytes, as on
-- SQLite, so that "begins with" is a range.
CREATE TABLE "search_words" (
  "campaign_id" character varying NOT NULL,
  "word" character varying COLLATE "C" NOT NULL,
  "conversation_id" character varying NOT NULL,
  "uses" bigint NOT NULL,
  PRIMARY KEY ("campaign_id", "word", "conversation_id")
);
