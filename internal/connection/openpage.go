package connection

import (
	"bytes"
	"sync"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform/messenger"
)

// maxOpenPages bounds what is remembered. Beyond it everything is forgotten, which costs
// what is known of quotas.
const maxOpenPages = 10_000

// openPages keeps one client per connected page, since a client remembers how much of
// its quotas is used up.
type openPages struct {
	mu    sync.Mutex
	known map[causeway.ID]openPage
}

type openPage struct {
	token, secret []byte // sealed, as the client was made with
	client        *messenger.Client
}

func newOpenPages() openPages { return openPages{known: map[causeway.ID]openPage{}} }

// openPage is the client of a connected page: the one that there is, as long as token and
// app are the same.
func (s *Service) openPage(row *ent.Connection) (*messenger.Client, error) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	token, secret := sealed(row.SealedToken), sealed(row.SealedAppSecret)
	known, there := s.pages.known[row.ID]
	if there && token != nil && bytes.Equal(known.token, token) && bytes.Equal(known.secret, secret) {
		return known.client, nil
	}
	delete(s.pages.known, row.ID)
	client, _, _, err := s.pageOf(row)
	if err != nil {
		return nil, err
	}
	if len(s.pages.known) >= maxOpenPages {
		clear(s.pages.known)
	}
	s.pages.known[row.ID] = openPage{token: token, secret: secret, client: client}
	return client, nil
}

// forget closes a page that is disconnected: its token is not kept in memory either.
func (p *openPages) forget(id causeway.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, id)
}
