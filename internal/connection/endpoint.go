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
	"causeway/ent/predicate"
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
	Secret       []byte // what the platform sends along, or signs with; nil if none is known
	VerifyToken  []byte // what Facebook shows when it looks at a person's own app's address
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
	return s.lookUp(ctx, key, entconnection.WebhookKey(key))
}

// Page finds the connection behind a page that is connected through this server's own
// Facebook app now: NOT_FOUND if there is none. What it costs is what Endpoint costs.
func (s *Service) Page(ctx context.Context, page string) (*Endpoint, error) {
	return s.lookUp(ctx, "page "+page,
		entconnection.PlatformEQ(platform.Messenger), entconnection.AccountID(page),
		entconnection.DisconnectedAtIsNil(), entconnection.SealedAppSecretIsNil())
}

// lookUp finds the one connection that name stands for.
func (s *Service) lookUp(ctx context.Context, name string, where ...predicate.Connection) (*Endpoint, error) {
	now := s.clock.Now()
	known, generation := s.addresses.find(name)
	if known != nil && (known.fresh(now) || !known.mine(now)) {
		return &known.endpoint, nil
	}
	row, err := s.store.Reader().Connection.Query().
		Select(entconnection.FieldCampaignID, entconnection.FieldPlatform, entconnection.FieldAccountID,
			entconnection.FieldSealedWebhookSecret, entconnection.FieldSealedAppSecret,
			entconnection.FieldDisconnectedAt).
		Where(where...).
		Only(ctx)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing()
	}
	if err != nil {
		return nil, fmt.Errorf("look up an address: %w", err)
	}
	read, err := s.address(row, known, now)
	if err != nil {
		return nil, err
	}
	s.addresses.keep(name, read, generation)
	return &read.endpoint, nil
}

// address is what is remembered of a row; secrets are opened anew only where they are
// others than known.
func (s *Service) address(row *ent.Connection, known *address, now time.Time) (*address, error) {
	read := &address{readAt: now, endpoint: Endpoint{
		Connection: row.ID, Campaign: row.CampaignID, Platform: row.Platform, Account: row.AccountID,
		Disconnected: row.DisconnectedAt != nil,
	}}
	read.secret = sealed(row.SealedWebhookSecret)
	if row.Platform == platform.Messenger { // which signs, and shows the other when it looks
		read.secret, read.verify = sealed(row.SealedAppSecret), read.secret
	}
	if known != nil && bytes.Equal(known.secret, read.secret) && bytes.Equal(known.verify, read.verify) {
		read.endpoint.Secret, read.endpoint.VerifyToken = known.endpoint.Secret, known.endpoint.VerifyToken
		return read, nil
	}
	var err error
	if read.endpoint.Secret, err = s.opened(read.secret, row.ID); err != nil {
		return nil, fmt.Errorf("open the webhook secret of %s: %w", row.ID, err)
	}
	if read.endpoint.VerifyToken, err = s.opened(read.verify, row.ID); err != nil {
		return nil, fmt.Errorf("open the verify token of %s: %w", row.ID, err)
	}
	return read, nil
}

// opened is a sealed secret of a row; nil if there is none.
func (s *Service) opened(sealed []byte, id causeway.ID) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	return s.keys.Open(sealed, id)
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

// addresses remembers what was read of webhook keys and pages that exist. Strangers' are
// not kept: there is no end to them.
type addresses struct {
	mu         sync.RWMutex
	known      map[string]*address
	generation int // counts forget, so that nothing read before it is kept after it
}

type address struct {
	endpoint Endpoint
	secret   []byte // sealed
	verify   []byte // sealed
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
