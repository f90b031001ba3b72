package messenger

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strings"
)

// SignatureHeader is where a delivery's signature stands.
const SignatureHeader = "X-Hub-Signature-256"

// VerifySignature tells whether header, the X-Hub-Signature-256 of a delivery, was made
// with the app's secret over the raw bytes of its body. It takes the same time for
// every signature of the right length, and is never true for an empty secret. The older
// X-Hub-Signature (SHA-1) is not taken.
func VerifySignature(secret, header string, raw []byte) bool {
	said, found := strings.CutPrefix(header, "sha256=")
	if secret == "" || !found || len(said) != hex.EncodedLen(sha256.Size) {
		return false
	}
	signature, err := hex.DecodeString(said)
	if err != nil {
		return false
	}
	return hmac.Equal(signature, sign(secret, raw))
}

// Sign is the X-Hub-Signature-256 that Facebook would give a body.
func Sign(secret string, raw []byte) string {
	return "sha256=" + hex.EncodeToString(sign(secret, raw))
}

func sign(secret string, raw []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(raw)
	return mac.Sum(nil)
}

// VerifyHandshake reads the question by which Facebook makes sure that an address wants
// its webhooks: if it is one and holds the verify token, the answer is challenge, as it
// is, as plain text; else it is refused (403). It is never true for an empty token.
func VerifyHandshake(query url.Values, token string) (challenge string, ok bool) {
	if token == "" || query.Get("hub.mode") != "subscribe" {
		return "", false
	}
	if subtle.ConstantTimeCompare([]byte(query.Get("hub.verify_token")), []byte(token)) != 1 {
		return "", false
	}
	challenge = query.Get("hub.challenge")
	return challenge, challenge != ""
}
