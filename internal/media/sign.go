package media

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"causeway"
)

var (
	// ErrForged: the address was not made by this server, or was changed since.
	ErrForged = errors.New("the address is not one of this server's")
	// ErrExpired: the address was good once.
	ErrExpired = errors.New("the address has expired")
)

// minKey is how many bytes a signing key has at least.
const minKey = 32

// Signer makes addresses at which anybody who has one may fetch a file for a while, and
// knows them again. Servers with the same key know each other's.
type Signer struct{ key []byte }

// NewSigner makes a signer of a secret of 32 bytes or more. The key may serve other
// purposes as well: what is signed here says that it is an address of media.
func NewSigner(key []byte) (*Signer, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("a key to sign addresses needs %d bytes, not %d", minKey, len(key))
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("causeway: addresses of media"))
	return &Signer{key: mac.Sum(nil)}, nil
}

// String tells nothing of the key.
func (s *Signer) String() string { return "media.Signer" }

// GoString tells nothing of the key.
func (s *Signer) GoString() string { return s.String() }

// Address is where the file with this id is served, below base: the server's own
// address, with or without a slash at its end. It is good for more than one hour and at
// most two, and is the same for all who ask within an hour of the clock.
func (s *Signer) Address(base string, id causeway.ID, now time.Time) string {
	expires := now.UTC().Truncate(time.Hour).Add(2 * time.Hour).Unix()
	return fmt.Sprintf("%s/media/%s?expires=%d&signature=%s",
		strings.TrimRight(base, "/"), url.PathEscape(string(id)), expires, s.signature(id, expires))
}

// Verify checks what an address says of the file with this id: nil, ErrExpired for an
// address that was good until now or earlier, ErrForged for all that Address never made.
// What was forged never is expired.
func (s *Signer) Verify(id causeway.ID, expires, signature string, now time.Time) error {
	until, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || strconv.FormatInt(until, 10) != expires {
		return ErrForged
	}
	if !hmac.Equal([]byte(signature), []byte(s.signature(id, until))) {
		return ErrForged
	}
	if now.Unix() >= until {
		return ErrExpired
	}
	return nil
}

// signature signs the end, which has a fixed length, and the id, so that no two pairs
// read the same.
func (s *Signer) signature(id causeway.ID, expires int64) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(expires)))
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
