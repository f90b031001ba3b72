package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// The Bot API gives no more than this for download.
const maxDownload = 20 << 20

// Kinds of media, as messages and methods name them.
const (
	Photo     = "photo"
	Document  = "document"
	Video     = "video"
	Animation = "animation"
	Audio     = "audio"
	Voice     = "voice"
	VideoNote = "video_note"
	Sticker   = "sticker"
)

// File is something that a customer sends.
type File struct {
	Name string
	MIME string
	Data []byte
	// Size is what is told of the size; zero takes that of Data. One above 20 MB cannot
	// be downloaded by a bot.
	Size     int64
	Width    int
	Height   int
	Duration int    // seconds
	Emoji    string // of a sticker
	// Fails makes every download of it go wrong; Times and Chat of it mean nothing.
	Fails *Failure
}

// file is a stored one. Pictures have smaller sizes of themselves.
type file struct {
	File
	kind   string
	unique string
	path   string
	sizes  []*file // of a photo, smallest first; it is the last of them itself
}

// media is a message's file or files as a bot sees them.
type media func(b *Bot) object

func (tg *Telegram) keep(kind string, f File) *file {
	if f.Size == 0 {
		f.Size = int64(len(f.Data))
	}
	folder := map[string]string{
		Photo: "photos", Document: "documents", Video: "videos", Animation: "animations",
		Audio: "music", Voice: "voice", VideoNote: "video_notes", Sticker: "stickers",
	}[kind]
	extension := path.Ext(f.Name)
	if extension == "" {
		extension = map[string]string{Voice: ".oga", Sticker: ".webp", Photo: ".jpg", Video: ".mp4", VideoNote: ".mp4"}[kind]
	}
	unique := "AQAD" + tg.draw(11)
	tg.lastFile++
	return &file{File: f, kind: kind, unique: unique, path: folder + "/file_" + strconv.FormatInt(tg.lastFile, 10) + extension}
}

// idFor is the bot's own file_id, which no other bot can use.
func (f *file) idFor(b *Bot) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(b.id, 10) + f.unique))
	id := "AgACAgUAAxkBAA" + base64.RawURLEncoding.EncodeToString(sum[:])
	b.files[id] = f
	return id
}

func (f *file) wire(b *Bot) object {
	o := object{"file_id": f.idFor(b), "file_unique_id": f.unique, "file_size": f.Size}
	if f.Width > 0 || f.kind == Video || f.kind == Animation {
		o["width"], o["height"] = f.Width, f.Height
	}
	return o
}

func (f *file) sizesFor(b *Bot) []object {
	var sizes []object
	for _, size := range f.sizes {
		sizes = append(sizes, size.wire(b))
	}
	return sizes
}

// as is the file as a message of this kind shows it.
func (f *file) as(kind string) media {
	return func(b *Bot) object {
		if kind == Photo {
			return object{Photo: f.sizesFor(b)}
		}
		o := f.wire(b)
		if f.MIME != "" && kind != Sticker && kind != VideoNote {
			o["mime_type"] = f.MIME
		}
		if f.Name != "" && kind != Voice && kind != Sticker && kind != VideoNote {
			o["file_name"] = f.Name
		}
		if kind == Voice || kind == Audio || kind == Video || kind == Animation || kind == VideoNote {
			o["duration"] = f.Duration
		}
		if kind == VideoNote {
			o["length"] = f.Width
			delete(o, "width")
			delete(o, "height")
		}
		if kind == Sticker {
			o["type"], o["emoji"] = "regular", f.Emoji
			o["is_animated"] = f.MIME == "application/x-tgsticker"
			o["is_video"] = f.MIME == "video/webm"
		}
		if kind == Animation {
			twin := f.wire(b)
			twin["file_name"], twin["mime_type"] = f.Name, f.MIME
			return object{Animation: o, Document: twin}
		}
		return object{kind: o}
	}
}

// photoOf keeps a picture with the sizes that Telegram makes of it. Their bytes are
// those of the picture: nothing is scaled.
func (tg *Telegram) photoOf(f File) *file {
	whole := tg.keep(Photo, f)
	for _, edge := range []int{90, 320} {
		if longest := max(f.Width, f.Height); longest > edge {
			small := f
			small.Width, small.Height = max(f.Width*edge/longest, 1), max(f.Height*edge/longest, 1)
			small.Size = int64(len(f.Data))
			whole.sizes = append(whole.sizes, tg.keep(Photo, small))
		}
	}
	whole.sizes = append(whole.sizes, whole)
	return whole
}

// picture draws one: two colours fading into each other, and a lighter square.
func (tg *Telegram) picture(width, height int, name string) *file {
	shade := func() uint8 { return uint8(40 + tg.random.IntN(160)) } //nolint:gosec // below 256
	from, to := color.NRGBA{shade(), shade(), shade(), 255}, color.NRGBA{shade(), shade(), shade(), 255}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	mix := func(a, b uint8, y int) uint8 { return uint8((int(a)*(height-y) + int(b)*y) / height) } //nolint:gosec // between two bytes
	for y := range height {
		for x := range width {
			c := color.NRGBA{mix(from.R, to.R, y), mix(from.G, to.G, y), mix(from.B, to.B, y), 255}
			if x > width/3 && x < 2*width/3 && y > height/3 && y < 2*height/3 {
				c.R, c.G, c.B = c.R/2+127, c.G/2+127, c.B/2+127
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var encoded bytes.Buffer
	_ = png.Encode(&encoded, img) // a buffer takes everything
	return tg.photoOf(File{Name: name, MIME: "image/png", Data: encoded.Bytes(), Width: width, Height: height})
}

func (b *Bot) getFile(p params) (answer, error) {
	f := b.files[p.text("file_id")]
	switch {
	case p.text("file_id") == "":
		return answer{}, badRequest("file_id not specified")
	case f == nil:
		return answer{}, badRequest("wrong file_id or the file is temporarily unavailable")
	case f.Size > maxDownload:
		return answer{}, badRequest("file is too big")
	}
	b.paths[f.path] = f
	return done(object{
		"file_id": p.text("file_id"), "file_unique_id": f.unique, "file_size": f.Size, "file_path": f.path,
	})
}

// ExpireFiles ends the links that getFile gave: the next download is a 404 until it is
// asked again.
func (b *Bot) ExpireFiles() {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	clear(b.paths)
}

func (b *Bot) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	record, failure := b.recordCall(FileRoute, params{values: map[string]string{"path": name}})
	b.tg.mu.Lock()
	f := b.paths[name]
	b.tg.mu.Unlock()
	if f != nil && f.Fails != nil {
		failure = f.Fails
	}
	if failure != nil && !failure.Cut {
		b.fail(w, r, failure, record)
		return
	}
	if f == nil {
		a := answer{status: http.StatusNotFound, description: "Not Found"}
		b.tg.recordAnswer(record, a)
		a.write(w)
		return
	}
	b.tg.recordAnswer(record, answer{status: http.StatusOK})
	w.Header().Set("Content-Type", "application/octet-stream") // Telegram does not keep the type
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	if failure != nil {
		_, _ = w.Write(f.Data[:len(f.Data)/2])
		_ = http.NewResponseController(w).Flush() // what cannot be flushed is cut all the more
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(f.Data)
}

// paper is a PDF of one page that says a line, as far as its font goes.
func paper(line string) []byte {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '-'
		}
		return r
	}, line)
	line = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(line)
	stream := "BT /F1 18 Tf 40 100 Td (" + line + ") Tj ET"
	parts := []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(stream), stream),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
	}
	var pdf bytes.Buffer
	pdf.WriteString("%PDF-1.4\n")
	var offsets []int
	for i, part := range parts {
		offsets = append(offsets, pdf.Len())
		fmt.Fprintf(&pdf, "%d 0 obj%s endobj\n", i+1, part)
	}
	table := pdf.Len()
	fmt.Fprintf(&pdf, "xref\n0 %d\n0000000000 65535 f \n", len(parts)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&pdf, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&pdf, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(parts)+1, table)
	return pdf.Bytes()
}

// silence is an Ogg file with seconds of Opus in which nothing is said.
func silence(seconds int) []byte {
	head := append([]byte("OpusHead"), 1, 1, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0)
	tags := append([]byte("OpusTags"), 9, 0, 0, 0)
	tags = append(append(tags, "causeway."...), 0, 0, 0, 0)
	ogg := append(oggPage(2, 0, 0, [][]byte{head}), oggPage(0, 0, 1, [][]byte{tags})...)
	frame := []byte{0xf8, 0xff, 0xfe} // 20 ms
	for second := range seconds {
		frames := make([][]byte, 50)
		for i := range frames {
			frames[i] = frame
		}
		var last byte
		if second == seconds-1 {
			last = 4
		}
		ogg = append(ogg, oggPage(last, uint64(second+1)*48000, uint32(second)+2, frames)...) //nolint:gosec // small numbers
	}
	return ogg
}

func oggPage(kind byte, granule uint64, number uint32, packets [][]byte) []byte {
	page := append([]byte("OggS"), 0, kind)
	page = binary.LittleEndian.AppendUint64(page, granule)
	page = binary.LittleEndian.AppendUint32(page, 1) // the stream's number
	page = binary.LittleEndian.AppendUint32(page, number)
	page = append(page, 0, 0, 0, 0, byte(len(packets))) // a checksum comes here
	for _, packet := range packets {
		page = append(page, byte(len(packet))) // all are below 255 bytes
	}
	for _, packet := range packets {
		page = append(page, packet...)
	}
	var sum uint32
	for _, c := range page {
		sum ^= uint32(c) << 24
		for range 8 {
			if sum&(1<<31) != 0 {
				sum = sum<<1 ^ 0x04c11db7
			} else {
				sum <<= 1
			}
		}
	}
	binary.LittleEndian.PutUint32(page[22:], sum)
	return page
}

// song is an MP3 of about these seconds in which nothing is played.
func song(seconds int) []byte {
	data := append([]byte("ID3"), 3, 0, 0, 0, 0, 0, 0)
	frame := make([]byte, 417) // 26 ms at 128 kbit/s
	copy(frame, []byte{0xff, 0xfb, 0x90, 0x64})
	for range max(seconds, 1) * 1000 / 26 {
		data = append(data, frame...)
	}
	return data
}

// film is an MP4 that lasts for seconds and has no tracks.
func film(seconds int) []byte {
	box := func(kind string, content ...byte) []byte {
		data := binary.BigEndian.AppendUint32(nil, uint32(8+len(content))) //nolint:gosec // small
		return append(append(data, kind...), content...)
	}
	header := make([]byte, 100)
	binary.BigEndian.PutUint32(header[12:], 1000)                         // units in a second
	binary.BigEndian.PutUint32(header[16:], uint32(max(seconds, 1)*1000)) //nolint:gosec // small
	binary.BigEndian.PutUint32(header[20:], 0x10000)                      // speed
	header[24] = 1                                                        // volume
	for i, at := range []int{36, 52, 68} {                                // a matrix that changes nothing
		binary.BigEndian.PutUint32(header[at:], []uint32{0x10000, 0x10000, 0x40000000}[i])
	}
	header[99] = 1 // the next track's number
	data := box("ftyp", []byte("isom\x00\x00\x02\x00isommp41")...)
	data = append(data, box("moov", box("mvhd", header...)...)...)
	return append(data, box("mdat")...)
}

// dot is the smallest WebP there is.
func dot() []byte {
	data, _ := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==") // a constant
	return data
}
