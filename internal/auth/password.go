package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// The cost of argon2id that OWASP's password storage cheat sheet gives as its first
// choice for servers: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16 // bytes
	argonKey    = 32 // bytes
)

const (
	// hashesAtOnce bounds the memory and the cores that signing in can take.
	hashesAtOnce = 2
	// hashesWaiting bounds how many wait for their turn; at some thirty milliseconds
	// each the last of them waits about a second.
	hashesWaiting = 64
)

// passwords hashes and compares, a few at a time.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int32
	nobody  string // what is compared for an address that nobody has: fits no password
}

func newPasswords() *passwords {
	return &passwords{
		slots:  make(chan struct{}, hashesAtOnce),
		nobody: encodeHash(randomBytes(argonSalt), randomBytes(argonKey), argonMemory, argonTime, argonLanes),
	}
}

// enter waits for a turn to hash. When too many wait already it is RATE_LIMITED.
func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	if p.waiting.Add(1) > hashesWaiting {
		p.waiting.Add(-1)
		return nil, tooManySignIns(1)
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash is what is stored of a password: argon2id in the PHC string format, with its
// parameters and salt.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := randomBytes(argonSalt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	return encodeHash(salt, key, argonMemory, argonTime, argonLanes), nil
}

// matches compares within a turn that the caller has taken. It costs the same for
// every hash of the same parameters.
func matches(password, encoded string) (bool, error) {
	h, err := decodeHash(encoded)
	if err != nil {
		return false, err
	}
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

type passwordHash struct {
	salt, key    []byte
	memory, time uint32
	lanes        uint8
}

func encodeHash(salt, key []byte, memory, time uint32, lanes uint8) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// decodeHash reads what encodeHash wrote, with whichever parameters. Its errors repeat
// nothing of it.
func decodeHash(encoded string) (passwordHash, error) {
	var h passwordHash
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, fmt.Errorf("a stored password is not an argon2id hash of version %d", argon2.Version)
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.lanes); err != nil {
		return h, fmt.Errorf("a stored password's parameters cannot be read")
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(key) == 0 || h.time == 0 || h.lanes == 0 {
		return h, fmt.Errorf("a stored password is damaged")
	}
	h.salt, h.key = salt, key
	return h, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never errs: the runtime ends the program instead
	return b
}
