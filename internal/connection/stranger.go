package connection

import (
	"context"
	"errors"
	"sync"
	"time"

	"causeway"
)

const (
	// strangerEvery is the time between two tries to end what a page that is not
	// connected here delivers.
	strangerEvery = time.Hour
	// maxStrangers bounds what is remembered of such pages. Beyond it their updates are
	// dropped like all others of theirs, and nothing is tried.
	maxStrangers = 1000
)

// Stranger is told that an update came in of a page that is not connected through this
// server's own app. It does not block: at most once an hour per page, Facebook is asked
// afterwards to end what it delivers of it, with the app's own token, and the log says
// what came of it and how many deliveries there were since it said so last.
func (s *Service) Stranger(page string) {
	if !s.strangers.met(page, s.clock.Now()) {
		return
	}
	if !s.background(s.dismissStrangers) {
		s.strangers.rest()
	}
}

// background runs work until Close waits for it; false, and nothing runs, after Close.
func (s *Service) background(work func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(work)
	return true
}

// dismissStrangers works through the pages that are to be tried, one after the other.
func (s *Service) dismissStrangers() {
	for {
		page, deliveries, ok := s.strangers.next()
		if !ok || s.ctx.Err() != nil {
			return
		}
		err := s.dismiss(page)
		switch {
		case errors.Is(err, errWelcome), s.ctx.Err() != nil:
		case err != nil:
			s.log.Warn("a page that is not connected delivers, and was not unsubscribed", "page", page, "deliveries", deliveries, "error", err)
		default:
			s.log.Info("a page that is not connected delivered, and was unsubscribed", "page", page, "deliveries", deliveries)
		}
	}
}

// errWelcome is a stranger that was connected meanwhile.
var errWelcome = errors.New("the page is connected")

// dismiss ends what the app gets of a page, unless somebody connects it: the page's
// turn is taken, so that it is not connected while it is unsubscribed.
func (s *Service) dismiss(page string) error {
	ctx, cancel := context.WithTimeout(s.ctx, farewell)
	defer cancel()
	done, err := s.turns.take(ctx, page)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.Page(ctx, page)
	if err == nil {
		return errWelcome
	}
	if !errors.Is(err, causeway.Fail(causeway.NotFound)) {
		return err
	}
	return s.app().UnsubscribePage(ctx, page)
}

// strangers are pages that delivered and are not connected.
type strangers struct {
	mu      sync.Mutex
	known   map[string]*stranger
	due     []string // are to be tried, the longest waiting first
	working bool     // somebody works through due
}

type stranger struct {
	deliveries int // since the log told of them
	due        bool
	nextTry    time.Time
}

func newStrangers() strangers { return strangers{known: map[string]*stranger{}} }

// met counts a delivery and tells whether the caller is to see to it that somebody
// works through what is due.
func (s *strangers) met(page string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := s.known[page]
	if who == nil {
		if len(s.known) >= maxStrangers {
			s.forget(now)
		}
		if len(s.known) >= maxStrangers {
			return false
		}
		who = &stranger{}
		s.known[page] = who
	}
	who.deliveries++
	if who.due || now.Before(who.nextTry) {
		return false
	}
	who.due, who.nextTry = true, now.Add(strangerEvery)
	s.due = append(s.due, page)
	start := !s.working
	s.working = true
	return start
}

// forget makes room: of pages whose hour is over nothing needs to be known.
func (s *strangers) forget(now time.Time) {
	for page, who := range s.known {
		if !who.due && !now.Before(who.nextTry) {
			delete(s.known, page)
		}
	}
}

// next is the page to be tried now and what it delivered; not ok when there is none,
// and then nobody works any more.
func (s *strangers) next() (page string, deliveries int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		s.working = false
		return "", 0, false
	}
	page, s.due = s.due[0], s.due[1:]
	who := s.known[page]
	deliveries, who.deliveries, who.due = who.deliveries, 0, false
	return page, deliveries, true
}

// rest says that nobody works any more.
func (s *strangers) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working = false
}
