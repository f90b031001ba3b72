// Package secret seals what must not be readable in the database, opens it again,
// and makes the random words that only their holder may know. It knows keys and
// bytes; what is sealed, and where it is kept, does not enter. A Ring may be used by
// everybody at once. It never changes once made, but that of a key file follows the file.
package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"causeway"
)

// Lengths in bytes of a key and of the parts of what Seal writes:
//
//	version (1) | key id (4) | nonce (12) | ciphertext | tag (16)
const (
	keySize     = 32
	keyIDSize   = 4
	headerSize  = 1 + keyIDSize
	gcmOverhead = 12 + 16
)

// version1 is AES-256-GCM with a random nonce and the row's id as associated data.
const version1 = 1

// What Open answers for what it cannot open. Neither repeats a byte of it.
var (
	// ErrUnknownKey: the key it was sealed with is not on the ring.
	ErrUnknownKey = errors.New("sealed with a key that this server does not have; add that key to the end of the secret keys")
	// ErrDamaged: it was changed, cut, belongs to another row, or was never sealed.
	ErrDamaged = errors.New("a sealed secret is damaged or belongs to another row")
)

// Ring is the keys of a server. The first seals; all open. It cannot be printed:
// every way of formatting it tells the number of its keys and nothing else.
type Ring struct {
	file *keyFile // that it was read from; nil if it was given in words

	mu   sync.RWMutex
	keys []key
}

type key struct {
	id   [keyIDSize]byte // the first bytes of the key's SHA-256
	aead cipher.AEAD     // makes its own nonce and puts it in front
	root []byte          // what other keys are derived from; the key itself cannot be had from it
}

// Parse reads the keys of a ring: 32 bytes each in base64 (standard or URL-safe,
// padded or not), separated by commas, spaces around them ignored. Its errors name
// a key by its position, counted from one, say what to do, and never repeat any
// part of a key.
func Parse(keys string) (*Ring, error) {
	if strings.TrimSpace(keys) == "" {
		return nil, errors.New("no secret key is given; make one with: openssl rand -base64 32")
	}
	words := strings.Split(keys, ",")
	ring := &Ring{}
	for i, word := range words {
		raw, err := decode(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("secret key %d of %d %w", i+1, len(words), err)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, fmt.Errorf("secret key %d of %d: %w", i+1, len(words), err)
		}
		if twin := find(ring.keys, k.id[:]); twin >= 0 {
			return nil, fmt.Errorf("secret keys %d and %d are the same or cannot be told apart; remove one of them", twin+1, i+1)
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// decode reads one key. Its errors continue the sentence "secret key 2 of 3 …" and
// leave out what encoding/base64 says, which can quote the input.
func decode(word string) ([]byte, error) {
	if word == "" {
		return nil, errors.New("is empty; remove the comma beside it or put a key there")
	}
	plain := strings.TrimRight(word, "=")
	plain = strings.NewReplacer("-", "+", "_", "/").Replace(plain)
	raw, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("is not base64; make one with: openssl rand -base64 32")
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("has %d bytes and must have %d; make one with: openssl rand -base64 32", len(raw), keySize)
	}
	return raw, nil
}

func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	root, err := hkdf.Extract(sha256.New, raw, nil)
	if err != nil {
		return key{}, err
	}
	k := key{aead: aead, root: root}
	sum := sha256.Sum256(raw)
	copy(k.id[:], sum[:])
	return k, nil
}

// find is the position of the key with this id, or -1.
func find(keys []key, id []byte) int {
	return slices.IndexFunc(keys, func(k key) bool { return bytes.Equal(k.id[:], id) })
}

// known are the keys as they were read last.
func (r *Ring) known() []key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys
}

// Seal encrypts plain with the ring's first key (of a file, the one that stands first there now) for the row that will keep it; only
// Open with the same row gives it back. Sealing the same twice gives different
// bytes. A row without an id is a mistake of the caller and an error.
func (r *Ring) Seal(plain []byte, rowID causeway.ID) ([]byte, error) {
	if rowID == "" {
		return nil, errors.New("seal a secret: the row has no id")
	}
	first := r.latest()[0]
	sealed := make([]byte, 0, headerSize+gcmOverhead+len(plain))
	sealed = append(sealed, version1)
	sealed = append(sealed, first.id[:]...)
	return first.aead.Seal(sealed, nil, plain, []byte(rowID)), nil
}

// Open gives back what Seal was given for this row, with whichever key of the ring
// sealed it. Else it answers ErrUnknownKey or ErrDamaged. It leaves sealed as it is.
func (r *Ring) Open(sealed []byte, rowID causeway.ID) ([]byte, error) {
	if len(sealed) < headerSize+gcmOverhead || sealed[0] != version1 {
		return nil, ErrDamaged
	}
	keys := r.known()
	i := find(keys, sealed[1:headerSize])
	if i < 0 {
		keys = r.latest() // another process may have brought in a key
		i = find(keys, sealed[1:headerSize])
	}
	if i < 0 {
		return nil, ErrUnknownKey
	}
	plain, err := keys[i].aead.Open(nil, nil, sealed[headerSize:], []byte(rowID))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// Derive makes 32 bytes for a purpose, such as signing addresses, that tell nothing of
// the keys. They are those of the ring's last key: of every server that has it at its
// end, and the same while a new first key is brought in. They change when that key
// leaves the ring.
func (r *Ring) Derive(purpose string) ([]byte, error) {
	keys := r.known()
	last := keys[len(keys)-1]
	return hkdf.Expand(sha256.New, last.root, "causeway: "+purpose, keySize)
}

// NeedsRotation tells whether sealed was made otherwise than Seal would make it now:
// with another key than the first. It is also true of what cannot be opened at all,
// so that a rotation comes upon it and reports it instead of passing it over.
func (r *Ring) NeedsRotation(sealed []byte) bool {
	return len(sealed) < headerSize+gcmOverhead ||
		sealed[0] != version1 ||
		!bytes.Equal(sealed[1:headerSize], r.known()[0].id[:])
}

// Format keeps the keys out of every fmt verb, and so out of logs.
func (r *Ring) Format(f fmt.State, _ rune) {
	if r == nil {
		_, _ = fmt.Fprint(f, "secret.Ring(none)")
		return
	}
	_, _ = fmt.Fprintf(f, "secret.Ring(%d)", len(r.known()))
}

// newKeyText is a fresh key as Parse reads it.
func newKeyText() string {
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never errs: the runtime ends the program instead
	return base64.StdEncoding.EncodeToString(raw)
}
