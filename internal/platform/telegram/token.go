package telegram

import (
	"strconv"
	"strings"
)

// ParseToken tells whether s has the shape of a bot token, and the id of the bot it
// would belong to: a number below 2^54 without leading zeros, a colon, and at least
// 30 letters, digits, dashes and underscores, 80 characters in all. Telegram's own
// server checks no more than that before it looks the token up.
func ParseToken(s string) (botID string, ok bool) {
	id, secret, found := strings.Cut(s, ":")
	if !found || len(s) > 80 || len(secret) < 30 {
		return "", false
	}
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n == 0 || n >= 1<<54 || id[0] < '1' || id[0] > '9' {
		return "", false
	}
	for i := range len(secret) {
		switch c := secret[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return "", false
		}
	}
	return id, true
}
