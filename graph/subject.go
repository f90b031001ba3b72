package graph

import (
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vikstrous/dataloadgen"

	"causeway"
	"causeway/ent"
)

// nodesByField gathers objects of any type that the rows of a list name. What is read
// of them follows from the field that asks, so each field of an operation has a loader
// of its own.
type nodesByField struct {
	read    func(ctx context.Context, ids []causeway.ID) ([]ent.Noder, error)
	options []dataloadgen.Option

	mu      sync.Mutex
	loaders map[*ast.Field]*dataloadgen.Loader[causeway.ID, ent.Noder]
}

// load is the object with this id; null for what is gone or may not be seen.
func (n *nodesByField) load(ctx context.Context, id causeway.ID) (ent.Noder, error) {
	return n.of(graphql.GetFieldContext(ctx).Field.Field).Load(ctx, id)
}

func (n *nodesByField) of(field *ast.Field) *dataloadgen.Loader[causeway.ID, ent.Noder] {
	n.mu.Lock()
	defer n.mu.Unlock()
	loader, ok := n.loaders[field]
	if !ok {
		loader = dataloadgen.NewLoader(n.all, n.options...)
		if n.loaders == nil {
			n.loaders = map[*ast.Field]*dataloadgen.Loader[causeway.ID, ent.Noder]{}
		}
		n.loaders[field] = loader
	}
	return loader
}

func (n *nodesByField) all(ctx context.Context, ids []causeway.ID) ([]ent.Noder, []error) {
	found := make([]ent.Noder, 0, len(ids))
	for part := range slices.Chunk(ids, maxPage) {
		nodes, err := n.read(ctx, part)
		if err != nil {
			return nil, []error{err}
		}
		found = append(found, nodes...)
	}
	return found, nil
}
