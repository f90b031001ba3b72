package connection

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/store"
)

const (
	// superviseEvery is how often leases are renewed and the list of connections is
	// compared with who is fetched.
	superviseEvery = 5 * time.Second
	// pollLease is how long a connection stays a server's to fetch that is not heard of
	// any more.
	pollLease = 30 * time.Second
)

// pollers are the connections this server fetches, or rests from fetching.
type pollers struct {
	wake chan struct{} // holds a token when the list is to be looked at now

	mu      sync.Mutex
	running map[causeway.ID]*polling
}

// polling is one connection's fetching. Its lease is the value in the row: whoever
// wrote it last holds it.
type polling struct {
	cancel context.CancelFunc
	done   chan struct{}
	token  []byte // sealed, that it fetches with
	since  time.Time

	mu    sync.Mutex
	lease time.Time
	rests time.Time // until when it rests; zero while it fetches
}

func newPollers() pollers {
	return pollers{wake: make(chan struct{}, 1), running: map[causeway.ID]*polling{}}
}

// look has the list looked at now.
func (p *pollers) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// end stops fetching a connection and returns when nothing of it is left.
func (p *pollers) end(ids ...causeway.ID) {
	var ending []*polling
	p.mu.Lock()
	for _, id := range ids {
		if one := p.running[id]; one != nil {
			one.cancel()
			ending = append(ending, one)
			delete(p.running, id)
		}
	}
	p.mu.Unlock()
	for _, one := range ending {
		<-one.done
	}
}

func (p *pollers) get(id causeway.ID) *polling {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running[id]
}

func (p *pollers) ids() []causeway.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.running))
}

// supervise keeps the list of who is fetched as the database has it, until the
// Service is closed.
func (s *Service) supervise() {
	defer func() { s.pollers.end(s.pollers.ids()...) }()
	for {
		if err := s.reconcile(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Error("the list of connections to fetch was not read", "error", err)
		}
		if !s.wait(s.ctx, superviseEvery, s.pollers.wake) {
			return
		}
	}
}

func (s *Service) reconcile(ctx context.Context) error {
	s.renewLeases(ctx)
	rows, err := s.store.Reader().Connection.Query().
		Where(
			entconnection.PlatformEQ(platform.Telegram), // with the next one: along the index of live accounts
			entconnection.DisconnectedAtIsNil(),
			entconnection.DeliveryEQ(entconnection.DeliveryPolling),
			entconnection.RegisteredAtNotNil(),
			entconnection.TokenValid(true),
			entconnection.SealedTokenNotNil(),
		).All(ctx)
	if err != nil {
		return err
	}
	wanted := make(map[causeway.ID]bool, len(rows))
	for _, row := range rows {
		wanted[row.ID] = true
		if one := s.pollers.get(row.ID); one != nil && one.outdated(row, s.clock.Now()) {
			s.pollers.end(row.ID)
		}
		if s.pollers.get(row.ID) != nil {
			continue
		}
		if err := s.startPolling(ctx, row); err != nil {
			s.log.Error("a connection is not fetched", "connection", row.ID, "error", err)
		}
	}
	for _, id := range s.pollers.ids() {
		if !wanted[id] {
			s.pollers.end(id)
		}
	}
	return nil
}

// outdated tells whether fetching is to begin anew: the connection was authorised
// again, what it rests for is over, or it has rested long enough.
func (one *polling) outdated(row *ent.Connection, now time.Time) bool {
	if !bytes.Equal(one.token, sealed(row.SealedToken)) || !one.since.Equal(*row.RegisteredAt) {
		return true
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.rests.IsZero() {
		return false
	}
	if row.WebhookProblem == nil {
		return true
	}
	// A webhook that is in the way is seen by checks; trying would only meet it again.
	return !now.Before(one.rests) && row.WebhookProblem.Reason != causeway.ReasonTakenByWebhook
}

// startPolling fetches a connection if it can be had: nil if another server has it.
func (s *Service) startPolling(ctx context.Context, row *ent.Connection) error {
	p, err := s.newPoller(row)
	if err != nil {
		return err
	}
	lease, err := s.lease(ctx, row.ID)
	if err != nil || lease.IsZero() {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	one := &polling{
		cancel: cancel, done: make(chan struct{}), lease: lease,
		token: sealed(row.SealedToken), since: *row.RegisteredAt,
	}
	s.pollers.mu.Lock()
	s.pollers.running[row.ID] = one
	s.pollers.mu.Unlock()
	go func() { // ended by pollers.end, which supervise calls for all
		defer close(one.done)
		defer cancel()
		rest := p.run(ctx, func(ctx context.Context) bool { return s.renew(ctx, row.ID, one) == nil })
		s.release(row.ID, one)
		one.mu.Lock()
		defer one.mu.Unlock()
		one.rests = s.clock.Now()
		if rest {
			one.rests = one.rests.Add(s.interval)
		}
	}()
	return nil
}

// lease takes a connection that no server has. It answers when the lease ends; zero
// if another server has it.
func (s *Service) lease(ctx context.Context, id causeway.ID) (until time.Time, err error) {
	now := s.clock.Now()
	until = now.Add(pollLease)
	n, err := s.setLease(ctx, id, until, entsql.And(
		entsql.IsNull(entconnection.FieldDisconnectedAt),
		entsql.Or(entsql.IsNull(entconnection.FieldPollLeasedUntil), entsql.LT(entconnection.FieldPollLeasedUntil, now))))
	if err != nil || n == 0 {
		return time.Time{}, err
	}
	return until, nil
}

// renew makes a lease last longer; an error if it is lost.
func (s *Service) renew(ctx context.Context, id causeway.ID, one *polling) error {
	one.mu.Lock()
	defer one.mu.Unlock()
	until := s.clock.Now().Add(pollLease)
	n, err := s.setLease(ctx, id, until, entsql.EQ(entconnection.FieldPollLeasedUntil, one.lease))
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("the lease of %s was lost", id)
	}
	one.lease = until
	return nil
}

// release lets another server have the connection at once.
func (s *Service) release(id causeway.ID, one *polling) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	one.mu.Lock()
	defer one.mu.Unlock()
	if _, err := s.setLease(ctx, id, nil, entsql.EQ(entconnection.FieldPollLeasedUntil, one.lease)); err != nil {
		s.log.Warn("a lease was not given back", "connection", id, "error", err)
	}
}

func (s *Service) setLease(ctx context.Context, id causeway.ID, until any, free *entsql.Predicate) (n int, err error) {
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		statement := tx.SQL().Update(entconnection.Table).
			Where(entsql.And(entsql.EQ(entconnection.FieldID, id), free))
		if until == nil {
			statement.SetNull(entconnection.FieldPollLeasedUntil)
		} else {
			statement.Set(entconnection.FieldPollLeasedUntil, until)
		}
		n, err = tx.Run(statement)
		return err
	})
	return n, err
}

// renewLeases renews what has less than two thirds left, and stops what is lost or
// cannot be renewed any more.
func (s *Service) renewLeases(ctx context.Context) {
	for _, id := range s.pollers.ids() {
		one := s.pollers.get(id)
		if one == nil {
			continue
		}
		left := one.left(s.clock.Now())
		if left > pollLease*2/3 {
			continue
		}
		if err := s.renew(ctx, id, one); err != nil && ctx.Err() == nil {
			s.log.Warn("a lease was not renewed", "connection", id, "error", err)
			s.pollers.end(id)
		}
	}
}

// left is how long the lease lasts; what rests holds none and needs none.
func (one *polling) left(now time.Time) time.Duration {
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.rests.IsZero() {
		return pollLease
	}
	return one.lease.Sub(now)
}
