package telegram

import (
	"slices"
	"strings"
)

// service is the sentence agents read of a service message; empty if it is none.
func (m *message) service(account string, body []byte) string {
	for key, value := range members(body) {
		if absent(value) {
			continue
		}
		if text := m.sentence(account, string(key)); text != "" {
			return text
		}
	}
	return ""
}

// sentence words what the service key says; empty for a key that is none.
func (m *message) sentence(account, key string) string {
	who, group := m.writer(), m.Chat.noun()
	switch key {
	case "new_chat_members":
		return m.arrivals(account)
	case "left_chat_member":
		return m.departure(account)
	case "pinned_message":
		return who + " pinned a message"
	case "new_chat_title":
		return who + " named the " + group + " “" + m.NewTitle + "”"
	case "new_chat_photo":
		return who + " changed the " + group + "'s photo"
	case "delete_chat_photo":
		return who + " removed the " + group + "'s photo"
	case "group_chat_created", "supergroup_chat_created", "channel_chat_created":
		return who + " created the " + group
	case "forum_topic_created":
		return who + " opened the topic " + m.quotedTopic()
	case "forum_topic_edited":
		if m.TopicEdited != nil && m.TopicEdited.Name != "" {
			return who + " renamed the topic to " + m.quotedTopic()
		}
		return who + " changed the topic's icon"
	case "forum_topic_closed":
		return who + " closed the topic"
	case "forum_topic_reopened":
		return who + " reopened the topic"
	case "general_forum_topic_hidden":
		return who + " hid the General topic"
	case "general_forum_topic_unhidden":
		return who + " showed the General topic again"
	case "video_chat_scheduled", "voice_chat_scheduled":
		return who + " scheduled a video chat"
	case "video_chat_started", "voice_chat_started":
		return who + " started a video chat"
	case "video_chat_ended", "voice_chat_ended":
		return "The video chat ended"
	case "video_chat_participants_invited", "voice_chat_participants_invited":
		return who + " invited people to a video chat"
	case "message_auto_delete_timer_changed":
		if m.DeleteTimer == nil || m.DeleteTimer.Seconds <= 0 {
			return who + " turned off automatic deletion of messages"
		}
		return who + " turned on automatic deletion of messages"
	case "proximity_alert_triggered":
		return "Two members of the " + group + " came near each other"
	case "write_access_allowed":
		return who + " allowed the bot to write"
	case "chat_shared":
		return who + " shared a chat with the bot"
	case "users_shared", "user_shared":
		return who + " shared contacts with the bot"
	case "connected_website":
		return who + " signed in to a website"
	case "web_app_data":
		return m.webApp()
	case "successful_payment":
		return who + " paid"
	case "refunded_payment":
		return "A payment was refunded"
	case "boost_added":
		return who + " boosted the " + group
	case "gift", "unique_gift":
		return who + " sent a gift"
	case "giveaway_created":
		return who + " scheduled a giveaway"
	case "giveaway":
		return who + " announced a giveaway"
	case "giveaway_winners", "giveaway_completed":
		return "A giveaway ended"
	}
	if unworded(key) {
		return "Service message: " + key
	}
	return ""
}

// unworded tells the service keys that have no sentence. Of the families that
// Telegram adds to, members that are not known yet are taken for service messages too.
func unworded(key string) bool {
	switch key {
	case "chat_background_set", "passport_data", "checklist_tasks_done", "checklist_tasks_added",
		"paid_message_price_changed", "direct_message_price_changed", "gift_upgrade_sent",
		"chat_owner_left", "chat_owner_changed", "managed_bot_created",
		"poll_option_added", "poll_option_deleted":
		return true
	case "suggested_post_info": // goes along with a post
		return false
	}
	if len(key) > 64 {
		return false
	}
	return slices.ContainsFunc([]string{
		"suggested_post_", "forum_topic_", "general_forum_topic_", "video_chat_", "giveaway_",
	}, func(family string) bool { return strings.HasPrefix(key, family) })
}

func (m *message) quotedTopic() string { return "“" + m.topicName() + "”" }

// arrivals tells who came, and who let them in if somebody else did.
func (m *message) arrivals(account string) string {
	group := m.Chat.noun()
	var names []string
	alone := len(m.NewMembers) == 1 && m.From != nil && m.From.ID == m.NewMembers[0].ID
	for i := range m.NewMembers {
		names = append(names, nameFor(account, &m.NewMembers[i]))
	}
	switch {
	case len(names) == 0:
		return "Somebody joined the " + group
	case alone || m.From == nil:
		return capital(listed(names)) + " joined the " + group
	default:
		return m.writer() + " added " + listed(names) + " to the " + group
	}
}

func (m *message) departure(account string) string {
	group := m.Chat.noun()
	switch {
	case m.LeftMember == nil:
		return "Somebody left the " + group
	case m.From == nil || m.From.ID == m.LeftMember.ID:
		return capital(nameFor(account, m.LeftMember)) + " left the " + group
	default:
		return m.writer() + " removed " + nameFor(account, m.LeftMember) + " from the " + group
	}
}

func (m *message) webApp() string {
	if m.WebAppData == nil || m.WebAppData.Button == "" {
		return m.writer() + " sent data from the web app"
	}
	return m.writer() + " sent data from the web app “" + m.WebAppData.Button + "”"
}

// theBot is how agents read of the bot of their own connection.
const theBot = "the bot"

// capital begins a sentence with names.
func capital(names string) string {
	if rest, ok := strings.CutPrefix(names, theBot); ok {
		return "The bot" + rest
	}
	return names
}

func nameFor(account string, u *user) string {
	if u.ID.given && u.ID.String() == account {
		return theBot
	}
	return u.person().Name
}

// listed is names as English lists them; of many, the first three.
func listed(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n <= 3:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	default:
		return strings.Join(names[:3], ", ") + " and others"
	}
}
