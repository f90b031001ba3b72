package simulator

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Demo fills the page's inbox like a small shop's: customers in five languages write in
// turns, send pictures, correct themselves, read what the page sends to them and answer
// it. It runs until ctx ends or the look-alike is closed.
func (m *Messenger) Demo(ctx context.Context, page *Page, opts DemoOptions) {
	if opts.Every == 0 {
		opts.Every = 4 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()

	d := newPageDemo(m, page, opts)
	next := m.clock.Now().Add(opts.Every / 4) // the first one soon
	for {
		if !d.waitFor(ctx, next) {
			return
		}
		now := m.clock.Now()
		d.answerDue(now)
		if !now.Before(next) {
			d.move()
			next = now.Add(d.around(opts.Every))
		}
	}
}

// pageDemo is a running Demo; one goroutine owns it.
type pageDemo struct {
	m      *Messenger
	page   *Page
	every  time.Duration
	random *rand.Rand

	cast    []*visitor
	resting []*visitor // have a story to tell in this round
	onStage []*visitor
	replies []visitorReply
}

// visitor is a customer with a story.
type visitor struct {
	*PageCustomer
	story    story
	step     int
	order    string
	mine     PageMessage // the last text
	heard    time.Time   // of the page's messages
	answered int
}

// visitorReply is a customer's answer to the page that is being typed.
type visitorReply struct {
	by  *visitor
	to  PageMessage
	due time.Time
}

func newPageDemo(m *Messenger, page *Page, opts DemoOptions) *pageDemo {
	d := &pageDemo{
		m: m, page: page, every: opts.Every,
		random: rand.New(rand.NewPCG(opts.Seed, 0x70616765)), //nolint:gosec // a script must repeat
	}
	locales := map[string]string{"en": "en_US", "vi": "vi_VN", "ru": "ru_RU", "zh-hant": "zh_TW", "zh-hans": "zh_CN"}
	for _, s := range shopStories() {
		v := &visitor{PageCustomer: page.Customer(s.name, WithLocale(locales[s.language])), story: s}
		m.mu.Lock()
		v.heard = v.thread.lastOut()
		m.mu.Unlock()
		d.cast = append(d.cast, v)
	}
	return d
}

// waitFor returns true at the time, or when an answer to the page is due before.
func (d *pageDemo) waitFor(ctx context.Context, next time.Time) bool {
	for {
		d.m.mu.Lock()
		d.listen()
		rung := d.m.changed.rung
		d.m.mu.Unlock()
		due := next
		for _, r := range d.replies {
			if r.due.Before(due) {
				due = r.due
			}
		}
		timer := d.m.clock.NewTimer(due.Sub(d.m.clock.Now()))
		select {
		case <-timer.C():
			return true
		case <-rung:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// listen finds what the page has sent to customers since.
func (d *pageDemo) listen() {
	for _, v := range d.cast {
		since := v.heard
		for i := len(v.thread.letters) - 1; i >= 0 && v.thread.letters[i].at.After(since); i-- {
			l := v.thread.letters[i]
			if !l.fromPage {
				continue
			}
			if l.at.After(v.heard) {
				v.heard = l.at
			}
			d.replies = append(d.replies, visitorReply{
				by: v, to: PageMessage{ID: l.mid, Customer: v.PageCustomer, At: l.at}, due: d.m.clock.Now().Add(d.around(d.every / 2)),
			})
		}
	}
}

// answerDue lets customers read and answer the page, every third time with a mere
// reaction too.
func (d *pageDemo) answerDue(now time.Time) {
	var later []visitorReply
	for _, r := range d.replies {
		if r.due.After(now) {
			later = append(later, r)
			continue
		}
		r.by.Reads()
		if r.by.answered%3 == 0 {
			r.by.Reacts(r.to, "like", "👍")
		}
		var quoting []PageMessageOption
		if r.by.answered%2 == 1 {
			quoting = append(quoting, Answering(r.to))
		}
		lines := r.by.story.answers
		r.by.mine = r.by.Writes(lines[r.by.answered%len(lines)], quoting...)
		r.by.answered++
	}
	d.replies = later
}

// move lets one customer do the next thing.
func (d *pageDemo) move() {
	for len(d.onStage) < atOnce && (len(d.resting) > 0 || len(d.onStage) == 0) {
		if len(d.resting) == 0 {
			d.resting = append(d.resting, d.cast...)
			d.random.Shuffle(len(d.resting), func(i, j int) { d.resting[i], d.resting[j] = d.resting[j], d.resting[i] })
		}
		next := d.resting[0]
		d.resting = d.resting[1:]
		next.order = strconv.Itoa(10_000 + d.random.IntN(90_000))
		if next.step == 0 {
			next.step = -1 // Get Started comes first
		} else {
			next.step = 0
		}
		d.onStage = append(d.onStage, next)
	}
	i := d.random.IntN(len(d.onStage))
	v := d.onStage[i]
	if v.step < 0 {
		v.arrive()
	} else {
		d.play(v, v.story.steps[v.step])
	}
	v.step++
	if v.step == len(v.story.steps) {
		d.onStage = append(d.onStage[:i], d.onStage[i+1:]...)
	}
}

// arrive begins a conversation, by the link that the story knows.
func (v *visitor) arrive() {
	if v.story.link == "" {
		v.GetsStarted(nil)
		return
	}
	v.GetsStarted(object{"ref": v.story.link, "source": "SHORTLINK", "type": "OPEN_THREAD"})
}

func (d *pageDemo) play(v *visitor, s step) {
	text := strings.NewReplacer("{order}", v.order, "@{bot} ", "", "{bot}", d.page.name).Replace(s.text)
	switch s.does {
	case quotes:
		v.mine = v.Writes(text, Answering(v.mine))
	case corrects:
		v.Edits(v.mine, text)
	case shows:
		v.SendsPicture()
		v.mine = v.Writes(text)
	case showsMany:
		v.SendsPictures(3)
		v.mine = v.Writes(text)
	case speaks:
		v.SendsVoice(2 + d.random.IntN(9))
	case attaches:
		v.SendsDocument(text)
	case sticks:
		v.SendsSticker(LikeSticker, StickerAsSticker)
	case points:
		v.SendsLocation(16+d.random.Float64(), 108+d.random.Float64())
	case likes:
		v.like()
	default: // says, and what only Telegram has
		if text != "" {
			v.mine = v.Writes(text)
		}
	}
}

// like reacts to the page's last answer; a customer who got none waits.
func (v *visitor) like() {
	if got := v.Received(); len(got) > 0 {
		v.Reacts(got[len(got)-1].Ref(), "love", "❤")
	}
}

// around is something between half of d and one and a half.
func (d *pageDemo) around(span time.Duration) time.Duration {
	return span/2 + time.Duration(d.random.Int64N(int64(span)+1))
}
