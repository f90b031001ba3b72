package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"causeway"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/connection"
	"causeway/internal/secret"
)

// migrate brings the database to this version and tells what it did.
func migrate(ctx context.Context, cfg settings, out io.Writer, log *slog.Logger) error {
	a := &app{settings: cfg, log: log}
	if err := a.openStore(ctx); err != nil {
		return errors.Join(err, a.stop())
	}
	fmt.Fprintln(out, "The database is of this version.")
	return a.stop()
}

// printToken makes a bearer token for a user and prints it, and nothing else.
func printToken(ctx context.Context, cfg settings, email, name string, out io.Writer, log *slog.Logger) error {
	a := &app{settings: cfg, log: log}
	err := a.openStore(ctx)
	if err == nil {
		local := bus.NewLocal()
		a.onStop(local.Close)
		people := auth.New(auth.Config{Store: a.store, Bus: local, Clock: causeway.System{}, Log: log})
		a.onStop(people.Close)
		var token string
		if token, err = people.IssueToken(ctx, email, name); err == nil {
			fmt.Fprintln(out, token)
		}
	}
	switch causeway.CodeOf(err) {
	case causeway.NotFound:
		err = fmt.Errorf("--email: there is no user %q; createUser makes one", email)
	case causeway.Conflict:
		err = fmt.Errorf("--email: the user %q is deactivated; updateUser lets them in again", email)
	case causeway.InvalidInput:
		err = errors.New("--name: must be a name of up to 200 characters, such as laptop")
	}
	return errors.Join(err, a.stop())
}

// rotateKeys seals every stored secret with the newest key: the first of the setting, or
// one that it puts in front of the key file, which running servers follow.
func rotateKeys(ctx context.Context, cfg settings, out io.Writer, log *slog.Logger) error {
	a := &app{settings: cfg, log: log}
	err := a.openStore(ctx)
	if err == nil {
		err = a.rotate(ctx, out)
	}
	return errors.Join(err, a.stop())
}

func (a *app) rotate(ctx context.Context, out io.Writer) error {
	keys, err := a.newestKeys(out)
	if err != nil {
		return err
	}
	done, err := connection.RotateSecrets(ctx, a.store, keys)
	fmt.Fprintf(out, "Secrets sealed with the newest key: %d.\n", done.Renewed)
	if err != nil {
		return fmt.Errorf("%w; run it again to go on from there", err)
	}
	for _, id := range done.Lost {
		fmt.Fprintf(out, "No key opens a secret of %s.\n", id)
	}
	if n := len(done.Lost); n > 0 {
		return fmt.Errorf("%d rows have secrets that were left as they are; add the key that sealed them to the end of the secret keys, or connect these anew", n)
	}
	return nil
}

// newestKeys are the keys with the one in front that is to seal everything.
func (a *app) newestKeys(out io.Writer) (*secret.Ring, error) {
	if a.settings.SecretKeys != "" {
		return a.keys()
	}
	path := a.settings.keyFile()
	keys, err := secret.AddKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no key file %s; set --data or --secret-keys as the server has it", path)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "A new key is first in %s.\n", path)
	return keys, nil
}
