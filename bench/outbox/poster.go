package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

// newPoster sends without a database.
func newPoster(name, telegramAt string, s size) (*part, error) {
	w, err := ask(telegramAt)
	if err != nil {
		return nil, err
	}
	transport := connections(s.Workers)
	hc := &http.Client{Transport: transport}
	send := func(ctx context.Context, c chat, text string) error {
		return post(ctx, hc, w.URL, w.Bots[c.bot].Token, c.id, text)
	}
	if name == "client" {
		var bots []*telegram.Client
		for _, b := range w.Bots {
			bots = append(bots, telegram.New(w.URL, b.Token, hc))
		}
		send = func(ctx context.Context, c chat, text string) error {
			_, err := bots[c.bot].Send(ctx, platform.Outgoing{Chat: strconv.FormatInt(c.id, 10), Text: text})
			return err
		}
	}
	chats := w.chats()
	return &part{
		steps: map[string]func(context.Context) error{"send": func(ctx context.Context) error {
			return inTurn(len(chats), s, func(conversation, number int) error { return send(ctx, chats[conversation], text(number)) })
		}},
		close: func() error {
			transport.CloseIdleConnections()
			return nil
		},
	}, nil
}

// connections keeps open as many connections as there are workers.
func connections(workers int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = workers, workers
	return t
}

// inTurn does everything for each message of each conversation: of one conversation in
// order, of as many conversations at the same time as there are workers. It returns
// the first error.
func inTurn(conversations int, s size, do func(conversation, number int) error) error {
	var (
		next   atomic.Int64
		wait   sync.WaitGroup
		mu     sync.Mutex
		failed []error
	)
	for range s.Workers {
		wait.Go(func() {
			for {
				conversation := int(next.Add(1)) - 1
				if conversation >= conversations {
					return
				}
				for number := range s.Messages {
					if err := do(conversation, number); err != nil {
						mu.Lock()
						failed = append(failed, err)
						mu.Unlock()
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if len(failed) > 0 {
		return fmt.Errorf("%d workers gave up: %w", len(failed), failed[0])
	}
	return nil
}

// post is the least that sends a message.
func post(ctx context.Context, hc *http.Client, url, token string, chat int64, text string) error {
	body, err := json.Marshal(map[string]any{"chat_id": chat, "text": text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/bot"+token+"/sendMessage", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := hc.Do(req)
	if err != nil {
		return errors.New("sendMessage got no answer") // the error would tell the address, and that the token
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		OK     bool
		Result struct {
			MessageID int64 `json:"message_id"`
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if !answer.OK || answer.Result.MessageID == 0 {
		return fmt.Errorf("sendMessage answered %s", res.Status)
	}
	return nil
}
