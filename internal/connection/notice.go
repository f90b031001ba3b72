package connection

import (
	"context"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/notice"
	"causeway/ent/noticeletter"
	"causeway/ent/user"
	"causeway/internal/store"
)

const (
	// noticesKept is how long a notice and its letters are kept after its end.
	noticesKept = 90 * 24 * time.Hour
	// noticesEvery is how often old ones are looked for.
	noticesEvery = time.Hour
)

// notice opens or closes the connection's notice by what a look found, in the
// transaction that records it. A notice is open from the look that proves the connection
// not to work, whatever comes to be wrong with it meanwhile, to the one that finds it
// working. Whoever connects reads the answer: the next look tells the others.
func (s *Service) notice(tx *store.Tx, row *ent.Connection, i *inspection) error {
	status, why, _ := i.status(row)
	switch {
	case status == entconnection.StatusActive:
		return closeNotice(tx, row.ID, s.clock.Now())
	case i.of.connecting:
		return nil
	default:
		return s.openNotice(tx, row, why)
	}
}

// closeNotice ends the connection's notice, if one is open: the next trouble is told
// again, and letters of this one that still wait are dropped.
func closeNotice(tx *store.Tx, connection causeway.ID, now time.Time) error {
	err := tx.Notice.Update().
		Where(notice.ConnectionID(connection), notice.ClosedAtIsNil()).
		SetClosedAt(now).
		Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("close the notice of %s: %w", connection, err)
	}
	return nil
}

// openNotice notes that the connection does not work, and writes a letter to everybody
// who is to know; nothing if that was done before.
func (s *Service) openNotice(tx *store.Tx, row *ent.Connection, why *causeway.Problem) error {
	ctx, now := tx.Context(), s.clock.Now()
	open, err := tx.Notice.Query().Where(notice.ConnectionID(row.ID), notice.ClosedAtIsNil()).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read the notice of %s: %w", row.ID, err)
	}
	if open {
		return nil
	}
	id := causeway.NewID(causeway.PrefixNotice)
	err = tx.Notice.Create().SetID(id).SetCampaignID(row.CampaignID).SetConnectionID(row.ID).SetOpenedAt(now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("open a notice of %s: %w", row.ID, err)
	}
	people, err := s.toldOf(ctx, tx, row.CampaignID)
	if err != nil {
		return fmt.Errorf("read who is told of %s: %w", row.ID, err)
	}
	letters := make([]*ent.NoticeLetterCreate, len(people))
	for i, person := range people {
		letter := causeway.NewID(causeway.PrefixNoticeLetter)
		letters[i] = tx.NoticeLetter.Create().
			SetID(letter).SetCampaignID(row.CampaignID).SetNoticeID(id).SetUserID(person).
			SetState(noticeletter.StateWaiting).SetCreatedAt(now).
			SetQueueKey(string(letter)).SetNextTryAt(now)
	}
	if err := tx.NoticeLetter.CreateBulk(letters...).Exec(ctx); err != nil {
		return fmt.Errorf("write to those who are told of %s: %w", row.ID, err)
	}
	tx.AfterCommit(func() {
		s.log.Warn("a connection does not work", "connection", row.ID, "campaign", row.CampaignID, "problem", codeOfProblem(why), "letters", len(people))
		if s.postman != nil {
			s.postman.queue.Wake()
		}
	})
	return nil
}

// toldOf are the people who are told of a campaign's connections: its managers, else
// the administrators; nobody of an archived campaign, and nobody without mail.
func (s *Service) toldOf(ctx context.Context, tx *store.Tx, id causeway.ID) ([]causeway.ID, error) {
	if s.postman == nil {
		return nil, nil
	}
	live, err := tx.Campaign.Query().Where(campaign.ID(id), campaign.ArchivedAtIsNil()).Exist(ctx)
	if err != nil || !live {
		return nil, err
	}
	managers, err := tx.User.Query().
		Where(user.DeactivatedAtIsNil(), user.HasMembershipsWith(campaignmember.CampaignID(id), campaignmember.RoleEQ(campaignmember.RoleManager))).
		IDs(ctx)
	if err != nil || len(managers) > 0 {
		return managers, err
	}
	return tx.User.Query().Where(user.DeactivatedAtIsNil(), user.RoleEQ(user.RoleAdmin)).IDs(ctx)
}

// sweepNotices forgets old notices until the Service is closed.
func (s *Service) sweepNotices() {
	for {
		if err := s.forgetNotices(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("old notices were not forgotten", "error", err)
		}
		if !s.wait(s.ctx, noticesEvery, nil) {
			return
		}
	}
}

// forgetNotices deletes the notices that ended long ago, with their letters, a few at a
// time.
func (s *Service) forgetNotices(ctx context.Context) error {
	for {
		forgotten := 0
		err := s.store.InTx(ctx, func(tx *store.Tx) error {
			var err error
			forgotten, err = tx.Run(oldNotices(tx.SQL(), s.clock.Now().Add(-noticesKept)))
			return err
		})
		if err != nil {
			return fmt.Errorf("forget notices: %w", err)
		}
		if forgotten < sweepBatch {
			return nil
		}
	}
}

// oldNotices is the statement that deletes notices which were closed before a time; their
// letters go with them.
func oldNotices(db *entsql.DialectBuilder, before time.Time) entsql.Querier {
	some := db.Select(notice.FieldID).
		From(entsql.Table(notice.Table)).
		Where(entsql.LT(notice.FieldClosedAt, before)).
		OrderBy(notice.FieldClosedAt).
		Limit(sweepBatch)
	return db.Delete(notice.Table).Where(entsql.In(notice.FieldID, some))
}

func codeOfProblem(problem *causeway.Problem) causeway.Code {
	if problem == nil {
		return ""
	}
	return problem.Code
}
