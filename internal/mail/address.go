package mail

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// server is where letters are handed in.
type server struct {
	host      string
	port      string
	user      string // empty: nobody signs in
	password  string
	encrypted bool // from the first byte on (smtps)
	loopback  bool // it is this same machine
}

var errBadURL = errors.New("must look like smtp://user:password@mail.example.com:587, or smtps://…; " +
	"write @ : / # ? and % in the password as %40 %3A %2F %23 %3F and %25")

// CheckURL says what is wrong with the address of a mail server, in words that follow
// a setting's name and never hold the address. It takes smtp:// (port 587 unless
// given, encrypted when the server offers it) and smtps:// (port 465 unless given,
// encrypted from the start), with user and password both or neither.
func CheckURL(address string) error {
	_, err := parseURL(address)
	return err
}

// CheckFrom says what is wrong with the sender of letters, in words that follow a
// setting's name. It takes an address, or a name and the address in angle brackets.
func CheckFrom(from string) error {
	_, err := parseFrom(from)
	return err
}

func parseURL(address string) (*server, error) {
	u, err := url.Parse(address)
	if err != nil { // its text would repeat the password
		return nil, errBadURL
	}
	s := &server{host: u.Hostname(), port: u.Port(), user: u.User.Username()}
	password, given := u.User.Password()
	s.password = password
	switch u.Scheme {
	case "smtp":
		s.port = withDefault(s.port, "587")
	case "smtps":
		s.port, s.encrypted = withDefault(s.port, "465"), true
	default:
		return nil, errBadURL
	}
	if s.host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || unclean(s.user+s.password) {
		return nil, errBadURL
	}
	if n, err := strconv.Atoi(s.port); err != nil || n < 1 || n > 65535 {
		return nil, errBadURL
	}
	if (s.user == "") != (!given || s.password == "") {
		return nil, errors.New("must hold a user and a password, or neither, such as smtp://user:password@mail.example.com:587")
	}
	s.loopback = s.host == "localhost" || net.ParseIP(s.host).IsLoopback()
	return s, nil
}

func withDefault(port, standard string) string {
	if port == "" {
		return standard
	}
	return port
}

func parseFrom(from string) (*mail.Address, error) {
	parsed, err := mail.ParseAddress(from)
	if err != nil || unclean(from) {
		return nil, errors.New("must be an address such as causeway@example.com, or a name and an address such as Causeway <causeway@example.com>")
	}
	return parsed, nil
}

// checkRecipient refuses what is not exactly one bare address.
func checkRecipient(to string) error {
	if parsed, err := mail.ParseAddress(to); err != nil || parsed.Address != to || unclean(to) {
		return fmt.Errorf("the recipient %q: %w: it is not a bare address", to, ErrRefused)
	}
	return nil
}

func unclean(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// domainOf is what follows the last @ of an address that was parsed.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
