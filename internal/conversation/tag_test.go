package conversation_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"causeway"
	"causeway/ent"
	"causeway/ent/tagging"
	"causeway/internal/conversation"
)

func (h *house) tag(conn *ent.Connection, name string) causeway.ID {
	h.Helper()
	id, err := h.service.SaveTag(h.agent(), conversation.TagInput{Campaign: conn.CampaignID, Name: name})
	h.no(err)
	return id
}

// tags are the names on a conversation.
func (h *house) tags(conv causeway.ID) []string {
	h.Helper()
	rows, err := h.store.Reader().Tagging.Query().Where(tagging.ConversationID(conv)).WithTag().All(h.Context())
	h.no(err)
	var names []string
	for _, row := range rows {
		names = append(names, row.Edges.Tag.Name)
	}
	slices.Sort(names)
	return names
}

func TestATagIsMadeRenamedRecolouredAndDeleted(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		save := func(id *causeway.ID, name string, color causeway.Change[string]) (causeway.ID, error) {
			return h.service.SaveTag(h.agent(), conversation.TagInput{ID: id, Campaign: conn.CampaignID, Name: name, Color: color})
		}
		vip, err := save(nil, "  very   important ", causeway.ChangeTo("#FF00aa"))
		h.no(err)
		is := func(name, color string) {
			t.Helper()
			tag, err := h.store.Reader().Tag.Get(t.Context(), vip)
			h.no(err)
			if tag.Name != name || text(tag.Color) != color || tag.CampaignID != conn.CampaignID {
				t.Errorf("the tag is %v", tag)
			}
		}
		is("very important", "#ff00aa")
		again, err := save(&vip, "VIP", causeway.Change[string]{})
		h.no(err)
		if again != vip {
			t.Errorf("renaming made %s of %s", again, vip)
		}
		is("VIP", "#ff00aa")
		_, err = save(&vip, "VIP", causeway.Change[string]{Given: true})
		h.no(err)
		is("VIP", "")
		_, err = save(&vip, "VIP", causeway.Change[string]{}) // changes nothing, and is no entry
		h.no(err)
		if log := h.audited(conn.CampaignID); len(log) != 3 || !strings.HasPrefix(log[1], `saveTag {"name":{`) {
			t.Errorf("the audit log: %q", log)
		}
		h.no(h.service.DeleteTag(h.agent(), vip))
		h.refused(h.service.DeleteTag(h.agent(), vip), causeway.NotFound, "id")
		if n := h.count("SELECT COUNT(*) FROM tags"); n != 0 {
			t.Errorf("%d tags are left", n)
		}
	})
}

func TestATagThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		other := h.bot()
		vip, theirs := h.tag(conn, "VIP"), h.tag(other, "VIP") // the same name in another campaign is another tag
		late := h.tag(conn, "late")
		save := func(id *causeway.ID, name, color string) error {
			in := conversation.TagInput{ID: id, Campaign: conn.CampaignID, Name: name}
			if color != "" {
				in.Color = causeway.ChangeTo(color)
			}
			_, err := h.service.SaveTag(h.agent(), in)
			return err
		}
		nothing := causeway.ID("")
		h.refused(save(nil, "VIP", ""), causeway.Conflict, "input", "name")
		h.refused(save(&late, "VIP", ""), causeway.Conflict, "input", "name")
		h.refused(save(&theirs, "Mine", ""), causeway.NotFound, "input", "id")
		h.refused(save(&nothing, "Mine", ""), causeway.NotFound, "input", "id")
		h.refused(save(nil, " \t", ""), causeway.InvalidInput, "input", "name")
		h.refused(save(nil, strings.Repeat("ă", 51), ""), causeway.InvalidInput, "input", "name")
		for _, color := range []string{"red", "#fff", "#12345g", "#1234567", "112233", "#١٢٣٤٥٦", "#112233\n#"} {
			h.refused(save(nil, "New", color), causeway.InvalidInput, "input", "color")
		}
		_, err := h.service.SaveTag(h.agent(), conversation.TagInput{Campaign: causeway.NewID(causeway.PrefixCampaign), Name: "x"})
		h.refused(err, causeway.NotFound, "input", "campaignId")
		h.archive(conn)
		h.refused(save(nil, "New", ""), causeway.Conflict, "input", "campaignId")
		h.refused(h.service.DeleteTag(h.agent(), vip), causeway.Conflict, "id")
	})
}

func TestTaggingTellsOnceAndOnlyOfWhatChanged(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		vip, late, old := h.tag(conn, "VIP"), h.tag(conn, "late"), h.tag(conn, "old")
		begun := len(h.events(conn.CampaignID))
		retag := func(add, remove []causeway.ID) {
			t.Helper()
			h.no(h.service.Tag(h.agent(), conversation.Tags{Conversation: conv, Add: add, Remove: remove}))
		}
		retag([]causeway.ID{vip, old, vip}, []causeway.ID{late})
		h.same("the tags", h.tags(conv), []string{"VIP", "old"})
		retag([]causeway.ID{vip, old}, []causeway.ID{late}) // is so already
		retag(nil, nil)
		retag([]causeway.ID{late, vip}, []causeway.ID{old, vip}) // what is in both stays
		h.same("the tags", h.tags(conv), []string{"VIP", "late"})
		h.same("the feed", h.events(conn.CampaignID)[begun:], []string{"CONVERSATION in 501", "CONVERSATION in 501"})
		h.same("the audit log", h.audited(conn.CampaignID)[3:], []string{
			`tagConversation {"added":["VIP","old"]}`, `tagConversation {"added":["late"],"removed":["old"]}`,
		})
		found := func(tag causeway.ID) int {
			n, err := h.store.Reader().Conversation.Query().
				Where(conversation.Matching(conn.CampaignID, conversation.Filter{Tag: tag})...).Count(t.Context())
			h.no(err)
			return n
		}
		if found(vip) != 1 || found(old) != 0 {
			t.Errorf("the filter finds %d and %d", found(vip), found(old))
		}

		// Whoever bears a tag is told when it changes and when it goes.
		_, err := h.service.SaveTag(h.agent(), conversation.TagInput{ID: &vip, Campaign: conn.CampaignID, Name: "Gold"})
		h.no(err)
		h.no(h.service.DeleteTag(h.agent(), late))
		h.no(h.service.DeleteTag(h.agent(), old))
		h.same("the feed", h.events(conn.CampaignID)[begun+2:], []string{"CONVERSATION in 501", "CONVERSATION in 501"})
		h.same("the tags", h.tags(conv), []string{"Gold"})
	})
}

func TestOnlyTagsOfItsCampaignGoOnAConversation(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		mine, theirs := h.tag(conn, "mine"), h.tag(h.bot(), "theirs")
		retag := func(add, remove []causeway.ID) error {
			return h.service.Tag(h.agent(), conversation.Tags{Conversation: conv, Add: add, Remove: remove})
		}
		h.refused(retag([]causeway.ID{mine, theirs}, nil), causeway.NotFound, "input", "addTagIds", "1")
		h.refused(retag(nil, []causeway.ID{theirs}), causeway.NotFound, "input", "removeTagIds", "0")
		h.refused(retag([]causeway.ID{""}, nil), causeway.NotFound, "input", "addTagIds", "0")
		if tags := h.tags(conv); len(tags) != 0 {
			t.Errorf("a refused change left %v", tags)
		}
		err := h.service.Tag(h.agent(), conversation.Tags{Conversation: causeway.NewID(causeway.PrefixConversation)})
		h.refused(err, causeway.NotFound, "input", "id")
		h.archive(conn)
		h.refused(retag([]causeway.ID{mine}, nil), causeway.Conflict, "input", "id")
	})
}

func TestManyAgentsTagAtOnceWhileTagsAreDeleted(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		var tags []causeway.ID
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			tags = append(tags, h.tag(conn, name))
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				err := h.service.Tag(h.agent(), conversation.Tags{Conversation: conv, Add: tags})
				if err != nil && causeway.CodeOf(err) != causeway.NotFound {
					t.Error(err)
				}
				if i%2 == 0 {
					if err := h.service.DeleteTag(h.agent(), tags[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if err := h.service.Tag(h.agent(), conversation.Tags{Conversation: conv, Add: []causeway.ID{tags[1], tags[3], tags[5]}}); err != nil {
			t.Fatal(err)
		}
		h.same("the tags", h.tags(conv), []string{"b", "d", "f"})
	})
}
