package conversation

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/contact"
	"causeway/internal/media"
)

// File is what is served under the id of an attachment or of a contact: its content, or
// its picture. media.ErrNotFound where there is none, or its message was deleted. Whoever
// asks has a right to it: this looks at no viewer.
func (s *Service) File(ctx context.Context, id causeway.ID) (media.File, error) {
	switch id.Prefix() {
	case causeway.PrefixAttachment:
		return s.attachmentFile(ctx, id)
	case causeway.PrefixContact:
		return s.contactPicture(ctx, id)
	default:
		return media.File{}, media.ErrNotFound
	}
}

func (s *Service) attachmentFile(ctx context.Context, id causeway.ID) (media.File, error) {
	a, err := s.store.Reader().Attachment.Query().Where(attachment.ID(id)).WithMessage().Only(ctx)
	if ent.IsNotFound(err) {
		return media.File{}, media.ErrNotFound
	}
	if err != nil {
		return media.File{}, fmt.Errorf("read %s: %w", id, err)
	}
	if !HasFile(a) || a.Size == nil || a.Edges.Message.DeletedAt != nil {
		return media.File{}, media.ErrNotFound
	}
	return media.File{Hash: *a.Hash, MimeType: deref(a.MimeType), Name: deref(a.Name), Size: int64(*a.Size)}, nil
}

// HasFile tells whether an attachment's content is kept here.
func HasFile(a *ent.Attachment) bool {
	return a.State != nil && *a.State == attachment.StateStored && a.Hash != nil
}

func (s *Service) contactPicture(ctx context.Context, id causeway.ID) (media.File, error) {
	c, err := s.store.Reader().Contact.Query().Where(contact.ID(id)).Only(ctx)
	if ent.IsNotFound(err) {
		return media.File{}, media.ErrNotFound
	}
	if err != nil {
		return media.File{}, fmt.Errorf("read %s: %w", id, err)
	}
	if c.AvatarHash == nil {
		return media.File{}, media.ErrNotFound
	}
	return media.File{Hash: *c.AvatarHash, MimeType: deref(c.AvatarType), Size: media.AnySize}, nil
}
