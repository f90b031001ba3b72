-- The inverted index behind conversations(filter: {search}): the folded words of a
-- conversation's messages and contact, with how many of them hold the word. Written
-- by hand, since ent has no key of several columns.
CREATE TABLE `search_words` (
  `campaign_id` text NOT NULL,
  `word` text NOT NULL,
  `conversation_id` text NOT NULL,
  `uses` integer NOT NULL,
  PRIMARY KEY (`campaign_id`, `word`, `conversation_id`)
) WITHOUT ROWID;
