package feed

import (
	"strconv"

	"causeway"
	"causeway/ent"
)

// Cursor is a position in a campaign's sequence as clients are given it: everything
// up to seq is behind it.
//
// The number is kept as text: a cursor's encoding leaves out a zero, and what is left
// would be the same as a cursor of a list of campaigns.
func Cursor(campaignID causeway.ID, seq int64) ent.Cursor {
	return ent.Cursor{ID: campaignID, Value: strconv.FormatInt(seq, 10)}
}

// ParseCursor reads what Cursor made for this campaign. A cursor of another campaign
// or of a list is BAD_USER_INPUT. Whether the sequence has got that far is seen by
// Follow.
func ParseCursor(campaignID causeway.ID, cursor ent.Cursor) (int64, error) {
	text, _ := cursor.Value.(string)
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 || cursor != Cursor(campaignID, seq) {
		return 0, causeway.Fail(causeway.BadUserInput).At("after")
	}
	return seq, nil
}
