package scalar_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/graph/scalar"
)

// SQLite compares times as text with their zone: one of the machine's own zone would
// begin the next page in the wrong place.
func TestAPageGoesOnWhereItEndedInWhateverZoneTheServerRuns(t *testing.T) {
	t.Parallel()
	given := ent.Cursor{
		ID:    causeway.NewID(causeway.PrefixConversation),
		Value: time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC),
	}
	var written strings.Builder
	scalar.MarshalCursor(given).MarshalGQL(&written)
	text, err := strconv.Unquote(written.String())
	if err != nil {
		t.Fatal(err)
	}
	read, err := scalar.UnmarshalCursor(text)
	if err != nil {
		t.Fatal(err)
	}
	if read != given {
		t.Errorf("the cursor %#v was read as %#v", given, read)
	}
}
