package store

import (
	"context"

	"entgo.io/ent/dialect"
)

// traced tells of every statement that is asked through a driver.
type traced struct {
	dialect.Driver
	tell func(query string, args []any)
}

// Query tells of the statement and asks it.
func (d traced) Query(ctx context.Context, query string, args, into any) error {
	list, _ := args.([]any)
	d.tell(query, list)
	return d.Driver.Query(ctx, query, args, into)
}
