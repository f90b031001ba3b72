package telegram

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"causeway/internal/platform"
)

// What follows is the part of the Bot API's objects that this program reads. Keys
// that are not here are ignored: Telegram adds some with every version.

type message struct {
	ID         ident  `json:"message_id"`
	Thread     ident  `json:"message_thread_id"`
	InTopic    bool   `json:"is_topic_message"`
	From       *user  `json:"from"`
	SenderChat *chat  `json:"sender_chat"`
	Chat       *chat  `json:"chat"`
	Date       int64  `json:"date"`
	EditDate   int64  `json:"edit_date"`
	AlbumID    opaque `json:"media_group_id"`

	Forward *origin    `json:"forward_origin"`
	ReplyTo *reference `json:"reply_to_message"`
	Markup  *markup    `json:"reply_markup"`

	Text      string    `json:"text"`
	Caption   string    `json:"caption"`
	Photo     []file    `json:"photo"`
	Document  *file     `json:"document"`
	Video     *file     `json:"video"`
	Animation *file     `json:"animation"`
	Audio     *file     `json:"audio"`
	Voice     *file     `json:"voice"`
	VideoNote *file     `json:"video_note"`
	Sticker   *file     `json:"sticker"`
	Location  *location `json:"location"`
	Venue     *venue    `json:"venue"`
	Contact   *contact  `json:"contact"`
	Poll      *poll     `json:"poll"`
	Dice      *dice     `json:"dice"`

	NewMembers []user `json:"new_chat_members"`
	LeftMember *user  `json:"left_chat_member"`
	NewTitle   string `json:"new_chat_title"`
	WebAppData *struct {
		Button string `json:"button_text"`
	} `json:"web_app_data"`
	DeleteTimer *struct {
		Seconds float64 `json:"message_auto_delete_time"`
	} `json:"message_auto_delete_timer_changed"`
	TopicCreated *topic `json:"forum_topic_created"`
	TopicEdited  *topic `json:"forum_topic_edited"`
	MigratedTo   ident  `json:"migrate_to_chat_id"`
	MigratedFrom ident  `json:"migrate_from_chat_id"`
	Business     string `json:"business_connection_id"`
}

// reference is as much as is read of a message that another one answers.
type reference struct {
	ID           ident  `json:"message_id"`
	Chat         *chat  `json:"chat"`
	TopicCreated *topic `json:"forum_topic_created"`
}

type user struct {
	ID        ident  `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
	Language  string `json:"language_code"`
}

type chat struct {
	ID        ident  `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
}

type topic struct {
	Name string `json:"name"`
}

type origin struct {
	User     *user  `json:"sender_user"`
	UserName string `json:"sender_user_name"`
	Sender   *chat  `json:"sender_chat"`
	Channel  *chat  `json:"chat"`
}

type markup struct {
	Rows [][]button `json:"inline_keyboard"`
}

type button struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// file is any of the objects that stand for bytes; each fills what it has.
type file struct {
	ID        string  `json:"file_id"`
	Name      string  `json:"file_name"`
	MimeType  string  `json:"mime_type"`
	Size      float64 `json:"file_size"`
	Width     float64 `json:"width"`
	Height    float64 `json:"height"`
	Length    float64 `json:"length"` // of a video note: both sides
	Duration  float64 `json:"duration"`
	Performer string  `json:"performer"`
	Title     string  `json:"title"`
	Emoji     string  `json:"emoji"`
	Animated  bool    `json:"is_animated"`
	Video     bool    `json:"is_video"`
}

type location struct {
	Latitude  *float64 `json:"latitude"`
	Longitude *float64 `json:"longitude"`
}

type venue struct {
	Location *location `json:"location"`
	Title    string    `json:"title"`
	Address  string    `json:"address"`
}

type contact struct {
	Phone     string `json:"phone_number"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

type poll struct {
	Question string `json:"question"`
	Options  []struct {
		Text string `json:"text"`
	} `json:"options"`
}

type dice struct {
	Emoji string `json:"emoji"`
	Value int64  `json:"value"`
}

type callback struct {
	ID      opaque   `json:"id"`
	From    *user    `json:"from"`
	Message *message `json:"message"`
	Data    string   `json:"data"`
	Game    string   `json:"game_short_name"`
}

type reaction struct {
	Chat      *chat `json:"chat"`
	MessageID ident `json:"message_id"`
	User      *user `json:"user"`
	ActorChat *chat `json:"actor_chat"`
	Date      int64 `json:"date"`
	Now       []struct {
		Type  string `json:"type"`
		Emoji string `json:"emoji"`
	} `json:"new_reaction"`
}

type membership struct {
	Chat *chat        `json:"chat"`
	From *user        `json:"from"`
	Date int64        `json:"date"`
	Old  memberStatus `json:"old_chat_member"`
	New  memberStatus `json:"new_chat_member"`
}

type memberStatus struct {
	Status   string `json:"status"`
	IsMember bool   `json:"is_member"`
}

// ident is an id: a whole number, which some senders write as a string.
type ident struct {
	n     int64
	given bool
}

var errIdent = errors.New("an id is not a whole number")

// UnmarshalJSON reads a number or a string that holds one. Its error repeats neither.
func (id *ident) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	n, ok := whole(b)
	if !ok {
		return errIdent
	}
	*id = ident{n: n, given: true}
	return nil
}

// opaque is a name that is usually a string of digits: taken as it is, quoted or not.
type opaque string

// UnmarshalJSON reads a string or a whole number.
func (o *opaque) UnmarshalJSON(b []byte) error {
	var id ident
	switch {
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(o))
	case id.UnmarshalJSON(b) != nil:
		return errIdent
	case id.given:
		*o = opaque(id.String())
	}
	return nil
}

func (id ident) String() string { return strconv.FormatInt(id.n, 10) }

var (
	_ json.Unmarshaler = (*ident)(nil)
	_ json.Unmarshaler = (*opaque)(nil)
)

func (u *user) person() platform.Person {
	return platform.Person{
		ID:       u.ID.String(),
		Name:     firstSeen(u.FirstName+" "+u.LastName, handle(u.Username), u.ID.String()),
		Username: u.Username,
		Language: u.Language,
	}
}

func (c *chat) person() platform.Person {
	return platform.Person{
		ID:       c.ID.String(),
		Name:     firstSeen(c.Title, c.FirstName+" "+c.LastName, handle(c.Username), c.ID.String()),
		Username: c.Username,
	}
}

// private tells a chat with one customer. A chat without a type is told by its id:
// only people's are positive.
func (c *chat) private() bool {
	return c.Type == "private" || c.Type == "" && c.ID.n > 0
}

// noun is what people call a chat of its type.
func (c *chat) noun() string {
	if c.Type == "channel" {
		return "channel"
	}
	return "group"
}

func handle(username string) string {
	if username == "" {
		return ""
	}
	return "@" + username
}

// firstSeen is the first of the names in which there is something to see, trimmed;
// the last one if there is nothing anywhere.
func firstSeen(names ...string) string {
	for _, name := range names {
		if strings.ContainsFunc(name, visible) {
			return strings.TrimSpace(name)
		}
	}
	return names[len(names)-1]
}

// visible leaves out the letters that show as nothing, which some people take for a name.
func visible(r rune) bool {
	switch r {
	case '\u115F', '\u1160', '\u2800', '\u3164', '\uFFA0':
		return false
	}
	return unicode.IsGraphic(r) && !unicode.IsSpace(r)
}

// at is a time in Unix seconds; zero for 0 and for what no calendar of ours holds.
func at(seconds int64) time.Time {
	const endOfYear9999 = 253402300799
	if seconds <= 0 || seconds > endOfYear9999 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
