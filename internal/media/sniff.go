package media

import (
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const (
	unknownType = "application/octet-stream"
	plainText   = "text/plain"
)

// sniffed is how many first bytes decide what a file is.
const sniffed = 4 << 10

// headed bounds what is read of a picture for its size. A JPEG tells it after its
// metadata, which may hold a preview and a colour profile.
const headed = 1 << 20

// renamed are types that the sniffer calls otherwise than browsers and platforms do.
var renamed = map[string]string{
	"image/apng":  "image/png", // which it is: what cannot move shows the first frame
	"audio/x-m4a": "audio/mp4",
	"video/x-m4v": "video/mp4",
}

// sniff is the type that the first bytes of content say, without parameters.
func sniff(content io.ReaderAt) (string, error) {
	head, err := firstBytes(content)
	if err != nil {
		return "", err
	}
	if len(head) == 0 {
		return unknownType, nil
	}
	name, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	if better := renamed[name]; better != "" {
		return better, nil
	}
	return name, nil
}

func firstBytes(content io.ReaderAt) ([]byte, error) {
	head := make([]byte, sniffed)
	n, err := content.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}

// charset is the encoding of a text with these first bytes; empty if they leave it open,
// which a browser may then guess.
func charset(head []byte) string {
	_, name, _ := strings.Cut(mimetype.Detect(head).String(), "charset=")
	switch name {
	case "utf-8", "utf-16le", "utf-16be", "windows-1252", "iso-8859-1":
		return name
	}
	return ""
}

// dimensions are what the header of a picture of this type says; zeros if it says
// nothing that can be believed.
func dimensions(content io.ReaderAt, mimeType string) (width, height int) {
	head := io.NewSectionReader(content, 0, headed)
	var config image.Config
	var err error
	switch mimeType {
	case "image/png":
		config, err = png.DecodeConfig(head)
	case "image/jpeg":
		config, err = jpeg.DecodeConfig(head)
	case "image/gif":
		config, err = gif.DecodeConfig(head)
	case "image/webp":
		return webpDimensions(head)
	}
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return 0, 0
	}
	return config.Width, config.Height
}

// webpDimensions reads the first chunk of a WebP file, which is one of three.
// https://developers.google.com/speed/webp/docs/riff_container
func webpDimensions(head io.Reader) (width, height int) {
	var b [30]byte // RIFF, size, WEBP, the chunk's name and size, and ten bytes of it
	if _, err := io.ReadFull(head, b[:]); err != nil {
		return 0, 0
	}
	chunk := b[20:]
	switch string(b[12:16]) {
	case "VP8X": // flags, then both less one in 24 bits
		return 1 + int(chunk[4]) + int(chunk[5])<<8 + int(chunk[6])<<16,
			1 + int(chunk[7]) + int(chunk[8])<<8 + int(chunk[9])<<16
	case "VP8L": // a signature, then both less one in 14 bits
		if chunk[0] != 0x2f {
			return 0, 0
		}
		bits := binary.LittleEndian.Uint32(chunk[1:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff)
	case "VP8 ": // a frame's tag and start code, then both in 14 bits
		if string(chunk[3:6]) != "\x9d\x01\x2a" {
			return 0, 0
		}
		width, height = int(binary.LittleEndian.Uint16(chunk[6:])&0x3fff), int(binary.LittleEndian.Uint16(chunk[8:])&0x3fff)
		if width == 0 || height == 0 {
			return 0, 0
		}
		return width, height
	}
	return 0, 0
}
