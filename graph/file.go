package graph

import (
	"github.com/99designs/gqlgen/graphql"

	"causeway"
	conversations "causeway/internal/conversation"
)

// fileURL is where the content that is known by a hash is served under an id; null where
// there is none.
func (r *Resolver) fileURL(id causeway.ID, hash *string) *string {
	if hash == nil {
		return nil
	}
	address := r.FileURL(id)
	return &address
}

// uploads are the files of a request, to be read once each.
func uploads(files []*graphql.Upload) []conversations.Upload {
	list := make([]conversations.Upload, 0, len(files))
	for _, f := range files {
		list = append(list, conversations.Upload{Name: f.Filename, Content: f.File})
	}
	return list
}
