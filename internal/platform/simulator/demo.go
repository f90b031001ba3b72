package simulator

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DemoOptions shape the customers of Demo.
type DemoOptions struct {
	// Every is about how long it is from one customer's move to the next; zero means
	// four seconds.
	Every time.Duration
	// Seed decides who does what when: the same seed tells the same stories.
	Seed uint64
}

// Customers who are at it at the same time. More would each be silent for too long.
const atOnce = 4

// Demo fills the bot's inbox like a small shop's: customers in five languages write in
// turns, send pictures, correct themselves, ask in a group, and answer what the bot
// sends to them, each once at a time. It runs until ctx ends or the look-alike is closed.
func (tg *Telegram) Demo(ctx context.Context, bot *Bot, opts DemoOptions) {
	if opts.Every == 0 {
		opts.Every = 4 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(tg.ctx, cancel)()

	d := newDemo(tg, bot, opts)
	next := tg.clock.Now().Add(opts.Every / 4) // the first one soon
	for {
		if !d.waitFor(ctx, next) {
			return
		}
		now := tg.clock.Now()
		d.answerDue(now)
		if !now.Before(next) {
			d.move()
			next = now.Add(d.around(opts.Every))
		}
	}
}

// demo is a running Demo; one goroutine owns it.
type demo struct {
	tg     *Telegram
	bot    *Bot
	every  time.Duration
	random *rand.Rand
	group  *Group // nil when the bot stays out of groups

	cast    []*actor
	resting []*actor // have a story to tell in this round
	onStage []*actor
	seen    int // of what the bot sent
	replies []reply
}

// actor is a customer with a story.
type actor struct {
	*Customer
	story    story
	step     int
	order    string
	mine     MessageRef // the last text
	answered int
}

// reply is a customer's answer to the bot that is being typed.
type reply struct {
	by  *actor
	to  Sent
	due time.Time
}

func newDemo(tg *Telegram, bot *Bot, opts DemoOptions) *demo {
	d := &demo{
		tg: tg, bot: bot, every: opts.Every,
		random: rand.New(rand.NewPCG(opts.Seed, 0x64656d6f)), //nolint:gosec // a script must repeat
	}
	for _, s := range shopStories() {
		looks := []CustomerOption{WithUsername(s.username)}
		if len(d.cast)%3 != 2 { // some people show no picture
			looks = append(looks, WithPicture())
		}
		d.cast = append(d.cast, &actor{Customer: tg.Customer(s.name, s.language, looks...), story: s})
	}
	tg.mu.Lock()
	d.seen = len(bot.sent)
	tg.mu.Unlock()
	if bot.joinsGroups {
		d.group = tg.Group("Wholesale customers", false)
		d.group.Adds(bot)
		d.group.Promotes(bot)
	}
	return d
}

// waitFor returns true at the time, or when an answer to the bot is due before.
func (d *demo) waitFor(ctx context.Context, next time.Time) bool {
	for {
		d.tg.mu.Lock()
		d.listen()
		rung := d.tg.changed.rung
		d.tg.mu.Unlock()
		due := next
		for _, r := range d.replies {
			if r.due.Before(due) {
				due = r.due
			}
		}
		timer := d.tg.clock.NewTimer(due.Sub(d.tg.clock.Now()))
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

// listen finds what the bot has sent to customers since. A customer who is typing an
// answer already gives one to all of it, so that nobody is flooded by a bot that answers
// every answer, or sends an album.
func (d *demo) listen() {
	for _, sent := range d.bot.sent[d.seen:] {
		i := slices.IndexFunc(d.replies, func(r reply) bool { return r.by.id == sent.Chat })
		if i >= 0 {
			d.replies[i].to = sent
			continue
		}
		for _, a := range d.cast {
			if a.id == sent.Chat {
				d.replies = append(d.replies, reply{by: a, to: sent, due: d.tg.clock.Now().Add(d.around(d.every / 2))})
			}
		}
	}
	d.seen = len(d.bot.sent)
}

// answerDue lets customers answer the bot, every third time with a mere reaction too.
func (d *demo) answerDue(now time.Time) {
	var later []reply
	for _, r := range d.replies {
		if r.due.After(now) {
			later = append(later, r)
			continue
		}
		d.answer(r.by, r.to)
	}
	d.replies = later
}

// answer is what a customer says to a message of the bot: thanks for a picture, an
// answer to a question, and else the next of the story's own, now and then by voice.
func (d *demo) answer(a *actor, to Sent) {
	talk, turn := smallTalkIn(a.language), a.answered
	a.answered++
	var quoting []MessageOption
	if turn%2 == 1 {
		quoting = append(quoting, InReplyTo(to.Ref()))
	}
	line := a.story.answers[turn%len(a.story.answers)]
	switch to.Kind {
	case Photo, Video, Animation:
		a.Reacts(to.Ref(), "❤")
		line = talk.seen
	case Voice, Audio:
		line = talk.heard
	case Document:
		line = talk.read
	default:
		if turn%3 == 0 {
			a.Reacts(to.Ref(), "👍")
		}
		switch {
		case talk.wantsPicture(to.Text):
			a.SendsPhoto(d.bot, talk.shows, quoting...)
			return
		case isQuestion(to.Text):
			line = talk.yes[turn%len(talk.yes)]
		case turn%4 == 3:
			a.SendsVoice(d.bot, 2+d.random.IntN(9), quoting...)
			return
		}
	}
	a.mine = a.Writes(d.bot, line, quoting...)
}

// move lets one customer do the next thing.
func (d *demo) move() {
	for len(d.onStage) < atOnce && (len(d.resting) > 0 || len(d.onStage) == 0) {
		if len(d.resting) == 0 {
			d.resting = append(d.resting, d.cast...)
			d.random.Shuffle(len(d.resting), func(i, j int) { d.resting[i], d.resting[j] = d.resting[j], d.resting[i] })
		}
		next := d.resting[0]
		d.resting = d.resting[1:]
		next.order = strconv.Itoa(10_000 + d.random.IntN(90_000))
		if next.step == 0 {
			next.step = -1 // Start comes first
		} else {
			next.step = 0
		}
		d.onStage = append(d.onStage, next)
	}
	i := d.random.IntN(len(d.onStage))
	a := d.onStage[i]
	if a.step < 0 {
		a.Starts(d.bot, a.story.link)
	} else {
		d.play(a, a.story.steps[a.step])
	}
	a.step++
	if a.step == len(a.story.steps) {
		d.onStage = append(d.onStage[:i], d.onStage[i+1:]...)
	}
}

func (d *demo) play(a *actor, s step) {
	text := strings.NewReplacer("{order}", a.order, "{bot}", d.bot.username).Replace(s.text)
	switch s.does {
	case says:
		a.mine = a.Writes(d.bot, text)
	case quotes:
		a.mine = a.Writes(d.bot, text, InReplyTo(a.mine))
	case corrects:
		a.Edits(a.mine, text)
	case shows:
		a.SendsPhoto(d.bot, text)
	case showsMany:
		a.SendsAlbum(d.bot, 3, text)
	case speaks:
		a.SendsVoice(d.bot, 2+d.random.IntN(9))
	case attaches:
		a.SendsDocument(d.bot, text, "")
	case sticks:
		a.SendsSticker(d.bot, text)
	case points:
		a.SendsLocation(d.bot, 16+d.random.Float64(), 108+d.random.Float64())
	case shares:
		a.SendsContact(d.bot, text)
	case likes:
		d.like(a, text)
	case asks:
		d.ask(a, text)
	}
}

// like reacts to the bot's last answer; a customer who got none waits.
func (d *demo) like(a *actor, emoji string) {
	if got := a.Received(d.bot); len(got) > 0 {
		a.Reacts(got[len(got)-1].Ref(), emoji)
	}
}

func (d *demo) ask(a *actor, text string) {
	if d.group == nil {
		a.mine = a.Writes(d.bot, text)
		return
	}
	a.Writes(d.group, text)
}

// around is something between half of d and one and a half.
func (d *demo) around(span time.Duration) time.Duration {
	return span/2 + time.Duration(d.random.Int64N(int64(span)+1))
}
