package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"causeway/internal/platform"
)

// download is the method that refusals name of a file that was found and not got.
const download = "download"

// Fetch opens the file with this file_id, of 20 MB at most: Telegram hands out no more,
// which is TooLarge. What it has forgotten is Rejected. The deadline is the context's
// alone and holds for the body too, whose errors are a Client's. Telegram keeps neither
// name nor type of a file; the name here is one that it made up.
func (c *Client) Fetch(ctx context.Context, ref string) (platform.Download, error) {
	var found struct {
		Path string  `json:"file_path"`
		Size float64 `json:"file_size"`
	}
	err := c.call(ctx, "getFile", map[string]any{"file_id": ref}, &found)
	if r := platform.Refused(err); r != nil && r.Kind == platform.Rejected && mentions(r.Message, "too big") {
		r.Kind = platform.TooLarge
	}
	if err != nil {
		return platform.Download{}, err
	}
	place, refusal := filePath(found.Path)
	if refusal != nil {
		return platform.Download{}, refusal
	}
	resp, refusal := c.get(ctx, place)
	if refusal != nil {
		return platform.Download{}, c.told(ctx, download, refusal)
	}
	size := resp.ContentLength
	if size < 0 && found.Size > 0 {
		size = whole53(found.Size)
	}
	kind := resp.Header.Get("Content-Type")
	if kind == "application/octet-stream" { // what Telegram says of everything
		kind = ""
	}
	return platform.Download{
		Body: &downloadBody{ctx: ctx, of: c, body: resp.Body}, Size: size, MimeType: kind, Name: path.Base(found.Path),
	}, nil
}

// get opens a file at its path. The refusal's Method is not set yet and its Message not
// scrubbed.
func (c *Client) get(ctx context.Context, place string) (*http.Response, *platform.Refusal) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.files+place, http.NoBody)
	if err != nil {
		return nil, &platform.Refusal{Kind: platform.Unreachable, Message: "the address of the Bot API is not valid"}
	}
	req.Header.Set("Accept-Encoding", "identity") // the bytes as they are, and as many as they are
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(err, true)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(err, true)
	}
	refusal := understand(resp, said, nil)
	switch {
	case refusal == nil:
		refusal = unavailable(resp.StatusCode, "an answer that is no file")
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		refusal.Kind = platform.Rejected // the token was good a moment ago
	}
	return nil, refusal
}

// maxPath is the longest path of a file that is followed.
const maxPath = 1024

// filePath is the path of a file as it stands in an address. It stays below the bot's
// own folder.
func filePath(told string) (string, *platform.Refusal) {
	refused := func(why string) (string, *platform.Refusal) {
		return "", &platform.Refusal{Kind: platform.Rejected, Method: download, Message: why, Sent: true}
	}
	switch {
	case told == "":
		return refused("the file has no path: it cannot be downloaded")
	case strings.HasPrefix(told, "/"), len(told) > 2 && told[1] == ':':
		return refused("the Bot API server runs with --local: it names a file on its own disk and does not hand it out over HTTP")
	case len(told) > maxPath:
		return refused("the file's path is longer than any of the Bot API")
	}
	steps := strings.Split(told, "/")
	for i, step := range steps {
		if step == "" || step == "." || step == ".." || strings.Contains(step, `\`) {
			return refused("the file's path leads out of the bot's folder")
		}
		steps[i] = url.PathEscape(step)
	}
	return strings.Join(steps, "/"), nil
}

// downloadBody is a file being read; its errors are a Client's.
type downloadBody struct {
	ctx  context.Context //nolint:containedctx // of the call that goes on until Close
	of   *Client
	body io.ReadCloser
}

func (b *downloadBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, b.of.told(b.ctx, download, unreachable(err, true))
}

func (b *downloadBody) Close() error {
	if b.body.Close() != nil {
		return fmt.Errorf("%s: the connection was not closed", download)
	}
	return nil
}
