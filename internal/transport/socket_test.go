package transport_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

func TestASocketSignsInWithItsFirstMessage(t *testing.T) {
	in(t, func(h *house) {
		for _, payload := range []string{`{"authorization":"Bearer good"}`, `{"Authorization":"bearer good","acceptLanguage":"vi"}`} {
			s := h.connect()
			s.says(`{"type":"connection_init","payload":` + payload + `}`)
			s.hears(`{"type":"connection_ack"}`)
			s.says(`{"id":"1","type":"subscribe","payload":{"query":"{ secret }"}}`)
			language := ""
			if strings.Contains(payload, "vi") {
				language = "vi"
			}
			s.hears(`{"payload":{"data":{"language":"` + language + `","said":"yes"}},"id":"1","type":"next"}`)
			s.hears(`{"id":"1","type":"complete"}`)
			_ = s.Close()
		}
	})
}

func TestASocketWithoutAGoodTokenIsForbidden(t *testing.T) {
	in(t, func(h *house) {
		for _, first := range []string{
			`{"type":"connection_init"}`,
			`{"type":"connection_init","payload":{}}`,
			`{"type":"connection_init","payload":null}`,
			`{"type":"connection_init","payload":{"authorization":"Bearer bad"}}`,
			`{"type":"connection_init","payload":{"authorization":"good"}}`,
			`{"type":"connection_init","payload":{"authorization":7}}`,
		} {
			s := h.connect()
			s.says(first)
			s.ends(4403)
		}
	})
}

func TestASocketThatBeginsOtherwiseIsClosed(t *testing.T) {
	in(t, func(h *house) {
		for _, first := range []string{`nonsense`, `7`, `{"type":"subscribe","id":"1","payload":{"query":"{ open }"}}`, `{"type":"unheard of"}`} {
			s := h.connect()
			s.says(first)
			s.ends(websocket.CloseProtocolError)
		}
		s := h.connect()
		s.says(`{"type":"connection_init","payload":"Bearer good"}`)
		s.ends(websocket.CloseAbnormalClosure) // cut off without a word
	})
}

func TestASocketThatSaysNothingIsClosedAfterTenSeconds(t *testing.T) {
	in(t, func(h *house) {
		s, began := h.connect(), time.Now()
		s.ends(websocket.CloseProtocolError)
		if took := time.Since(began); took != 10*time.Second {
			h.Errorf("after %v", took)
		}
	})
}

func TestASocketThatAnswersNoPingIsClosed(t *testing.T) {
	in(t, func(h *house) {
		s, began := h.signIn(), time.Now()
		s.ends(websocket.CloseAbnormalClosure)
		if took := time.Since(began); took < 50*time.Second || took > 75*time.Second {
			h.Errorf("after %v", took)
		}
	})
}

func TestWhenTheTokenEndsSubscriptionsSaySoBeforeTheSocketCloses(t *testing.T) {
	in(t, func(h *house) {
		s := h.signIn()
		s.subscribe()
		h.ticks <- "one"
		s.hears(`{"payload":{"data":{"ticks":"one"}},"id":"1","type":"next"}`)
		began := time.Now()
		close(h.ended)
		close(h.refused)
		s.hears(`{"payload":[{"message":"not any more"}],"id":"1","type":"error"}`)
		s.ends(4403)
		if took := time.Since(began); took > time.Second {
			h.Errorf("it was open for %v", took)
		}
	})
}

func TestASubscriptionEndsWhenItsClientGoes(t *testing.T) {
	in(t, func(h *house) {
		s := h.signIn()
		s.subscribe()
		h.ticks <- "one"
		s.hears(`{"payload":{"data":{"ticks":"one"}},"id":"1","type":"next"}`)
		s.says(`{"id":"1","type":"complete"}`)
		s.hears(`{"id":"1","type":"complete"}`)
		<-h.gone
		s.subscribe()
		synctest.Wait()
		_ = s.Close()
		<-h.gone
	})
}

func TestCloseTellsSocketsThatTheServerGoesAway(t *testing.T) {
	in(t, func(h *house) {
		silent, busy := h.connect(), h.signIn()
		busy.subscribe()
		synctest.Wait()
		var closed error
		done := make(chan struct{})
		go func() { closed = h.handler.Close(); close(done) }()
		silent.ends(websocket.CloseGoingAway)
		busy.ends(websocket.CloseGoingAway)
		<-done
		h.no(closed)
		<-h.gone
		late := h.connect()
		late.ends(websocket.CloseGoingAway)
	})
}

func TestCloseDoesNotWaitForAReaderThatStalls(t *testing.T) {
	in(t, func(h *house) {
		stalled, other := h.signIn(), h.signIn()
		synctest.Wait()
		began := time.Now()
		done := make(chan struct{})
		go func() { _ = h.handler.Close(); close(done) }()
		other.ends(websocket.CloseGoingAway)
		if took := time.Since(began); took != 0 {
			h.Errorf("the others waited %v", took)
		}
		<-done
		if took := time.Since(began); took > 2*time.Second {
			h.Errorf("it took %v", took)
		}
		_ = stalled.Close()
	})
}

func TestAReaderThatStallsIsCutOffAndDelaysNobody(t *testing.T) {
	in(t, func(h *house) {
		stalled := h.signIn()
		stalled.subscribe()
		synctest.Wait()
		began := time.Now()
		h.ticks <- "never read"

		other := h.signIn()
		other.subscribe()
		h.ticks <- "read"
		other.hears(`{"payload":{"data":{"ticks":"read"}},"id":"1","type":"next"}`)
		if took := time.Since(began); took != 0 {
			h.Errorf("the other waited %v", took)
		}
		<-h.gone
		if took := time.Since(began); took != 10*time.Second {
			h.Errorf("cut off after %v", took)
		}
		_, _ = stalled.Close(), other.Close()
	})
}

func TestOfBothProtocolsTheNewOneIsTaken(t *testing.T) {
	in(t, func(h *house) {
		for _, c := range []struct {
			offered []string
			taken   string
		}{
			{[]string{"graphql-ws", "graphql-transport-ws"}, "graphql-transport-ws"},
			{[]string{"graphql-transport-ws", "graphql-ws"}, "graphql-transport-ws"},
			{[]string{"graphql-ws"}, "graphql-ws"},
			{nil, ""},
		} {
			s, _, err := h.dial("", c.offered...)
			h.no(err)
			if s.Subprotocol() != c.taken {
				h.Errorf("of %v %q is taken", c.offered, s.Subprotocol())
			}
			_ = s.Close()
		}
	})
}

func TestTheOldProtocolIsSpoken(t *testing.T) {
	in(t, func(h *house) {
		s, _, err := h.dial("", "graphql-ws")
		h.no(err)
		s.says(`{"type":"connection_init","payload":{"Authorization":"Bearer good"}}`)
		s.hears(`{"type":"connection_ack"}`)
		s.hears(`{"type":"ka"}`)
		s.says(`{"id":"1","type":"start","payload":{"query":"subscription { ticks }"}}`)
		h.ticks <- "one"
		s.hears(`{"payload":{"data":{"ticks":"one"}},"id":"1","type":"data"}`)
		s.says(`{"id":"1","type":"stop"}`)
		s.hears(`{"id":"1","type":"complete"}`)
		<-h.gone
		_ = s.Close()
	})
}

func TestAMessageThatIsTooLargeClosesTheSocket(t *testing.T) {
	in(t, func(h *house) {
		s := h.signIn()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping","payload":{"x":"`+strings.Repeat("x", 2<<20)+`"}}`))
		}()
		s.ends(websocket.CloseMessageTooBig)
		<-done
	})
}
