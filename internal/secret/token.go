package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// minTokenBytes is 128 bits: what nobody guesses, however many servers he asks.
const minTokenBytes = 16

// RandomToken makes a word of nBytes random bytes for webhook keys, webhook secrets
// and bearer tokens. It is written with A–Z, a–z, 0–9, _ and - only, four characters
// for every three bytes, so that it can stand in an address, in a header, and as
// Telegram's secret_token. Fewer than 16 bytes could be guessed: that is a mistake
// of the program and panics.
func RandomToken(nBytes int) string {
	if nBytes < minTokenBytes {
		panic(fmt.Sprintf("secret.RandomToken(%d): at least %d bytes", nBytes, minTokenBytes))
	}
	raw := make([]byte, nBytes)
	_, _ = rand.Read(raw) // never errs: the runtime ends the program instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Hash is what is stored of a token that only has to be recognised: its SHA-256 in
// hexadecimal, 64 characters. It is for words of RandomToken; a password, which can
// be guessed, needs a slow hash instead.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
