package causeway

import (
	"database/sql/driver"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gofrs/uuid/v5"
	"go.jetify.com/typeid"
)

// Prefixes of the ids this program makes. A prefix tells the kind of thing an id
// names, in the API as in a log.
const (
	PrefixUser           = "user"
	PrefixAccessToken    = "token"
	PrefixCampaign       = "camp"
	PrefixCampaignMember = "member"
	PrefixConnection     = "conn"
	PrefixWebhookLog     = "log"
	PrefixContact        = "contact"
	PrefixConversation   = "conv"
	PrefixMessage        = "msg"
	PrefixAttachment     = "att"
	PrefixReaction       = "react"
	PrefixTestReport     = "report"
	PrefixFeedEvent      = "event"
	PrefixFeedTrim       = "trim"
	PrefixMessagePart    = "part"
	PrefixQueue          = "queue"
	PrefixQueueMember    = "qmember"
	PrefixQuickReply     = "reply"
	PrefixTag            = "tag"
	PrefixAuditEntry     = "audit"
	PrefixFacebookLogin  = "fblogin"
	PrefixNotice         = "notice"
	PrefixNoticeLetter   = "letter"
)

// ID names one thing of this program: a TypeID such as conv_01jd4…, a UUIDv7 behind
// a prefix. Ids sort by age to the millisecond and no finer.
type ID string

// NewID makes an id that nobody has had before. The prefix is one of the constants
// above; another that TypeID does not allow is a mistake in the program and panics.
func NewID(prefix string) ID {
	tid, err := typeid.WithPrefix(prefix)
	if err != nil {
		panic(fmt.Sprintf("causeway.NewID(%q): %v", prefix, err))
	}
	return ID(tid.String())
}

// ParseID reads an id as NewID writes it. What is not one is an error that repeats
// nothing of the input.
func ParseID(s string) (ID, error) {
	tid, err := typeid.FromString(s)
	if err != nil || tid.Prefix() == "" {
		return "", fmt.Errorf("not an id of this server")
	}
	return ID(s), nil
}

// Prefix tells what kind of thing the id names; empty for what is no id.
func (id ID) Prefix() string {
	tid, err := typeid.FromString(string(id))
	if err != nil {
		return ""
	}
	return tid.Prefix()
}

// Time is when the id was made, to the millisecond; zero for what is no id.
func (id ID) Time() time.Time {
	tid, err := typeid.FromString(string(id))
	if err != nil {
		return time.Time{}
	}
	u, err := uuid.FromString(tid.UUID())
	if err != nil {
		return time.Time{}
	}
	ts, err := uuid.TimestampFromV7(u)
	if err != nil {
		return time.Time{}
	}
	at, err := ts.Time()
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// String is the id as clients see it.
func (id ID) String() string { return string(id) }

// MarshalGQL writes the id as a JSON string.
func (id ID) MarshalGQL(w io.Writer) {
	_, _ = io.WriteString(w, strconv.Quote(string(id)))
}

// UnmarshalGQL takes whatever a client sends for an ID. What cannot be one of ours
// becomes the empty id, which names nothing: a made-up id answers like one that
// does not exist, and never reaches a database.
func (id *ID) UnmarshalGQL(v any) error {
	switch v := v.(type) {
	case string:
		*id, _ = ParseID(v)
	case ID: // ent's Noder passes what was read before
		*id = v
	default:
		*id = ""
	}
	return nil
}

// Value stores the id as text.
func (id ID) Value() (driver.Value, error) { return string(id), nil }

// Scan reads the id from text.
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = ""
	case string:
		*id = ID(v)
	case []byte:
		*id = ID(v)
	default:
		return fmt.Errorf("scan an id from %T", src)
	}
	return nil
}
