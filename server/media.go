package main

import (
	"context"
	"fmt"
	"path/filepath"

	"causeway"
	"causeway/internal/media"
	"causeway/internal/secret"
)

// openMedia opens the folder of files and makes what serves them. Addresses are signed
// with what the secret keys give, so that servers with the same keys know each other's,
// also after a restart and while keys are rotated.
func (a *app) openMedia(keys *secret.Ring, clock causeway.Clock) error {
	var err error
	if a.media, err = media.OpenDisk(filepath.Join(a.settings.Data, "media")); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	a.outside = media.NewClient(media.ClientConfig{
		AllowPrivate: a.settings.AllowPrivateMedia,
		Trusted:      []string{string(a.settings.TelegramAPIURL), string(a.settings.Facebook.GraphURL)},
	})
	a.onStop(func() error { a.outside.CloseIdleConnections(); return nil })
	key, err := keys.Derive("media")
	if err != nil {
		return err
	}
	if a.signer, err = media.NewSigner(key); err != nil {
		return err
	}
	a.files = media.NewHandler(media.HandlerConfig{Signer: a.signer, Store: a.media, Find: a.file, Clock: clock, Log: a.log})
	return nil
}

// file is what is served under an id.
func (a *app) file(ctx context.Context, id causeway.ID) (media.File, error) {
	if id.Prefix() == causeway.PrefixConnection {
		return a.connections.Picture(ctx, id)
	}
	return a.conversations.File(ctx, id)
}

// address is where clients reach this server: the public address, or the one on this
// machine.
func (a *app) address() string {
	if a.settings.PublicURL != "" {
		return string(a.settings.PublicURL)
	}
	return a.url
}
