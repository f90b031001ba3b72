package telegram

import (
	"strings"

	"causeway/internal/platform"
)

const (
	// maxText is counted in UTF-16 code units, to be safe: Telegram says 4096 characters.
	maxText = 4096
	// maxPhoto is what sendPhoto takes, and maxFile what every other method does: 10 MB
	// and 50 MB, which Telegram counts in powers of two.
	maxPhoto = 10 << 20
	maxFile  = 50 << 20
)

// Limits are what the Bot API takes of a message: 4096 characters; photos of 10 MB,
// other files of 50 MB (https://core.telegram.org/bots/api#sending-files).
func Limits() platform.Limits {
	return platform.Limits{
		Text: maxText,
		Files: map[platform.AttachmentKind]int64{
			platform.Image: maxPhoto, platform.Video: maxFile, platform.Audio: maxFile,
			platform.Voice: maxFile, platform.File: maxFile,
		},
		As: kindFor,
	}
}

// kindFor is the kind as which Telegram shows a file of a type best. Its methods take
// MPEG-4 as video, MP3 and M4A as audio and Opus in Ogg as voice, and tell to send
// other formats as documents; so goes a GIF, of which Telegram makes an animation.
func kindFor(mimeType string) platform.AttachmentKind {
	kind, _, _ := strings.Cut(mimeType, ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "image/jpeg", "image/png", "image/webp":
		return platform.Image
	case "video/mp4":
		return platform.Video
	case "audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a":
		return platform.Audio
	case "audio/ogg", "audio/opus", "application/ogg": // the last is what sniffing says of any Ogg
		return platform.Voice
	default:
		return platform.File
	}
}

// methodFor is the method that sends a file of a kind, and the name of its part.
func methodFor(kind platform.AttachmentKind) (method, part string) {
	switch kind {
	case platform.Image:
		return "sendPhoto", "photo"
	case platform.Video:
		return "sendVideo", "video"
	case platform.Audio:
		return "sendAudio", "audio"
	case platform.Voice:
		return "sendVoice", "voice"
	default:
		return "sendDocument", "document"
	}
}
