package transport

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// persisted remembers documents by their SHA-256 for clients that send only that:
// automatic persisted queries, version 1. Only documents that passed validation are
// kept, within a bound of memory; those not used for the longest time go first.
type persisted struct {
	mu    sync.Mutex
	limit int
	bytes int
	used  *list.List // of *persistedQuery; the last one used in front
	known map[string]*list.Element
}

type persistedQuery struct{ hash, query string }

func newPersisted(limit int) *persisted {
	return &persisted{limit: limit, used: list.New(), known: map[string]*list.Element{}}
}

// find puts the remembered document into a request that has only its hash. If the
// request brings both, it returns the hash under which to add the document once it is
// known to be good.
func (p *persisted) find(params *graphql.RawParams) (add string, err *gqlerror.Error) {
	extension, ok := params.Extensions["persistedQuery"]
	if !ok || extension == nil {
		return "", nil
	}
	fields, ok := extension.(map[string]any)
	hash, isText := fields["sha256Hash"].(string)
	if !ok || !isText || !isVersion1(fields["version"]) {
		return "", requestError(CodeBadRequest, "extensions.persistedQuery needs version 1 and sha256Hash")
	}
	if params.Query == "" {
		query, ok := p.get(hash)
		if !ok {
			return "", requestError(CodePersistedQueryNotFound, "PersistedQueryNotFound")
		}
		params.Query = query
		return "", nil
	}
	sum := sha256.Sum256([]byte(params.Query))
	if hex.EncodeToString(sum[:]) != hash {
		return "", requestError(CodeBadRequest, "provided sha does not match query")
	}
	return hash, nil
}

func isVersion1(version any) bool {
	switch v := version.(type) {
	case json.Number:
		return v == "1"
	case float64:
		return v == 1
	}
	return false
}

func (p *persisted) get(hash string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	element, ok := p.known[hash]
	if !ok {
		return "", false
	}
	p.used.MoveToFront(element)
	return element.Value.(*persistedQuery).query, true
}

func (p *persisted) add(hash, query string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if element, ok := p.known[hash]; ok {
		p.used.MoveToFront(element)
		return
	}
	p.known[hash] = p.used.PushFront(&persistedQuery{hash, query})
	p.bytes += len(hash) + len(query)
	for p.bytes > p.limit {
		oldest := p.used.Remove(p.used.Back()).(*persistedQuery)
		delete(p.known, oldest.hash)
		p.bytes -= len(oldest.hash) + len(oldest.query)
	}
}
