package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"causeway"
	"causeway/internal/auth"
	"causeway/internal/bus"
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
