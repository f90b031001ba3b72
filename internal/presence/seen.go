package presence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/store"
)

// run notes who comes and goes as it happens, whose sockets are open every seenEvery,
// and who lapsed every lookEvery. Who is here is noted first: after a database was away
// for a minute nobody with an open socket is taken to be gone.
func (s *Service) run(ctx context.Context) {
	var noted time.Time
	for {
		look, looks := s.clock.NewTimer(lookEvery), false
		select {
		case <-ctx.Done():
			look.Stop()
			return
		case <-s.some:
		case <-look.C():
			looks = true
		}
		look.Stop()
		s.try(ctx, "who came and went was not noted", s.noteMoves)
		if now := s.clock.Now(); now.Sub(noted) >= seenEvery {
			noted = now
			s.try(ctx, "who is here was not noted", func(ctx context.Context) error { return s.note(ctx, s.here()) })
		}
		if looks {
			s.try(ctx, "who lapsed was not told", s.lapsed)
		}
	}
}

func (s *Service) try(ctx context.Context, otherwise string, do func(context.Context) error) {
	if err := do(ctx); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, otherwise, "error", err)
	}
}

// noteMoves notes those of whom a socket opened or the last one closed. What cannot be
// written is tried again.
func (s *Service) noteMoves(ctx context.Context) error {
	s.mu.Lock()
	moved := s.moved
	s.moved = map[causeway.ID]bool{}
	s.mu.Unlock()
	err := s.note(ctx, slices.Collect(maps.Keys(moved)))
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.moved, moved)
	return err
}

// note writes down that people are seen now, which makes what they said last hold
// again.
func (s *Service) note(ctx context.Context, people []causeway.ID) error {
	slices.Sort(people)
	for chunk := range slices.Chunk(people, idsPerQuery) {
		if err := s.store.InTx(ctx, func(tx *store.Tx) error { return s.see(tx, chunk) }); err != nil {
			return fmt.Errorf("note that %d people are seen: %w", len(people), err)
		}
	}
	return nil
}

func (s *Service) see(tx *store.Tx, people []causeway.ID) error {
	rows, err := lock(tx, people)
	if err != nil {
		return err
	}
	err = tx.User.Update().Where(user.IDIn(people...)).SetSeenAt(s.clock.Now()).Exec(tx.Context())
	if err != nil {
		return err
	}
	var back []causeway.ID
	for _, person := range rows {
		said := user.Presence(person.SaidPresence)
		if person.Presence == said {
			continue
		}
		if err := tx.User.UpdateOneID(person.ID).SetPresence(said).Exec(tx.Context()); err != nil {
			return err
		}
		back = append(back, person.ID)
	}
	return s.tell(tx, back...)
}

// lapsed makes those OFFLINE whom nobody has seen for a minute.
func (s *Service) lapsed(ctx context.Context) error {
	for {
		before := s.clock.Now().Add(-lapse)
		people, err := unseen(ctx, s.store.Reader(), before)
		if err != nil || len(people) == 0 {
			return err
		}
		err = s.store.InTx(ctx, func(tx *store.Tx) error { return s.sendHome(tx, people, before) })
		if err != nil {
			return fmt.Errorf("send %d people home: %w", len(people), err)
		}
	}
}

// unseen are people whom nobody has seen since before, along the index of those who
// were seen.
func unseen(ctx context.Context, client *ent.Client, before time.Time) ([]causeway.ID, error) {
	people, err := client.User.Query().
		Where(user.SeenAtLTE(before)).
		Order(ent.Asc(user.FieldSeenAt)).
		Limit(idsPerQuery).
		IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for people who are gone: %w", err)
	}
	return people, nil
}

// sendHome makes people OFFLINE, unless somebody saw them meanwhile.
func (s *Service) sendHome(tx *store.Tx, people []causeway.ID, before time.Time) error {
	rows, err := lock(tx, people)
	if err != nil {
		return err
	}
	var gone, changed []causeway.ID
	for _, person := range rows {
		if person.SeenAt == nil || person.SeenAt.After(before) {
			continue
		}
		gone = append(gone, person.ID)
		if person.Presence != user.PresenceOffline {
			changed = append(changed, person.ID)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	err = tx.User.Update().Where(user.IDIn(gone...)).
		SetPresence(user.PresenceOffline).ClearSeenAt().
		Exec(tx.Context())
	if err != nil {
		return err
	}
	return s.tell(tx, changed...)
}

// lock reads people whom nobody else changes until the transaction ends, in the order
// in which everybody locks people. On SQLite the transaction itself is the lock.
func lock(tx *store.Tx, people []causeway.ID) ([]*ent.User, error) {
	query := tx.User.Query().Where(user.IDIn(people...)).Order(ent.Asc(user.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	return query.All(tx.Context())
}

// tell hints at whose presence changed, in each of their campaigns, once tx is
// committed.
func (s *Service) tell(tx *store.Tx, people ...causeway.ID) error {
	if len(people) == 0 {
		return nil
	}
	memberships, err := tx.CampaignMember.Query().Where(campaignmember.UserIDIn(people...)).All(tx.Context())
	if err != nil {
		return fmt.Errorf("read whose colleagues they are: %w", err)
	}
	tx.AfterCommit(func() {
		for _, m := range memberships {
			_ = s.bus.Hint(TopicOf(m.CampaignID), []byte(m.UserID)) // lossy by design
		}
		s.bus.Publish(Topic, 0)
	})
	return nil
}
