package auth

import (
	"net/mail"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"causeway"
	"causeway/internal/store"
)

// Bounds of what people enter, in characters where not said otherwise.
const (
	maxName          = 200
	maxEmail         = 254 // bytes; RFC 5321 lets no longer path through
	minPassword      = 10
	maxPassword      = 256
	maxPasswordBytes = maxPassword * utf8.UTFMax
)

func checkName(name string, path ...string) (string, error) {
	name = strings.TrimSpace(store.Clean(name))
	if name == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, path...)
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", tooLong(maxName, path...)
	}
	return name, nil
}

// normalEmail is an address of mail as it is stored and compared.
func normalEmail(address string) string {
	return strings.ToLower(strings.TrimSpace(store.Clean(address)))
}

// checkEmail takes one address, without a name beside it.
func checkEmail(address string, path ...string) (string, error) {
	address = normalEmail(address)
	if address == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, path...)
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxEmail {
		return "", causeway.Invalid(causeway.ReasonBadEmail, path...)
	}
	return address, nil
}

func checkPassword(password string, path ...string) error {
	n := utf8.RuneCountInString(password)
	if n < minPassword {
		return causeway.Invalid(causeway.ReasonShortPassword, path...).With("min", strconv.Itoa(minPassword))
	}
	if n > maxPassword {
		return tooLong(maxPassword, path...)
	}
	return nil
}

// checkLanguage takes a BCP 47 tag and answers its canonical form.
func checkLanguage(tag string, path ...string) (string, error) {
	parsed, err := language.Parse(tag)
	if err != nil || parsed == language.Und || len(tag) > maxName {
		return "", causeway.Invalid(causeway.ReasonBadLanguage, path...)
	}
	return parsed.String(), nil
}

func tooLong(most int, path ...string) error {
	return causeway.Invalid(causeway.ReasonTooLong, path...).With("max", strconv.Itoa(most))
}
