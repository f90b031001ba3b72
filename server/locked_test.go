package main

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // another program that writes the file
)

// lockDatabase keeps everybody else from writing the SQLite file until unlock.
func (p *program) lockDatabase() (unlock func()) {
	p.t.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite3", filepath.Join(p.settings.Data, "causeway.db")+"?_busy_timeout=20000")
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	return func() {
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			p.t.Error(err)
		}
		if err := conn.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// reply is what came back to one post.
type reply struct {
	status     int
	retryAfter string
	err        error
}

func TestADatabaseThatIsLockedForTwoSecondsLosesNothing(t *testing.T) {
	t.Parallel()
	const chats = 20
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	hook := posterTo(t, bot)
	agent := p.admin().collects(campaign, p.cursor(campaign))

	unlock := p.lockDatabase()
	twoSeconds := time.After(2 * time.Second)
	replies := make(chan reply, chats)
	for chat := 1; chat <= chats; chat++ {
		go func() {
			status, retryAfter, err := hook.posts(t.Context(), textUpdate(chat, 1, numbered(chat, 1)))
			for status == 503 && retryAfter != "" {
				status, retryAfter, err = hook.posts(t.Context(), textUpdate(chat, 1, numbered(chat, 1)))
			}
			replies <- reply{status, retryAfter, err}
		}()
	}
	select {
	case r := <-replies:
		t.Errorf("with a locked database an update was answered %d %v", r.status, r.err)
		replies <- r
	case <-twoSeconds:
	}
	unlock()
	for range chats {
		if r := <-replies; r.err != nil || r.status != 200 {
			t.Errorf("answered %d, Retry-After %q, %v", r.status, r.retryAfter, r.err)
		}
	}
	if err := agent.until(agent.has(chats)); err != nil {
		t.Fatal(err)
	}
	if err := inOrderOnce(agent.texts, chats, 1, 1); err != nil {
		t.Error(err)
	}
	if logs := p.processed(connection, chats); logs["PROCESSED"] != chats {
		t.Errorf("the logs are %v", logs)
	}
}

func TestADatabaseThatStaysLockedIsAnswered503AndTheUpdateComesAgain(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	agent := p.admin().collects(campaign, p.cursor(campaign))
	lan := p.telegram.Customer("Lan", "vi")

	unlock := p.lockDatabase()
	status, retryAfter, err := posterTo(t, bot).posts(t.Context(), textUpdate(1, 1, numbered(1, 1)))
	if err != nil || status != 503 || retryAfter == "" {
		t.Errorf("answered %d, Retry-After %q, %v", status, retryAfter, err)
	}
	lan.Writes(bot, numbered(2, 1)) // as Telegram does: again and again until it is taken
	lan.Writes(bot, numbered(2, 2))
	unlock()
	posterTo(t, bot).mustPost(t, textUpdate(1, 1, numbered(1, 1)), 200)

	if err := agent.until(agent.has(3)); err != nil {
		t.Fatal(err)
	}
	chats := perChat(agent.texts)
	if len(chats[1]) != 1 || len(chats[2]) != 2 || chats[2][0] != 1 {
		t.Errorf("the agent saw %v", agent.texts)
	}
}
