package connection

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/store"
)

const (
	// pictureWithin bounds the fetching of an account's picture.
	pictureWithin = 30 * time.Second
	// maxPicture is how many bytes it may have.
	maxPicture = 5 << 20
)

// Picture is the picture of the page or bot behind a connection, as it is served;
// media.ErrNotFound where there is none. Whoever asks has a right to it: this looks at no
// viewer.
func (s *Service) Picture(ctx context.Context, id causeway.ID) (media.File, error) {
	row, err := s.store.Reader().Connection.Get(ctx, id)
	if ent.IsNotFound(err) || err == nil && row.AvatarHash == nil {
		return media.File{}, media.ErrNotFound
	}
	if err != nil {
		return media.File{}, fmt.Errorf("read %s: %w", id, err)
	}
	file := media.File{Hash: *row.AvatarHash, Size: media.AnySize}
	if row.AvatarType != nil {
		file.MimeType = *row.AvatarType
	}
	return file, nil
}

// renewPicture fetches an account's picture apart from everything else, if the last look
// saw another one than is kept. What goes wrong is left to the next check.
func (s *Service) renewPicture(id causeway.ID) {
	if s.media == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, pictureWithin)
		defer cancel()
		if err := s.fetchPicture(ctx, id); err != nil && s.ctx.Err() == nil {
			s.log.Debug("a connection's picture was not fetched", "connection", id, "error", err)
		}
	})
}

func (s *Service) fetchPicture(ctx context.Context, id causeway.ID) error {
	row, err := s.store.Reader().Connection.Get(ctx, id)
	if err != nil {
		return err
	}
	ref := row.Profile.AvatarRef
	if row.DisconnectedAt != nil || ref == "" || row.AvatarRef != nil && *row.AvatarRef == ref {
		return nil
	}
	account, err := s.Open(ctx, id)
	if err != nil {
		return err
	}
	from, ok := account.(platform.Fetcher)
	if !ok {
		return nil
	}
	file, err := from.Fetch(ctx, ref)
	if err != nil {
		return err
	}
	defer func() { _ = file.Body.Close() }()
	blob, err := s.media.Put(ctx, file.Body, maxPicture)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(blob.MimeType, "image/") || strings.HasPrefix(blob.MimeType, "image/svg") {
		return fmt.Errorf("it is no picture but %s", blob.MimeType)
	}
	return s.keepPicture(ctx, row, ref, blob)
}

// keepPicture stores which picture a connection has, if it is still the one it was
// fetched for.
func (s *Service) keepPicture(ctx context.Context, of *ent.Connection, ref string, blob media.Blob) error {
	kept := false
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		kept = false
		row, err := lock(ctx, tx, of.ID)
		if err != nil {
			return err
		}
		if row.DisconnectedAt != nil || !bytes.Equal(sealed(row.SealedToken), sealed(of.SealedToken)) || row.Profile.AvatarRef != ref {
			return nil
		}
		kept = true
		err = tx.Connection.UpdateOne(row).SetAvatarRef(ref).SetAvatarHash(blob.Hash).SetAvatarType(blob.MimeType).Exec(ctx)
		if err == nil && (row.AvatarHash == nil || *row.AvatarHash != blob.Hash) {
			s.tell(tx, row.CampaignID, row.ID)
		}
		return err
	})
	if err == nil && kept {
		s.changed(of.ID)
	}
	return err
}
