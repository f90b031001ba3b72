package bus

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestACrowdLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	const crowd = 100_000
	l := NewLocal()
	bells := make([]*Doorbell, 0, 2*crowd)
	for i := range crowd {
		bells = append(bells, l.Subscribe("logs"), l.Subscribe(fmt.Sprint("feed.", i)))
	}
	l.Publish("logs", 1)
	l.Publish("feed.7", 2)
	rand.Shuffle(len(bells), func(i, j int) { bells[i], bells[j] = bells[j], bells[i] })
	rung := 0
	for _, bell := range bells {
		if bell.Take().Rung {
			rung++
		}
		bell.Close()
	}
	if rung != crowd+1 {
		t.Errorf("%d doorbells rang, want %d", rung, crowd+1)
	}
	for i := range l.shards {
		if left := len(l.shards[i].topics); left != 0 {
			t.Errorf("shard %d still has %d topics", i, left)
		}
	}
}

func TestWhatWaitsForNATSIsBounded(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	for i := range outboxTopics + 100 {
		o.ring(fmt.Sprint("feed.", i), 1)
		o.hint("typing", fmt.Append(nil, i))
	}
	o.ring("feed.0", 9) // known topics go on
	rings, hints := o.empty()
	if len(rings) != outboxTopics || rings["feed.0"] != 9 {
		t.Errorf("%d rings wait, feed.0 at %d", len(rings), rings["feed.0"])
	}
	if len(hints) != outboxHints || string(hints[len(hints)-1]) != fmt.Sprint("6 typing", outboxTopics+99) {
		t.Errorf("%d hints wait, the last is %s", len(hints), hints[len(hints)-1])
	}
	if rings, hints := o.empty(); len(rings)+len(hints) != 0 {
		t.Error("what was handed over is still there")
	}
}

func FuzzWhatCameFromNATS(f *testing.F) {
	f.Add("feed.camp_01", int64(42), []byte("typing"))
	f.Add("", int64(0), []byte{})
	f.Add("a b", int64(-1), []byte("5 x"))
	f.Fuzz(func(t *testing.T, topic string, seq int64, payload []byte) {
		gotTopic, gotSeq, ok := decodeRing(encodeRing(topic, seq))
		if !ok || gotTopic != topic || gotSeq != seq {
			t.Errorf("ring %q %d came back as %q %d, %v", topic, seq, gotTopic, gotSeq, ok)
		}
		gotTopic, gotPayload, ok := decodeHint(encodeHint(topic, payload))
		if !ok || gotTopic != topic || string(gotPayload) != string(payload) {
			t.Errorf("hint %q %q came back as %q %q, %v", topic, payload, gotTopic, gotPayload, ok)
		}
		decodeRing(payload) // must not panic, whatever it is
		decodeHint(payload)
	})
}

// BenchmarkPublish rings one topic of a hundred thousand.
func BenchmarkPublish(b *testing.B) {
	l := NewLocal()
	topics := make([]string, 100_000)
	for i := range topics {
		topics[i] = fmt.Sprint("feed.", i)
		defer l.Subscribe(topics[i]).Close()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Publish(topics[i%len(topics)], int64(i))
	}
}
