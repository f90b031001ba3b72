// Command server is Causeway: it serves the GraphQL API, takes webhooks in and keeps
// connections alive, all in one process. This package builds everything and knows
// everyone, and holds no business sentence: settings, wiring, routes, commands, the
// demo, and the end-to-end tests that start the same program.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		// One sentence is one line, also where a driver tells its part in several.
		fmt.Fprintln(os.Stderr, "causeway:", strings.Join(strings.Fields(err.Error()), " "))
		stop()
		os.Exit(1)
	}
}

// run reads the command line and does what it says until ctx ends. What a person
// needs goes to out, the log to logTo.
func run(ctx context.Context, args []string, out, logTo io.Writer) error {
	cmd, err := parse(args, out)
	if err != nil || cmd == nil {
		return err
	}
	return cmd.run(ctx, out, newLogger(cmd.settings, logTo))
}
