package connection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
	"causeway/internal/problem"
)

// Talk is what the conversations tell of a connection's messages, and do for its tests.
type Talk interface {
	// Failing are the connection's conversations in which the last message that was sent
	// failed since a time, each with why. What ended because the connection was
	// disconnected is not among them.
	Failing(ctx context.Context, connection causeway.ID, since time.Time) (map[causeway.ID]causeway.Problem, error)
	// Say queues a message of this server's own in a conversation of the connection and
	// tells its id. It is NOT_FOUND if the viewer may not see the conversation, or it is
	// another connection's; another causeway.Error says why nothing can be sent there.
	Say(ctx context.Context, connection, conversation causeway.ID, text string) (causeway.ID, error)
	// Said tells whether the platform has taken a message, or nothing more is tried; why
	// is what made it fail, or makes it wait.
	Said(ctx context.Context, message causeway.ID) (done bool, why *causeway.Problem, err error)
}

const (
	// sendingSince is how far back failures of sending are looked at.
	sendingSince = time.Hour
	// manyFail is how many conversations fail for the same reason when it is no longer
	// theirs, but the connection's.
	manyFail = 3
	// testMessageWithin is how long a test message may take, and testMessagePoll how often
	// to look what became of it.
	testMessageWithin = 10 * time.Second
	testMessagePoll   = 200 * time.Millisecond
)

// judgeSending notes how sending went in the last hour. One conversation that fails is
// its own problem. Several that fail for the same reason are the connection's: trouble
// of the platform's fails the check, and what each customer could have caused alone
// warns.
func (s *Service) judgeSending(ctx context.Context, i *inspection) error {
	if s.talk == nil {
		return nil
	}
	var failing map[causeway.ID]causeway.Problem
	err := i.timed(platform.CheckSending, func() (err error) {
		failing, err = s.talk.Failing(ctx, i.of.id, s.clock.Now().Add(-sendingSince))
		return err
	})
	if err != nil {
		return fmt.Errorf("read how sending by %s went: %w", i.of.id, err)
	}
	if len(failing) == 0 {
		i.pass(platform.CheckSending, "No conversation waits for a message that failed in the last hour.")
		return nil
	}
	why, many := worst(failing)
	if many < manyFail {
		i.pass(platform.CheckSending, "Sending failed in "+counted(len(failing), "conversation")+" in the last hour; see the messages there.")
		return nil
	}
	seen := fmt.Sprintf("Sending failed in %d conversations in the last hour for the same reason.", many)
	problem := (&causeway.Error{Problem: why})
	if ofPlatform(why.Code) {
		i.fail(platform.CheckSending, problem, seen)
	} else {
		i.warn(platform.CheckSending, problem, seen)
	}
	return nil
}

// worst is the reason for which most conversations fail, as the newest of them tells it,
// and how many they are. What is the platform's comes before what is not.
func worst(failing map[causeway.ID]causeway.Problem) (causeway.Problem, int) {
	byCode := map[causeway.Code][]causeway.Problem{}
	for _, why := range failing {
		byCode[why.Code] = append(byCode[why.Code], why)
	}
	var most []causeway.Problem
	for _, all := range byCode {
		if most == nil || moreThan(all, most) {
			most = all
		}
	}
	newest := slices.MaxFunc(most, func(a, b causeway.Problem) int { return a.OccurredAt.Compare(b.OccurredAt) })
	return newest, len(most)
}

// moreThan tells whether one reason's failures weigh more than another's.
func moreThan(a, b []causeway.Problem) bool {
	weight := func(all []causeway.Problem) int {
		if len(all) >= manyFail && ofPlatform(all[0].Code) {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(len(a), len(b)), cmp.Compare(b[0].Code, a[0].Code)) > 0
}

// ofPlatform tells whether what makes messages fail keeps the connection from working.
func ofPlatform(code causeway.Code) bool {
	switch code {
	case causeway.TokenExpired, causeway.TokenRevoked, causeway.PermissionsMissing, causeway.PageRoleInsufficient,
		causeway.AccountRestricted, causeway.PageNotPublished, causeway.PlatformError, causeway.NetworkError:
		return true
	default:
		return false
	}
}

// tryMessage sends a test message to a conversation and waits for what becomes of it.
// What keeps it from going out fails the check, not the connection: that is for the
// other checks to say.
func (s *Service) tryMessage(ctx context.Context, i *inspection, row *ent.Connection, conversation *causeway.ID) error {
	switch {
	case conversation == nil:
		i.skip("No conversation was named to get a test message.", platform.CheckTestMessage)
		return nil
	case s.talk == nil:
		i.skip("This server sends nothing.", platform.CheckTestMessage)
		return nil
	case i.inactive():
		i.skip("Nothing can be sent until the connection is authorised again.", platform.CheckTestMessage)
		return nil
	}
	var done bool
	var why *causeway.Problem
	err := i.timed(platform.CheckTestMessage, func() error {
		message, err := s.talk.Say(ctx, row.ID, *conversation, testMessage(row.Language))
		if err != nil {
			return err
		}
		done, why, err = s.awaitSaid(ctx, message)
		return err
	})
	switch refused, _ := err.(*causeway.Error); {
	case refused != nil && refused.Code != causeway.NotFound && refused.Code != causeway.Conflict:
		refused.Field = nil
		i.add(platform.CheckTestMessage, platform.CheckFailed, "Nothing can be sent to this conversation.", i.stamped(refused))
	case refused != nil:
		return refused.At("input", "conversationId")
	case err != nil:
		return fmt.Errorf("send a test message by %s: %w", row.ID, err)
	case done && why == nil:
		i.pass(platform.CheckTestMessage, "The platform took the message.")
	case done:
		i.add(platform.CheckTestMessage, platform.CheckFailed, "The message failed.", why)
	case why != nil:
		i.add(platform.CheckTestMessage, platform.CheckFailed, "The message waits and goes out later, when it can.", why)
	default:
		i.add(platform.CheckTestMessage, platform.CheckWarning,
			fmt.Sprintf("The message was not sent within %d seconds; it waits for its turn.", int(testMessageWithin/time.Second)), nil)
	}
	return nil
}

// awaitSaid waits until a message is done with, or met trouble, or has taken too long.
func (s *Service) awaitSaid(ctx context.Context, message causeway.ID) (done bool, why *causeway.Problem, err error) {
	until := s.clock.Now().Add(testMessageWithin)
	for {
		done, why, err = s.talk.Said(ctx, message)
		if err != nil || done || why != nil || !s.clock.Now().Before(until) {
			return done, why, err
		}
		if !s.wait(ctx, testMessagePoll, nil) {
			return false, nil, ctx.Err()
		}
	}
}

// testMessage is what the customer reads, in the connection's language.
func testMessage(language *string) string {
	if language == nil {
		language = new("")
	}
	switch problem.Match(*language) {
	case "vi":
		return "Đây là tin nhắn thử. Bạn không cần làm gì."
	case "ru":
		return "Это проверочное сообщение. Отвечать на него не нужно."
	case "zh-Hant":
		return "這是一則測試訊息，您不需要做任何事。"
	case "zh-Hans":
		return "这是一条测试消息，您无需任何操作。"
	default:
		return "This is a test message. There is nothing you need to do."
	}
}
