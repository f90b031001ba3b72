package simulator_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

func TestSendMessageIsRefusedAsTelegramRefusesIt(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan, stranger, gone := tg.Customer("Lan", "vi"), tg.Customer("Nobody", ""), tg.Customer("Gone", "")
	lan.Starts(b, "")
	gone.Starts(b, "")
	gone.Deactivates()
	member := tg.Customer("Member", "")
	g := tg.Group("Traders", false)
	g.Adds(b)
	member.Writes(g, "hello")
	for name, c := range map[string]struct {
		params o
		status int
		want   string
	}{
		"no chat":         {o{"text": "x"}, 400, "chat_id is empty"},
		"stranger":        {o{"chat_id": stranger.ID(), "text": "x"}, 400, "chat not found"},
		"other group":     {o{"chat_id": -5, "text": "x"}, 400, "chat not found"},
		"met in a group":  {o{"chat_id": member.ID(), "text": "x"}, 403, "bot can't initiate conversation with a user"},
		"deactivated":     {o{"chat_id": gone.ID(), "text": "x"}, 403, "user is deactivated"},
		"itself":          {o{"chat_id": b.ID(), "text": "x"}, 403, "bot can't send messages to bots"},
		"empty":           {o{"chat_id": lan.ID(), "text": " \n"}, 400, "message text is empty"},
		"too long":        {o{"chat_id": lan.ID(), "text": strings.Repeat("🥰", 2049)}, 400, "message is too long"},
		"no such message": {o{"chat_id": lan.ID(), "text": "x", "reply_parameters": o{"message_id": 99}}, 400, "message to be replied not found"},
		"no such thread":  {o{"chat_id": lan.ID(), "text": "x", "message_thread_id": 1}, 400, "message thread not found"},
		"bad HTML":        {o{"chat_id": lan.ID(), "text": "<blink>", "parse_mode": "HTML"}, 400, `can't parse entities: Unsupported start tag "blink" at byte offset 0`},
		"open HTML":       {o{"chat_id": lan.ID(), "text": "<b>x", "parse_mode": "HTML"}, 400, "can't parse entities: Can't find end tag"},
		"markdown":        {o{"chat_id": lan.ID(), "text": "*x*", "parse_mode": "MarkdownV2"}, 400, "can't parse entities"},
		"not JSON":        {o{"chat_id": lan.ID(), "text": "x", "reply_markup": "{"}, 400, "can't parse reply markup JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, call(t, tg, b.Token(), "sendMessage", c.params), c.status, c.want)
		})
	}
}

func TestASentMessageIsAnsweredAndKept(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	ref := lan.Starts(b, "")
	sent := worked(t, call(t, tg, b.Token(), "sendMessage", o{
		"chat_id": lan.ID(), "text": "🥰 <b>Hi</b> &amp; <a href=\"https://shop.example\">welcome</a>", "parse_mode": "HTML",
		"reply_parameters": o{"message_id": ref.ID},
	})).into(t)
	same(t, sent["text"], `"🥰 Hi \u0026 welcome"`)
	same(t, sent["entities"], `[{"length":2,"offset":3,"type":"bold"},{"length":7,"offset":8,"type":"text_link","url":"https://shop.example"}]`)
	same(t, at(t, sent, "reply_to_message", "text"), `"/start"`)
	same(t, at(t, sent, "from", "id"), jsonNumber(b.ID()))
	worked(t, call(t, tg, b.Token(), "sendMessage", o{
		"chat_id": lan.ID(), "text": "anyway", "reply_parameters": o{"message_id": 99, "allow_sending_without_reply": true},
	}))
	got := lan.Received(b)
	if len(got) != 2 || got[0].ReplyTo != ref.ID || got[1].ReplyTo != 0 || got[1].ID != got[0].ID+1 {
		t.Fatalf("received %+v", got)
	}
	if b.Pending() != 1 {
		t.Fatal("a bot is told of its own messages")
	}
	worked(t, call(t, tg, b.Token(), "sendChatAction", o{"chat_id": lan.ID(), "action": "typing"}))
	refused(t, call(t, tg, b.Token(), "sendChatAction", o{"chat_id": lan.ID(), "action": "dance"}), 400, "wrong parameter action")
}

// upload posts a file as a multipart part.
func upload(t *testing.T, tg *simulator.Telegram, token, method string, fields map[string]string, part, name string, data []byte) reply {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, value := range fields {
		_ = w.WriteField(field, value)
	}
	file, err := w.CreateFormFile(part, name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(data)
	_ = w.Close()
	request, err := http.NewRequestWithContext(within(t), http.MethodPost, tg.URL()+"/bot"+token+"/"+method, &body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", w.FormDataContentType())
	response, err := client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func drawn(t *testing.T, width, height int) []byte {
	t.Helper()
	var data bytes.Buffer
	if err := png.Encode(&data, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func TestUploadsAreSentAndCanBeSentAgain(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	to := map[string]string{"chat_id": jsonNumber(lan.ID()), "caption": "look"}

	sent := worked(t, upload(t, tg, b.Token(), "sendPhoto", to, "photo", "p.png", drawn(t, 400, 300))).into(t)
	same(t, at(t, sent, "photo", 2, "width"), `400`)
	same(t, sent["caption"], `"look"`)
	refused(t, upload(t, tg, b.Token(), "sendPhoto", to, "photo", "p.png", []byte("no picture")), 400, "IMAGE_PROCESS_FAILED")
	refused(t, upload(t, tg, b.Token(), "sendPhoto", to, "photo", "p.png", drawn(t, 420, 20)), 400, "PHOTO_INVALID_DIMENSIONS")
	refused(t, upload(t, tg, b.Token(), "sendPhoto", to, "photo", "p.png", make([]byte, 10<<20+1)), 400,
		"file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes")
	refused(t, upload(t, tg, b.Token(), "sendDocument", to, "document", "d.txt", nil), 400, "file must be non-empty")

	to["document"] = "attach://paper"
	sent = worked(t, upload(t, tg, b.Token(), "sendDocument", to, "paper", "d.txt", []byte("words"))).into(t)
	same(t, at(t, sent, "document", "file_name"), `"d.txt"`)
	again := worked(t, call(t, tg, b.Token(), "sendDocument", o{
		"chat_id": lan.ID(), "document": at(t, sent, "document", "file_id"),
	})).into(t)
	same(t, at(t, again, "document", "file_unique_id"), `"`+at(t, sent, "document", "file_unique_id").(string)+`"`)
	refused(t, call(t, tg, b.Token(), "sendPhoto", o{
		"chat_id": lan.ID(), "photo": at(t, sent, "document", "file_id"),
	}), 400, "can't use file of type Document as Photo")
	refused(t, call(t, tg, b.Token(), "sendVideo", o{"chat_id": lan.ID(), "video": "https://shop.example/v.mp4"}), 400, "failed to get HTTP URL content")
	refused(t, call(t, tg, b.Token(), "sendVoice", o{"chat_id": lan.ID()}), 400, "there is no voice in the request")
	to["caption"] = strings.Repeat("x", 1025)
	refused(t, upload(t, tg, b.Token(), "sendAudio", to, "audio", "a.mp3", []byte("x")), 400, "message caption is too long")
	if got := lan.Received(b); len(got) != 3 || string(got[1].Data) != "words" || got[1].Method != "sendDocument" {
		t.Fatalf("received %+v", got)
	}
}

func TestAPictureCanBeDownloadedByItsBotOnly(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b, other := tg.AddBot("shop_bot", "Shop", simulator.WithAvatar()), tg.AddBot("other_bot", "Other")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	lan.SendsPhoto(b, "")
	id := at(t, in.one("message"), "photo", 2, "file_id")
	found := worked(t, call(t, tg, b.Token(), "getFile", o{"file_id": id})).into(t)
	path := at(t, found, "file_path").(string)
	if !strings.HasPrefix(path, "photos/file_") {
		t.Fatalf("path %s", path)
	}
	refused(t, call(t, tg, other.Token(), "getFile", o{"file_id": id}), 400, "wrong file_id or the file is temporarily unavailable")

	download := func(token string) (int, []byte) {
		request, err := http.NewRequestWithContext(within(t), http.MethodGet, tg.URL()+"/file/bot"+token+"/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(t).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, _ := io.ReadAll(response.Body)
		return response.StatusCode, data
	}
	status, data := download(b.Token())
	if shape, err := png.DecodeConfig(bytes.NewReader(data)); status != 200 || err != nil || shape.Width != 480 {
		t.Fatalf("downloaded %d: %v", status, err)
	}
	if status, _ := download(other.Token()); status != 404 {
		t.Fatalf("another bot's download is %d", status)
	}
	tg.FailNext(simulator.FileRoute, simulator.Failure{Status: 503})
	if status, _ := download(b.Token()); status != 503 {
		t.Fatalf("a scripted failure is %d", status)
	}
	b.ExpireFiles()
	if status, _ := download(b.Token()); status != 404 {
		t.Fatalf("an old link is %d", status)
	}

	lan.SendsFile(b, simulator.Video, simulator.File{Name: "long.mp4", Data: []byte("x"), Size: 21 << 20}, "")
	big := at(t, in.one("message"), "video", "file_id")
	refused(t, call(t, tg, b.Token(), "getFile", o{"file_id": big}), 400, "file is too big")

	avatars := worked(t, call(t, tg, b.Token(), "getUserProfilePhotos", o{"user_id": b.ID()})).into(t)
	worked(t, call(t, tg, b.Token(), "getFile", o{"file_id": at(t, avatars, "photos", 0, 0, "file_id")}))
	if none := worked(t, call(t, tg, other.Token(), "getUserProfilePhotos", o{"user_id": other.ID()})); !json.Valid(none.Result) ||
		!strings.Contains(string(none.Result), `"total_count":0`) {
		t.Fatalf("photos of a bot without: %s", none.Result)
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/bot"+b.Token()+"/sendMessage", io.LimitReader(blanks{}, 52<<20))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	tg.ServeHTTP(recorder, request)
	refused(t, read(t, recorder.Result()), 413, "Request Entity Too Large")
}

// fetched downloads a file by its id.
func fetched(t *testing.T, tg *simulator.Telegram, b *simulator.Bot, id any) (status int, data []byte, err error) {
	t.Helper()
	found := worked(t, call(t, tg, b.Token(), "getFile", o{"file_id": id})).into(t)
	path := at(t, found, "file_path").(string)
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, tg.URL()+"/file/bot"+b.Token()+"/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client(t).Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	data, err = io.ReadAll(response.Body)
	return response.StatusCode, data, err
}

func TestWhatCustomersSendIsWhatItSays(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	for _, c := range []struct {
		send func()
		path []any
		want string
	}{
		{func() { lan.SendsPhoto(b, "") }, []any{"photo", 2}, "image/png"},
		{func() { lan.SendsVideo(b, "look", 4) }, []any{"video"}, "video/mp4"},
		{func() { lan.SendsAudio(b, "Song", 2) }, []any{"audio"}, "audio/mpeg"},
		{func() { lan.SendsVoice(b, 2) }, []any{"voice"}, "application/ogg"},
		{func() { lan.SendsDocument(b, "receipt.pdf", "") }, []any{"document"}, "application/pdf"},
		{func() { lan.SendsSticker(b, "🥰") }, []any{"sticker"}, "image/webp"},
	} {
		c.send()
		file := at(t, in.one("message"), c.path...)
		_, data, err := fetched(t, tg, b, at(t, file, "file_id"))
		if err != nil || float64(len(data)) != at(t, file, "file_size") || http.DetectContentType(data) != c.want {
			t.Errorf("%v: %d bytes of %s, %v", c.path[0], len(data), http.DetectContentType(data), err)
		}
	}
}

func TestADownloadFailsWhereAFileIsMadeTo(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	sends := func(fails *simulator.Failure) any {
		lan.SendsFile(b, simulator.Document, simulator.File{Name: "a.txt", Data: []byte("0123456789"), Fails: fails}, "")
		return at(t, in.one("message"), "document", "file_id")
	}
	broken, cut, good := sends(&simulator.Failure{Status: 500}), sends(&simulator.Failure{Cut: true}), sends(nil)
	for range 2 {
		if status, _, err := fetched(t, tg, b, broken); status != 500 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
		if _, data, err := fetched(t, tg, b, cut); err == nil || string(data) != "01234" {
			t.Errorf("%q, %v of a download that breaks off", data, err)
		}
		if _, data, err := fetched(t, tg, b, good); err != nil || string(data) != "0123456789" {
			t.Errorf("%q, %v", data, err)
		}
	}
}

func TestAGIFIsPlayed(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	lan.SendsFile(b, simulator.Animation, simulator.File{Name: "a.gif", MIME: "image/gif", Data: []byte("GIF89a")}, "")
	id := at(t, newInbox(t, tg, b).all()[1], "message", "animation", "file_id")
	worked(t, call(t, tg, b.Token(), "sendDocument", o{"chat_id": lan.ID(), "document": id}))
	got := lan.Received(b)
	if len(got) != 1 || got[0].Kind != simulator.Animation || got[0].Object["animation"] == nil || got[0].Object["document"] == nil {
		t.Errorf("it is shown as %+v", got)
	}
}

// blanks never ends.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
