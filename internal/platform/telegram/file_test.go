package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
)

// shop is a bot of the simulated Telegram to which Lan has written.
type shop struct {
	tg     *simulator.Telegram
	bot    *simulator.Bot
	lan    *simulator.Customer
	asked  simulator.MessageRef
	chat   string
	client *Client
}

func newShop(t *testing.T, opts ...simulator.BotOption) *shop {
	t.Helper()
	s := &shop{tg: simulator.StartTelegram(t)}
	s.bot = s.tg.AddBot("shop_bot", "Shop", append(opts, simulator.WithoutPrivacy())...)
	s.lan = s.tg.Customer("Lan Nguyễn", "vi", simulator.WithUsername("lan"), simulator.WithPicture())
	s.asked = s.lan.Writes(s.bot, "Hello?")
	s.chat = strconv.FormatInt(s.lan.ID(), 10)
	s.client = New(s.tg.URL(), s.bot.Token(), nil)
	return s
}

// keeps looks for the bot's token and its addresses in an error.
func (s *shop) keeps(t *testing.T, err error) {
	t.Helper()
	_, half, _ := strings.Cut(s.bot.Token(), ":")
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, said := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			if strings.Contains(said, half) || strings.Contains(said, s.tg.URL()) {
				t.Errorf("%q gives away what is secret", said)
			}
		}
	}
}

// tracked is a file of which is known how often it was opened and closed.
type tracked struct {
	platform.OutgoingFile
	open, opened atomic.Int64
	closed       chan struct{}
}

func newTracked(kind platform.AttachmentKind, name, mimeType string, size int64, from func() io.Reader) *tracked {
	f := &tracked{closed: make(chan struct{}, 8)}
	f.OutgoingFile = platform.OutgoingFile{Kind: kind, Name: name, MimeType: mimeType, Size: size, Open: func() (io.ReadCloser, error) {
		f.open.Add(1)
		f.opened.Add(1)
		return struct {
			io.Reader
			io.Closer
		}{from(), f}, nil
	}}
	return f
}

func (f *tracked) Close() error {
	f.open.Add(-1)
	f.closed <- struct{}{}
	return nil
}

// isClosed waits until whatever was opened is closed.
func (f *tracked) isClosed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for f.open.Load() > 0 {
		select {
		case <-f.closed:
		case <-ctx.Done():
			t.Fatal("the file stays open")
		}
	}
}

func holding(kind platform.AttachmentKind, name, mimeType string, data []byte) *tracked {
	return newTracked(kind, name, mimeType, int64(len(data)), func() io.Reader { return bytes.NewReader(data) })
}

func drawn(t *testing.T, width, height int) []byte {
	t.Helper()
	var data bytes.Buffer
	if err := png.Encode(&data, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func TestAFileGoesOutInTheWayThatFitsIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i, c := range []struct {
		mimeType, method, shown string
		kind                    platform.AttachmentKind
	}{
		{"image/png", "sendPhoto", simulator.Photo, platform.Image},
		{"image/jpeg", "sendPhoto", simulator.Photo, platform.Image},
		{"image/webp", "sendPhoto", simulator.Photo, platform.Image},
		{"video/mp4", "sendVideo", simulator.Video, platform.Video},
		{"audio/mpeg", "sendAudio", simulator.Audio, platform.Audio},
		{"audio/mp4", "sendAudio", simulator.Audio, platform.Audio},
		{"audio/ogg; codecs=opus", "sendVoice", simulator.Voice, platform.Voice},
		{"Application/OGG", "sendVoice", simulator.Voice, platform.Voice},
		{"image/gif", "sendDocument", simulator.Animation, platform.File},
		{"application/pdf", "sendDocument", simulator.Document, platform.File},
		{"video/webm", "sendDocument", simulator.Document, platform.File},
		{"nonsense", "sendDocument", simulator.Document, platform.File},
	} {
		if got := Limits().As(c.mimeType); got != c.kind {
			t.Errorf("%s goes as %s, want %s", c.mimeType, got, c.kind)
		}
		data := fmt.Appendf(nil, "%s number %d", c.mimeType, i)
		if c.kind == platform.Image {
			data = drawn(t, 40+i, 30)
		}
		f := holding(c.kind, "của Lan.bin", c.mimeType, data)
		sent, err := s.client.Send(t.Context(), platform.Outgoing{
			Chat: s.chat, File: &f.OutgoingFile, ReplyTo: s.chat + "/" + strconv.FormatInt(s.asked.ID, 10),
		})
		if err != nil {
			t.Fatalf("%s: %v", c.mimeType, err)
		}
		f.isClosed(t)
		got := s.lan.Received(s.bot)[i]
		if sent.ID != s.chat+"/"+strconv.FormatInt(got.ID, 10) || sent.At.IsZero() {
			t.Errorf("%s was sent as %v", c.mimeType, sent)
		}
		if got.Method != c.method || got.Kind != c.shown || !bytes.Equal(got.Data, data) || got.FileName != "của Lan.bin" || got.ReplyTo != s.asked.ID {
			t.Errorf("%s came as %s, %s, %q, %.40q, answering %d", c.mimeType, got.Method, got.Kind, got.FileName, got.Data, got.ReplyTo)
		}
	}
	for kind, most := range Limits().Files {
		if want := map[bool]int64{true: 10 << 20, false: 50 << 20}[kind == platform.Image]; most != want {
			t.Errorf("%s may have %d bytes", kind, most)
		}
	}
}

func TestAFileGoesIntoItsTopic(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	g := s.tg.Group("Forum", true)
	g.Adds(s.bot)
	topic := g.Topic("Returns")
	chat := strconv.FormatInt(g.ID(), 10) + ":" + strconv.FormatInt(topic.Thread(), 10)
	f := holding(platform.File, "a.pdf", "application/pdf", []byte("paper"))
	if _, err := s.client.Send(t.Context(), platform.Outgoing{Chat: chat, File: &f.OutgoingFile}); err != nil {
		t.Fatal(err)
	}
	if got := s.bot.Sent(g.ID()); len(got) != 1 || got[0].Thread != topic.Thread() || got[0].MIME != "application/pdf" {
		t.Errorf("sent %+v", got)
	}
	if _, err := s.client.Send(t.Context(), platform.Outgoing{Chat: "nobody", File: &f.OutgoingFile}); platform.Refused(err) == nil {
		t.Errorf("a chat that is no number: %v", err)
	}
}

func TestANameOfAFileBreaksNoHeader(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	long := strings.Repeat("dài ", 100)
	for name, want := range map[string]string{
		"a\"b.txt":                    "a'b.txt",
		"a\r\nX-Evil: 1\r\n\r\nb.txt": "aX-Evil: 1b.txt",
		"../../etc/passwd":            ".._.._etc_passwd",
		`C:\secret.txt`:               "C:_secret.txt",
		"\x00\x01":                    "file",
		"a\xffb.txt":                  "a_b.txt",
		"tệp “đẹp” 📎.pdf":             "tệp “đẹp” 📎.pdf",
		long + ".pdf":                 strings.ToValidUTF8(long[:196], "") + ".pdf",
	} {
		f := holding(platform.File, name, "text/plain\r\nX-Evil: 1", []byte("x"))
		if _, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile}); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		got := s.lan.Received(s.bot)
		if last := got[len(got)-1]; last.FileName != want || last.MIME != "application/octet-stream" {
			t.Errorf("%q came as %q, a %s", name, last.FileName, last.MIME)
		}
	}
}

func TestAPictureOfOddShapeGoesAsADocument(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	data := drawn(t, 2100, 100)
	f := holding(platform.Image, "banner.png", "image/png", data)
	sent, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile})
	got := s.lan.Received(s.bot)
	if err != nil || len(got) != 1 || got[0].Method != "sendDocument" || !bytes.Equal(got[0].Data, data) || !strings.HasSuffix(sent.ID, strconv.FormatInt(got[0].ID, 10)) {
		t.Fatalf("%v, %v, received %+v", sent, err, got)
	}
	f.isClosed(t)
	if n := f.opened.Load(); n != 2 {
		t.Errorf("the file was read %d times", n)
	}

	s.tg.FailNext("sendDocument", simulator.Failure{Lost: true})
	_, err = s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile})
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || !r.Sent || r.Method != "sendDocument" {
		t.Errorf("the document got no answer, and it is %v", err)
	}
}

func TestARefusalOfAFileSaysWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	said := func(words string) simulator.Failure {
		return simulator.Failure{Status: 400, Description: "Bad Request: " + words}
	}
	for name, try := range map[string]struct {
		failure simulator.Failure
		kind    platform.RefusalKind
	}{
		"hung up":          {simulator.Failure{Lost: true}, platform.Unreachable},
		"a page with 200":  {simulator.Failure{Status: 200, HTML: true}, platform.Unreachable},
		"a gateway":        {simulator.Failure{Status: 502, HTML: true}, platform.Unavailable},
		"trouble of its":   {simulator.Failure{}, platform.Unavailable},
		"blocked":          {simulator.Failure{Status: 403}, platform.Blocked},
		"too many":         {simulator.Failure{RetryAfter: 7}, platform.RetryAfter},
		"upgraded":         {simulator.Failure{MigrateTo: -1007}, platform.Rejected},
		"token":            {simulator.Failure{Status: 401}, platform.Unauthorized},
		"no rights":        {said("not enough rights to send photos to the chat"), platform.Rejected},
		"no media here":    {said("CHAT_SEND_PHOTOS_FORBIDDEN"), platform.Rejected},
		"no voice for Lan": {said("VOICE_MESSAGES_FORBIDDEN"), platform.Rejected},
		"no picture":       {said("IMAGE_PROCESS_FAILED"), platform.FileRejected},
		"other letters":    {said("Image_process_failed"), platform.FileRejected},
		"empty":            {said("file must be non-empty"), platform.FileRejected},
		"no extension":     {said("PHOTO_EXT_INVALID"), platform.FileRejected},
		"no media":         {said("MEDIA_EMPTY"), platform.FileRejected},
		"big for a photo":  {said("file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes"), platform.TooLarge},
		"big":              {simulator.Failure{Status: 413, Description: "Request Entity Too Large"}, platform.TooLarge},
		"big for nginx":    {simulator.Failure{Status: 413, HTML: true}, platform.TooLarge},
	} {
		f := holding(platform.Image, "a.png", "image/png", drawn(t, 20, 20))
		s.tg.FailNext("sendPhoto", try.failure)
		_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile})
		r := platform.Refused(err)
		if r == nil || r.Kind != try.kind || !r.Sent || r.Method != "sendPhoto" {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		if (r.MovedTo == "-1007") != (name == "upgraded") {
			t.Errorf("%s: moved to %q", name, r.MovedTo)
		}
		s.keeps(t, err)
		f.isClosed(t)
	}
	if n := len(s.tg.Calls("sendDocument")); n != 0 {
		t.Errorf("%d refused pictures were sent as documents", n)
	}
}

func TestAFileThatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for kind, most := range Limits().Files {
		f := newTracked(kind, "big", "", most+1, func() io.Reader { return strings.NewReader("") })
		_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile})
		if r := platform.Refused(err); r == nil || r.Kind != platform.TooLarge || r.Sent || f.opened.Load() > 0 {
			t.Errorf("%s: %+v, %v", kind, r, err)
		}
	}
	if calls := s.tg.Calls(); len(calls) > 0 {
		t.Errorf("calls %v", calls)
	}
}

func TestAFileOfOursThatCannotBeReadIsNotSent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	broken := errors.New("the disk is broken")
	big := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		from    func() io.Reader
		refused bool
	}{
		"breaks off": {func() io.Reader {
			return io.MultiReader(strings.NewReader(big[:1<<19]), readerFunc(func([]byte) (int, error) { return 0, broken }))
		}, false},
		"too short": {func() io.Reader { return strings.NewReader(big[1:]) }, true},
		"too long":  {func() io.Reader { return strings.NewReader(big + "y") }, true},
	} {
		f := newTracked(platform.File, "a", "text/plain", 1<<20, c.from)
		_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &f.OutgoingFile})
		r := platform.Refused(err)
		switch {
		case c.refused && (r == nil || r.Kind != platform.FileRejected || r.Sent):
			t.Errorf("%s: %+v, %v", name, r, err)
		case !c.refused && (r != nil || !errors.Is(err, broken)):
			t.Errorf("%s: %v", name, err)
		}
		f.isClosed(t)
	}
	_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: s.chat, File: &platform.OutgoingFile{
		Kind: platform.File, Name: "gone", Size: 3, Open: func() (io.ReadCloser, error) { return nil, broken },
	}})
	if !errors.Is(err, broken) || platform.Refused(err) != nil {
		t.Errorf("a file that cannot be opened: %v", err)
	}
	if got := s.lan.Received(s.bot); len(got) > 0 {
		t.Errorf("received %v", got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAFileIsSentAsItIsRead(t *testing.T) {
	t.Parallel()
	const size, inBetween = 40 << 20, 24 << 20 // what two sockets hold at most, and more
	var received, read atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < size || len(r.TransferEncoding) > 0 {
			t.Errorf("an upload of %d bytes, %v", r.ContentLength, r.TransferEncoding)
		}
		n, _ := io.Copy(io.Discard, readerFunc(func(p []byte) (int, error) {
			n, err := r.Body.Read(p)
			received.Add(int64(n))
			return n, err
		}))
		if n != r.ContentLength {
			t.Errorf("%d of %d bytes arrived", n, r.ContentLength)
		}
		io.WriteString(w, `{"ok":true,"result":{"message_id":5,"date":1790000000,"chat":{"id":42}}}`)
	}))
	t.Cleanup(srv.Close)
	f := newTracked(platform.File, "zeros", "", size, func() io.Reader {
		return io.LimitReader(readerFunc(func(p []byte) (int, error) {
			if ahead := read.Add(int64(len(p))) - received.Load(); ahead > inBetween {
				t.Errorf("%d bytes are held", ahead)
			}
			clear(p)
			return len(p), nil
		}), size)
	})
	sent, err := New(srv.URL, botToken, nil).Send(t.Context(), platform.Outgoing{Chat: "42", File: &f.OutgoingFile})
	if err != nil || sent.ID != "42/5" || f.opened.Load() != 1 {
		t.Errorf("%v, %v, opened %d times", sent, err, f.opened.Load())
	}
}

func TestAnUploadThatBreaksOffWasNotSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reads func(*http.Request)
		sent  bool
	}{
		"at the start":  {func(*http.Request) {}, false},
		"in the middle": {func(r *http.Request) { io.CopyN(io.Discard, r.Body, 1<<20) }, false},
		"at the end":    {func(r *http.Request) { io.Copy(io.Discard, r.Body) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c.reads(r)
				panic(http.ErrAbortHandler)
			}))
			t.Cleanup(srv.Close)
			f := newTracked(platform.Video, "a.mp4", "video/mp4", 40<<20, func() io.Reader { return io.LimitReader(zeros{}, 40<<20) })
			_, err := New(srv.URL, botToken, nil).Send(t.Context(), platform.Outgoing{Chat: "42", File: &f.OutgoingFile})
			if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || r.Sent != c.sent {
				t.Errorf("%+v, %v", r, err)
			}
			keepsSecrets(t, srv.URL, err)
			f.isClosed(t)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAnUploadThatIsGivenUpEndsAtOnce(t *testing.T) {
	t.Parallel()
	arrived, ended := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 1<<10)
		close(arrived)
		<-ended // reading nothing
	}))
	t.Cleanup(srv.Close)
	defer close(ended)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	f := newTracked(platform.File, "a", "", 40<<20, func() io.Reader { return zeros{} })
	_, err := New(srv.URL, botToken, nil).Send(ctx, platform.Outgoing{Chat: "42", File: &f.OutgoingFile})
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || r.Sent || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
	keepsSecrets(t, srv.URL, err)
	f.isClosed(t)
}

func TestALargeFileMayTakeLonger(t *testing.T) {
	t.Parallel()
	var left time.Duration
	c := New("https://api.example", botToken, &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		deadline, _ := r.Context().Deadline()
		left = time.Until(deadline)
		r.Body.Close()
		return nil, errors.New("enough")
	})})
	f := newTracked(platform.File, "a", "", 50<<20, func() io.Reader { return zeros{} })
	c.Send(t.Context(), platform.Outgoing{Chat: "42", File: &f.OutgoingFile})
	if left < 200*time.Second || left > 215*time.Second {
		t.Errorf("50 MB may take %v", left)
	}
}

// attachmentOf is what an update of a customer's message carries.
func (s *shop) attachmentOf(t *testing.T, ref simulator.MessageRef) platform.Attachment {
	t.Helper()
	updates, err := s.client.GetUpdates(t.Context(), ref.Update, 100, 0)
	if err != nil || len(updates) == 0 {
		t.Fatalf("%v, %v", updates, err)
	}
	events, err := Parser{}.Parse("1", updates[0].Raw)
	if err != nil {
		t.Fatal(err)
	}
	return events[0].(platform.MessageAdded).Content.Attachments[0]
}

func TestWhatACustomerSentIsFetched(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.WithAvatar())
	for _, c := range []struct {
		ref  simulator.MessageRef
		kind platform.AttachmentKind
		want string
	}{
		{s.lan.SendsPhoto(s.bot, "this one"), platform.Image, "image/png"},
		{s.lan.SendsVideo(s.bot, "", 3), platform.Video, "video/mp4"},
		{s.lan.SendsAudio(s.bot, "Song", 1), platform.Audio, "audio/mpeg"},
		{s.lan.SendsVoice(s.bot, 2), platform.Voice, "application/ogg"},
		{s.lan.SendsDocument(s.bot, "receipt.pdf", ""), platform.File, "application/pdf"},
		{s.lan.SendsSticker(s.bot, "🥰"), platform.Sticker, "image/webp"},
	} {
		a := s.attachmentOf(t, c.ref)
		got := s.fetch(t, a.Ref)
		if a.Kind != c.kind || int64(len(got)) != a.Size || http.DetectContentType(got) != c.want {
			t.Errorf("%s: %d of %d bytes, %s", a.Kind, len(got), a.Size, http.DetectContentType(got))
		}
	}
	avatar, err := s.client.GetUserProfilePhotos(t.Context(), strconv.FormatInt(s.bot.ID(), 10))
	if err != nil || http.DetectContentType(s.fetch(t, avatar)) != "image/png" {
		t.Errorf("the bot's own picture is %q, %v", avatar, err)
	}
}

func (s *shop) fetch(t *testing.T, ref string) []byte {
	t.Helper()
	d, err := s.client.Fetch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(d.Body)
	if err != nil || d.Size != int64(len(data)) || d.Name == "" || d.MimeType != "" {
		t.Errorf("%d of %d bytes of %q, a %q: %v", len(data), d.Size, d.Name, d.MimeType, err)
	}
	if err := d.Body.Close(); err != nil {
		t.Error(err)
	}
	return data
}

func TestAFetchThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	photo := s.attachmentOf(t, s.lan.SendsPhoto(s.bot, "")).Ref
	long := s.attachmentOf(t, s.lan.SendsFile(s.bot, simulator.Video, simulator.File{Name: "long.mp4", Size: 21 << 20}, "")).Ref
	for name, c := range map[string]struct {
		ref      string
		method   string // that fails
		failure  simulator.Failure
		kind     platform.RefusalKind
		refusing string
	}{
		"too large":    {long, "", simulator.Failure{}, platform.TooLarge, "getFile"},
		"unknown":      {"nonsense", "", simulator.Failure{}, platform.Rejected, "getFile"},
		"none":         {"", "", simulator.Failure{}, platform.Rejected, "getFile"},
		"forgotten":    {photo, simulator.FileRoute, simulator.Failure{Status: 404}, platform.Rejected, "download"},
		"gone":         {photo, simulator.FileRoute, simulator.Failure{Status: 410}, platform.Rejected, "download"},
		"gone, a page": {photo, simulator.FileRoute, simulator.Failure{Status: 404, HTML: true}, platform.Rejected, "download"},
		"trouble":      {photo, simulator.FileRoute, simulator.Failure{}, platform.Unavailable, "download"},
		"a gateway":    {photo, simulator.FileRoute, simulator.Failure{Status: 502, HTML: true}, platform.Unavailable, "download"},
		"a redirect":   {photo, simulator.FileRoute, simulator.Failure{Status: 302, HTML: true}, platform.Unavailable, "download"},
		"too many":     {photo, simulator.FileRoute, simulator.Failure{RetryAfter: 3}, platform.RetryAfter, "download"},
		"revoked":      {photo, simulator.FileRoute, simulator.Failure{Status: 401}, platform.Unauthorized, "download"},
		"asked often":  {photo, "getFile", simulator.Failure{RetryAfter: 3}, platform.RetryAfter, "getFile"},
		"hung up":      {photo, "getFile", simulator.Failure{Lost: true}, platform.Unreachable, "getFile"},
	} {
		if c.method != "" {
			s.tg.FailNext(c.method, c.failure)
		}
		d, err := s.client.Fetch(t.Context(), c.ref)
		if r := platform.Refused(err); r == nil || r.Kind != c.kind || r.Method != c.refusing || d.Body != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		s.keeps(t, err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	s.tg.FailNext(simulator.FileRoute, simulator.Failure{Hang: true})
	_, err := s.client.Fetch(ctx, photo)
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a download that hangs: %v", err)
	}
	s.keeps(t, err)
}

func TestADownloadThatBreaksOffSaysSo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	data := bytes.Repeat([]byte("0123456789"), 1000)
	ref := s.attachmentOf(t, s.lan.SendsFile(s.bot, simulator.Document, simulator.File{Name: "a.txt", Data: data, Fails: &simulator.Failure{Cut: true}}, "")).Ref
	d, err := s.client.Fetch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Body.Close()
	got, err := io.ReadAll(d.Body)
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || r.Method != "download" || len(got) >= len(data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s.keeps(t, err)
}

func TestADownloadStaysInTheBotsFolder(t *testing.T) {
	t.Parallel()
	var told, asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/getFile") {
			fmt.Fprintf(w, `{"ok":true,"result":{"file_id":"x","file_path":%q}}`, told)
			return
		}
		asked = r.RequestURI
		w.Header().Set("Content-Type", "image/jpeg")
		io.WriteString(w, "bytes")
	}))
	t.Cleanup(srv.Close)
	c := New(srv.URL, botToken, nil)
	for path, want := range map[string]string{
		"photos/file_0.jpg":       "photos/file_0.jpg",
		"photos/ü ?#%2e.jpg":      "photos/%C3%BC%20%3F%23%252e.jpg",
		"documents/..file..txt":   "documents/..file..txt",
		"%2e%2e/%2e%2e/x":         "%252e%252e/%252e%252e/x",
		"@evil.example/file":      "@evil.example/file",
		"/var/lib/bot/photos/1":   "",
		`C:\bot\photos\1`:         "",
		"../123:other/photos/1":   "",
		"photos/../../getMe":      "",
		"photos/./1":              "",
		"photos//1":               "",
		"photos/":                 "",
		`photos\..\1`:             "",
		"..":                      "",
		"":                        "",
		strings.Repeat("a/", 600): "",
	} {
		told, asked = path, ""
		d, err := c.Fetch(t.Context(), "x")
		if want == "" {
			if r := platform.Refused(err); r == nil || r.Kind != platform.Rejected || asked != "" {
				t.Errorf("%q: %v, asked %q", path, err, asked)
			}
			if strings.HasPrefix(path, "/") && !strings.Contains(err.Error(), "--local") {
				t.Errorf("%q: %v", path, err)
			}
			continue
		}
		if err != nil || asked != "/file/bot"+botToken+"/"+want || d.MimeType != "image/jpeg" {
			t.Errorf("%q: %v, asked %q, a %q", path, err, asked, d.MimeType)
			continue
		}
		d.Body.Close()
	}
}

func TestTheCustomerSeesSomebodyTyping(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if err := s.client.ShowTyping(t.Context(), s.chat, true); err != nil {
		t.Fatal(err)
	}
	if err := s.client.ShowTyping(t.Context(), s.chat, false); err != nil {
		t.Fatal(err)
	}
	if got := s.bot.Actions(s.lan.ID()); len(got) != 1 || got[0].Action != "typing" {
		t.Errorf("Lan saw %v", got)
	}
	g := s.tg.Group("Forum", true)
	g.Adds(s.bot)
	topic := g.Topic("Returns")
	base := strconv.FormatInt(g.ID(), 10)
	for chat, thread := range map[string]int64{base: 0, base + ":1": 0, base + ":" + strconv.FormatInt(topic.Thread(), 10): topic.Thread()} {
		if err := s.client.ShowTyping(t.Context(), chat, true); err != nil {
			t.Errorf("%s: %v", chat, err)
		}
		if got := s.bot.Actions(g.ID()); got[len(got)-1].Thread != thread {
			t.Errorf("%s: %v", chat, got)
		}
	}
	s.lan.Blocks(s.bot)
	if r := platform.Refused(s.client.ShowTyping(t.Context(), s.chat, true)); r == nil || r.Kind != platform.Blocked {
		t.Errorf("a customer who blocked the bot: %v", r)
	}
	if r := platform.Refused(s.client.ShowTyping(t.Context(), "nobody", true)); r == nil || r.Kind != platform.Rejected {
		t.Errorf("a chat that is no number: %v", r)
	}
}

func TestAContactIsDescribed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got, err := s.client.Describe(t.Context(), s.chat)
	if err != nil || got.Name != "Lan Nguyễn" || got.Username != "lan" || got.Language != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if data := s.fetch(t, got.AvatarRef); http.DetectContentType(data) != "image/png" {
		t.Errorf("the picture is %.20q", data)
	}
	plain := s.tg.Customer("Minh", "vi")
	plain.Starts(s.bot, "")
	if got, err := s.client.Describe(t.Context(), strconv.FormatInt(plain.ID(), 10)); err != nil || got != (platform.ContactProfile{Name: "Minh"}) {
		t.Errorf("%+v, %v", got, err)
	}
	g := s.tg.Group("Traders", false)
	g.Adds(s.bot)
	g.ChangesPicture()
	group, err := s.client.Describe(t.Context(), strconv.FormatInt(g.ID(), 10))
	if err != nil || group.Name != "Traders" || len(s.fetch(t, group.AvatarRef)) == 0 {
		t.Errorf("%+v, %v", group, err)
	}
	for _, contact := range []string{"nobody", "", "-100:4", "999"} {
		if _, err := s.client.Describe(t.Context(), contact); platform.Refused(err) == nil || platform.Refused(err).Kind != platform.Rejected {
			t.Errorf("%q: %v", contact, err)
		}
	}

	nameless, _ := botAPI(t, 200, `{"ok":true,"result":{"id":42,"type":"private","first_name":""}}`)
	if got, err := nameless.Describe(t.Context(), "42"); err != nil || got != (platform.ContactProfile{}) {
		t.Errorf("an account that was deleted is %+v, %v", got, err)
	}
}

func TestEveryUploadIsOneThatMultipartReads(t *testing.T) {
	t.Parallel()
	f := holding(platform.File, "a.txt", "text/plain", []byte("--boundary\r\n\r\nwords"))
	u, err := pack(address{ChatID: 42, Thread: 7, Reply: &reply{MessageID: 3, Anyway: true}}, "document", &f.OutgoingFile)
	if err != nil {
		t.Fatal(err)
	}
	body, err := u.open()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(body)
	if err != nil || int64(len(whole)) != u.parcel().size || !u.arrived() {
		t.Fatalf("%d of %d bytes, %v", len(whole), u.parcel().size, err)
	}
	_, boundary, _ := strings.Cut(u.mimeType, "boundary=")
	form, err := multipart.NewReader(bytes.NewReader(whole), boundary).ReadForm(1 << 20)
	if err != nil || form.Value["chat_id"][0] != "42" || form.Value["message_thread_id"][0] != "7" ||
		form.Value["reply_parameters"][0] != `{"message_id":3,"allow_sending_without_reply":true}` || form.File["document"][0].Size != f.Size {
		t.Errorf("%+v, %v", form, err)
	}
}
