package conversation

import "causeway/internal/platform"

// identified tells whether an event adds something that the platform gives an id, by
// which a repeat is known, or moves something that never goes back. Any other event says how things stand at its moment: applied
// once more, it would undo what happened since, or be told twice.
func identified(event platform.Event) bool {
	switch e := event.(type) {
	case platform.MessageAdded:
		return e.ID != ""
	case platform.ButtonTapped:
		return e.ID != ""
	case platform.Noted:
		return e.ID != ""
	case platform.ThreadOwned:
		return e.ID != ""
	case platform.Echoed, platform.Delivered, platform.Read, platform.MessageDeleted:
		return true
	default:
		return false
	}
}
