package feed

import (
	"math"

	"causeway"
	"causeway/ent"
)

// Cursor is a position in a campaign's sequence as clients are given it: everything
// up to seq is behind it.
func Cursor(campaignID causeway.ID, seq int64) ent.Cursor {
	return ent.Cursor{ID: campaignID, Value: seq}
}

// ParseCursor reads what Cursor made for this campaign. A cursor of another campaign
// or of a list is BAD_USER_INPUT. Whether the sequence has got that far is seen by
// Follow.
func ParseCursor(campaignID causeway.ID, cursor ent.Cursor) (int64, error) {
	seq, ok := number(cursor.Value)
	if cursor.ID != campaignID || !ok || seq < 0 {
		return 0, causeway.Fail(causeway.BadUserInput).At("after")
	}
	return seq, nil
}

// number reads a whole number in any of the widths that a cursor's encoding chooses.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int8:
		return int64(n), true
	case int16:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case uint8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case uint64:
		return int64(n), n <= math.MaxInt64
	default:
		return 0, false
	}
}
