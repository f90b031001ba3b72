package conversation

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// Upload is a file that an agent sends. What it is called decides nothing about what
// it is.
type Upload struct {
	Name    string // as the sender's program calls it; may be empty
	Content io.Reader
}

// maxFiles is how many files one message may carry.
const maxFiles = 10

// maxFileName is how much of a file's name is kept, in bytes.
const maxFileName = 200

// kept is an upload whose bytes are in the media store.
type kept struct {
	media.Blob
	kind platform.AttachmentKind
	name string
}

// keepFiles puts uploads into the media store, each as what its first bytes say it is.
// It is ATTACHMENT_REJECTED, naming the upload, where the platform would not take one;
// what was kept before it stays behind, known by its hash alone.
func (s *Service) keepFiles(ctx context.Context, limits platform.Limits, uploads []Upload) ([]kept, error) {
	most := int64(-1)
	for _, limit := range limits.Files {
		most = max(most, limit)
	}
	files := make([]kept, 0, len(uploads))
	for i, upload := range uploads {
		at := []string{"input", "attachments", strconv.Itoa(i)}
		blob, err := s.media.Put(ctx, upload.Content, most)
		if isTooLarge(err) {
			return nil, tooLarge(most).At(at...)
		}
		if err != nil {
			return nil, fmt.Errorf("keep upload %d: %w", i, err)
		}
		kind := kindOf(limits, blob.MimeType)
		limit, taken := limits.Files[kind]
		switch {
		case blob.Size == 0:
			return nil, causeway.FailWith(causeway.AttachmentRejected, causeway.ReasonFileEmpty).At(at...)
		case !taken:
			return nil, causeway.FailWith(causeway.AttachmentRejected, causeway.ReasonFileTypeRefused).With("type", blob.MimeType).At(at...)
		case blob.Size > limit:
			return nil, tooLarge(limit).At(at...)
		}
		files = append(files, kept{Blob: blob, kind: kind, name: fileName(upload.Name)})
	}
	return files, nil
}

// kindOf is the kind as which a platform sends a file of a sniffed type.
func kindOf(limits platform.Limits, mimeType string) platform.AttachmentKind {
	if limits.As == nil {
		return platform.File
	}
	return limits.As(mimeType)
}

// tooLarge says that a file has more than limit bytes; none where the platform takes no
// files at all.
func tooLarge(limit int64) *causeway.Error {
	megabyte := int64(1_000_000) // platforms count either way; people read round numbers
	if limit%(1<<20) == 0 {
		megabyte = 1 << 20
	}
	megabytes := strconv.FormatFloat(float64(max(limit, 0))/float64(megabyte), 'f', -1, 64) + " MB"
	return causeway.FailWith(causeway.AttachmentRejected, causeway.ReasonFileTooLarge).With("max", megabytes)
}

// fileName is a name without folders, control characters and what makes it read
// otherwise than it is; empty if nothing is left.
func fileName(name string) string {
	name = path.Base("/" + strings.ReplaceAll(store.Clean(name), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' { // which joins emoji
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if strings.Trim(name, "./") == "" {
		return ""
	}
	if ending := path.Ext(name); len(name) > maxFileName && len(ending) < maxFileName/4 {
		return strings.ToValidUTF8(name[:maxFileName-len(ending)], "") + ending
	}
	return strings.TrimSpace(strings.ToValidUTF8(name[:min(len(name), maxFileName)], ""))
}

// storeFiles writes the attachments of a message that is being stored.
func storeFiles(tx *store.Tx, m causeway.ID, conv *ent.Conversation, files []kept) error {
	creates := make([]*ent.AttachmentCreate, 0, len(files))
	for i, f := range files {
		creates = append(creates, tx.Attachment.Create().
			SetCampaignID(conv.CampaignID).SetMessageID(m).SetPlace(i).SetKind(f.kind).
			SetState(attachment.StateStored).SetHash(f.Hash).SetNillableName(optional(f.name)).
			SetMimeType(f.MimeType).SetSize(int(f.Size)).
			SetNillableWidth(positive(f.Width)).SetNillableHeight(positive(f.Height)))
	}
	return tx.Attachment.CreateBulk(creates...).Exec(tx.Context())
}
