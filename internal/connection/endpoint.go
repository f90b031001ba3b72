package connection

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// Endpoint is whose updates come in under a webhook's key. It is shared: do not
// change it.
type Endpoint struct {
	Connection   causeway.ID
	Campaign     causeway.ID
	Platform     platform.Name
	Account      string // the platform's id of the page or bot
	Secret       []byte // what the platform sends along; nil if none is known
	Disconnected bool
}

const (
	// addressFresh is how long what was read is taken for true without a hint. Another
	// server's change is noticed within it, also when its hint was lost.
	addressFresh = time.Second
	// maxAddresses bounds what is remembered. Beyond it everything is forgotten, which
	// costs one indexed read per connection.
	maxAddresses = 10_000
)

// Endpoint finds the connection behind a webhook's key: NOT_FOUND if there is none.
// It is made for the hot path: of a busy connection the database is asked once a
// second, by one of those who ask here, and the secret is opened once. What changed
// on this server is seen at once; a change on another one within two seconds.
func (s *Service) Endpoint(ctx context.Context, key string) (*Endpoint, error) {
	if len(key) != webhookKeyLength {
		return nil, causeway.Missing()
	}
	now := s.clock.Now()
	known, generation := s.addresses.find(key)
	if known != nil && (known.fresh(now) || !known.mine(now)) {
		return &known.endpoint, nil
	}
	row, err := s.store.Reader().Connection.Query().
		Select(entconnection.FieldCampaignID, entconnection.FieldPlatform, entconnection.FieldAccountID,
			entconnection.FieldSealedWebhookSecret, entconnection.FieldDisconnectedAt).
		Where(entconnection.WebhookKey(key)).
		Only(ctx)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing()
	}
	if err != nil {
		return nil, fmt.Errorf("look up a webhook's key: %w", err)
	}
	read, err := s.address(row, known, now)
	if err != nil {
		return nil, err
	}
	s.addresses.keep(key, read, generation)
	return &read.endpoint, nil
}

// address is what is remembered of a row; the secret is opened anew only when it is
// another than known.
func (s *Service) address(row *ent.Connection, known *address, now time.Time) (*address, error) {
	read := &address{readAt: now, endpoint: Endpoint{
		Connection: row.ID, Campaign: row.CampaignID, Platform: row.Platform, Account: row.AccountID,
		Disconnected: row.DisconnectedAt != nil,
	}}
	if sealed(row.SealedWebhookSecret) == nil {
		return read, nil
	}
	read.sealed = sealed(row.SealedWebhookSecret)
	if known != nil && bytes.Equal(known.sealed, read.sealed) {
		read.endpoint.Secret = known.endpoint.Secret
		return read, nil
	}
	opened, err := s.keys.Open(read.sealed, row.ID)
	if err != nil {
		return nil, fmt.Errorf("open the webhook secret of %s: %w", row.ID, err)
	}
	read.endpoint.Secret = opened
	return read, nil
}

// AddRejected counts deliveries that were turned away, per connection.
func (s *Service) AddRejected(ctx context.Context, counts map[causeway.ID]int) error {
	if len(counts) == 0 {
		return nil
	}
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(counts)) {
			_, err := tx.Run(tx.SQL().Update(entconnection.Table).
				Add(entconnection.FieldRejectedCount, counts[id]).
				Where(entsql.EQ(entconnection.FieldID, string(id))))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count rejected deliveries: %w", err)
	}
	return nil
}

// addresses remembers what was read of webhook keys that exist. Strangers' keys are
// not kept: there is no end to them.
type addresses struct {
	mu         sync.RWMutex
	known      map[string]*address
	generation int // counts forget, so that nothing read before it is kept after it
}

type address struct {
	endpoint Endpoint
	sealed   []byte
	readAt   time.Time
	reading  atomic.Bool // somebody reads it anew
}

func newAddresses() addresses { return addresses{known: map[string]*address{}} }

// fresh tells whether it can be answered without asking the database.
func (a *address) fresh(now time.Time) bool { return now.Before(a.readAt.Add(addressFresh)) }

// mine tells whether the caller is to read it anew: the first who finds it stale, or
// everybody when that takes too long.
func (a *address) mine(now time.Time) bool {
	return a.reading.CompareAndSwap(false, true) || !now.Before(a.readAt.Add(2*addressFresh))
}

func (a *addresses) find(key string) (*address, int) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.known[key], a.generation
}

func (a *addresses) keep(key string, read *address, generation int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if generation != a.generation {
		return
	}
	if len(a.known) >= maxAddresses {
		clear(a.known)
	}
	a.known[key] = read
}

// forget makes every next look go to the database.
func (a *addresses) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.generation++
	clear(a.known)
}
