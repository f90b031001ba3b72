package connection_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"causeway/internal/connection"
	"causeway/internal/media"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestABotsPictureIsKeptAndTriedAgainByTheNextCheck(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		files, err := media.OpenDisk(t.TempDir())
		must(t, err)
		w := newWorld(t, s, func(cfg *connection.Config) { cfg.Media = files }).start()
		bot := w.tg.AddBot("shop_bot", "Shop", simulator.WithAvatar())
		w.tg.FailNext(simulator.FileRoute, simulator.Failure{Status: http.StatusBadGateway, HTML: true})
		id := w.connects(bot).Connection
		w.eventually(func() string {
			if len(w.tg.Calls(simulator.FileRoute)) == 0 {
				return "the picture was not asked for"
			}
			return ""
		})
		if _, err := w.service.Picture(t.Context(), id); !errors.Is(err, media.ErrNotFound) {
			t.Errorf("a picture that did not come is served: %v", err)
		}
		events := w.events(id)
		w.clock.turn(time.Hour)
		w.eventually(func() string {
			if w.row(id).AvatarHash == nil {
				return "the picture was not kept"
			}
			return ""
		})
		picture, err := w.service.Picture(t.Context(), id)
		if err != nil || picture.MimeType != "image/png" || picture.Hash != *w.row(id).AvatarHash {
			t.Errorf("the picture is %+v, %v", picture, err)
		}
		if _, err := files.Open(t.Context(), picture.Hash); err != nil {
			t.Error(err)
		}
		if told := w.events(id) - events; told != 1 {
			t.Errorf("watchers were told %d times", told)
		}
		calls := len(w.tg.Calls(simulator.FileRoute))
		since := *w.row(id).LastSyncedAt
		w.clock.turn(time.Hour)
		w.eventually(func() string {
			if !w.row(id).LastSyncedAt.After(since) {
				return "it was not checked again"
			}
			return ""
		})
		must(t, w.service.Close())
		if again := len(w.tg.Calls(simulator.FileRoute)); again != calls {
			t.Errorf("the same picture was fetched %d times more", again-calls)
		}
		if strings.Contains(w.log.String(), bot.Token()) {
			t.Error("the log holds the token")
		}
	})
}

func TestAConnectionWithoutAPictureHasNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	if _, err := w.service.Picture(t.Context(), id); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("its picture: %v", err)
	}
	if _, err := w.service.Picture(t.Context(), "conn_none"); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("the picture of none: %v", err)
	}
}
