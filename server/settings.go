package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"causeway/internal/connection"
	post "causeway/internal/mail"
	"causeway/internal/secret"
	"causeway/internal/transport"
)

// settings are what an operator can set: each a flag and an environment variable.
// kong reads them; the types below know what is wrong with a value and show one that
// is right.
type settings struct {
	Listen    address  `default:"localhost:8080" placeholder:"HOST:PORT" help:"Address to serve on; port 0 picks a free one. Default: ${default}."`
	PublicURL webURL   `name:"public-url" placeholder:"URL" help:"https address at which platforms reach this server. Without it Telegram is polled and Messenger cannot be connected. http:// is accepted for loopback addresses only. Default: none."`
	Data      string   `default:"data" placeholder:"FOLDER" help:"Folder for the database, the key file and media; several servers share it. Default: ${default}."`
	Database  database `default:"sqlite" placeholder:"DATABASE" help:"sqlite, in the data folder, or postgres://user:password@host:5432/name. Default: ${default}."`
	NATS      natsURL  `name:"nats" placeholder:"URL" help:"nats://host:4222: several servers over one PostgreSQL. Default: none."`

	SecretKeys string `placeholder:"KEYS" help:"Comma-separated base64 keys of 32 bytes; the first encrypts, all decrypt. Default: a file in the data folder, made on the first start."`

	AdminEmail    string `placeholder:"EMAIL" help:"The first administrator's address. Default: made up and printed on the first start."`
	AdminPassword string `placeholder:"PASSWORD" help:"The first administrator's password. Default: made up and printed on the first start."`
	AdminToken    string `placeholder:"TOKEN" help:"A bearer token of the administrator, valid for as long as it is set. Default: none."`

	TelegramAPIURL webURL `name:"telegram-api-url" default:"https://api.telegram.org" placeholder:"URL" help:"Bot API server of Telegram. Default: ${default}."`

	Facebook facebookApp `embed:"" prefix:"facebook-" group:"This server's Facebook app, for Messenger:"`

	AllowPrivateMedia bool `help:"Let media be fetched from loopback and private addresses found in messages, for simulators; the platforms' own addresses are always allowed. Default: off."`
	MaxMedia          size `default:"25MB" placeholder:"SIZE" help:"The most that is fetched of a file that a customer sends. Default: ${default}."`
	MaxUpload         size `default:"64MB" placeholder:"SIZE" help:"The most that a request with files may have; platforms take less of one file. Default: ${default}."`

	SMTPURL  smtpURL `name:"smtp-url" placeholder:"URL" help:"Mail server that carries notices of connections that do not work: smtp://user:password@host:587, or smtps://…. Without it they are logged only. Default: none."`
	MailFrom sender  `name:"mail-from" placeholder:"ADDRESS" help:"Sender of notices, such as Causeway <causeway@example.com>. Default: none."`

	CheckInterval   duration `default:"1h" placeholder:"DURATION" help:"Time between health checks of a connection. Default: ${default}."`
	AllowedOrigins  origins  `placeholder:"ORIGINS" help:"Comma-separated origins of web pages that may call from a browser and open Facebook's login. Default: this server's own."`
	Playground      bool     `default:"true" negatable:"" help:"Serve the playground at /. Default: on."`
	Introspection   bool     `default:"true" negatable:"" help:"Let clients ask for the schema. Default: on."`
	KeepWebhookLogs duration `default:"720h" placeholder:"DURATION" help:"How long webhook logs are kept. Default: ${default}."`
	KeepEvents      duration `default:"168h" placeholder:"DURATION" help:"How long events can be resumed from. Default: ${default}."`

	Limits  transport.Limits       `embed:"" prefix:"limit-" group:"What one request to the API may cost:"`
	Sockets transport.SocketLimits `embed:"" prefix:"socket-" group:"What one WebSocket may have:"`

	LogLevel  logLevel `default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`
	LogFormat string   `default:"text" enum:"text,json" placeholder:"FORMAT" help:"text, or json for machines. Default: ${default}."`
}

// facebookApp is what Facebook's dashboard shows of an app. While id, secret or verify
// token is missing, Messenger's card says so, and pages can be connected only by tokens
// of people's own apps.
type facebookApp struct {
	AppID        string       `name:"app-id" placeholder:"ID" help:"The app's id. Default: none."`
	AppSecret    string       `name:"app-secret" placeholder:"SECRET" help:"The app's secret. Default: none."`
	VerifyToken  string       `name:"verify-token" placeholder:"TOKEN" help:"What Facebook must send when it looks at the webhook's address; any words you choose. Default: none."`
	ConfigID     string       `name:"config-id" placeholder:"ID" help:"Facebook Login for Business configuration; it replaces the list of permissions. Default: none."`
	GraphURL     webURL       `name:"graph-url" default:"https://graph.facebook.com" placeholder:"URL" help:"Graph API. Default: ${default}."`
	DialogURL    webURL       `name:"dialog-url" default:"https://www.facebook.com" placeholder:"URL" help:"Login dialog. Default: ${default}."`
	GraphVersion graphVersion `name:"graph-version" default:"v25.0" placeholder:"VERSION" help:"Version of the Graph API. Default: ${default}."`
}

// app is the app as the room connection wants it.
func (f facebookApp) app() connection.Facebook {
	return connection.Facebook{
		AppID: f.AppID, AppSecret: f.AppSecret, VerifyToken: f.VerifyToken, ConfigID: f.ConfigID,
		GraphURL: string(f.GraphURL), DialogURL: string(f.DialogURL), Version: string(f.GraphVersion),
	}
}

// command is one thing that the program can be asked to do.
type command struct {
	settings settings
	run      func(ctx context.Context, out io.Writer, log *slog.Logger) error
}

// commandLine is what kong reads.
type commandLine struct {
	settings

	Serve struct {
		Demo bool `help:"Serve on a throw-away database, with a simulated Telegram and Facebook, and customers who write now and then."`
	} `cmd:"" default:"withargs" help:"Serve. This is what happens without a command. --demo serves on a throw-away database, with a simulated Telegram and Facebook."`
	Token struct {
		Email string `required:"" help:"Address of the user."`
		Name  string `required:"" help:"What the token is for."`
	} `cmd:"" help:"Print a new bearer token for a user."`
	Keys struct {
		Rotate struct{} `cmd:"" help:"Encrypt every stored secret with the newest key, also while servers run. Of the key file, the newest is one that it makes now."`
	} `cmd:"" help:"Look after the keys that encrypt stored secrets."`
	Migrate struct{} `cmd:"" help:"Bring the database to this version and stop. Serving does it by itself."`
}

// parse reads the command line and the environment. Without an error and a command
// there is nothing left to do: help was printed.
func parse(args []string, out io.Writer) (*command, error) {
	var line commandLine
	helped := false
	parser, err := kong.New(&line,
		kong.Name("causeway"),
		kong.Description("A GraphQL API with real-time subscriptions that joins messaging platforms to campaigns. Every flag --some-name is also the environment variable CAUSEWAY_SOME_NAME."),
		kong.DefaultEnvars("CAUSEWAY"),
		kong.Writers(out, out),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true}),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cfg := line.settings
	if err := cfg.validate(line.Serve.Demo); err != nil {
		return nil, err
	}
	cmd := &command{settings: cfg}
	switch parsed.Command() {
	case "token":
		cmd.run = func(ctx context.Context, out io.Writer, log *slog.Logger) error {
			return printToken(ctx, cfg, line.Token.Email, line.Token.Name, out, log)
		}
	case "keys rotate":
		cmd.run = func(ctx context.Context, out io.Writer, log *slog.Logger) error {
			return rotateKeys(ctx, cfg, out, log)
		}
	case "migrate":
		cmd.run = func(ctx context.Context, out io.Writer, log *slog.Logger) error {
			return migrate(ctx, cfg, out, log)
		}
	default:
		cmd.run = func(ctx context.Context, out io.Writer, log *slog.Logger) error {
			if line.Serve.Demo {
				return serveDemo(ctx, cfg, out, log)
			}
			return serve(ctx, cfg, out, log)
		}
	}
	return cmd, nil
}

// validate refuses what no single setting shows to be wrong.
func (s *settings) validate(demo bool) error {
	switch {
	case s.NATS != "" && s.Database == databaseSQLite:
		return errors.New("--nats: several servers cannot share a SQLite file; set --database too, such as postgres://user:password@host:5432/causeway")
	case demo && (s.Database != databaseSQLite || s.NATS != ""):
		return errors.New("--demo: the demo has a throw-away database of its own; leave out --database and --nats")
	case s.Data == "":
		return errors.New("--data: must name a folder, such as data")
	case s.CheckInterval < duration(time.Second):
		return errors.New("--check-interval: must be a second or more, such as 1h")
	case s.SMTPURL != "" && s.MailFrom == "":
		return errors.New("--mail-from: must be set where --smtp-url is, such as Causeway <causeway@example.com>")
	case s.AdminPassword != "" && len([]rune(s.AdminPassword)) < 10:
		return errors.New("--admin-password: must have 10 characters or more, such as correct-horse-battery")
	case s.AdminToken != "" && len(s.AdminToken) < 16:
		return errors.New("--admin-token: must have 16 characters or more; openssl rand -base64 32 makes one")
	}
	if parsed, err := mail.ParseAddress(s.AdminEmail); s.AdminEmail != "" && (err != nil || parsed.Address != s.AdminEmail) {
		return fmt.Errorf("--admin-email: %q is not an address such as ana@example.com", s.AdminEmail)
	}
	if name := s.Limits.Negative(); name != "" {
		return fmt.Errorf("--limit-%s: must be more than nothing; leave it out for the default", name)
	}
	if s.SecretKeys != "" {
		if _, err := secret.Parse(s.SecretKeys); err != nil {
			return fmt.Errorf("--secret-keys: %w", err)
		}
	}
	return nil
}

// storeAddress is the database as the room store wants it.
func (s *settings) storeAddress() string {
	if s.Database == databaseSQLite {
		return "sqlite:" + filepath.Join(s.Data, "causeway.db")
	}
	return string(s.Database)
}

// keyFile is where the keys are that no setting gives.
func (s *settings) keyFile() string { return filepath.Join(s.Data, "secret.key") }

// Settings that know what is wrong with their value.
type (
	address  string
	webURL   string
	database string
	natsURL  string
	smtpURL  string
	sender   string
	duration time.Duration
	size     int64
	origins  []string
	logLevel slog.Level

	graphVersion string
)

const databaseSQLite database = "sqlite"

var (
	_ encoding.TextUnmarshaler = (*address)(nil)
	_ encoding.TextUnmarshaler = (*webURL)(nil)
	_ encoding.TextUnmarshaler = (*database)(nil)
	_ encoding.TextUnmarshaler = (*natsURL)(nil)
	_ encoding.TextUnmarshaler = (*smtpURL)(nil)
	_ encoding.TextUnmarshaler = (*sender)(nil)
	_ encoding.TextUnmarshaler = (*duration)(nil)
	_ encoding.TextUnmarshaler = (*size)(nil)
	_ encoding.TextUnmarshaler = (*origins)(nil)
	_ encoding.TextUnmarshaler = (*logLevel)(nil)
	_ encoding.TextUnmarshaler = (*graphVersion)(nil)
)

// UnmarshalText takes host:port.
func (a *address) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return fmt.Errorf("%q is not an address to listen on, such as localhost:8080 or :8080", text)
	}
	*a = address(text)
	return nil
}

// UnmarshalText takes an https address without path, query or user; http for loopback
// addresses only.
func (u *webURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	parsed, err := url.Parse(strings.TrimRight(string(text), "/"))
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("must be an address such as https://causeway.example.com")
	case parsed.Scheme == "https":
	case parsed.Scheme == "http" && loopback(parsed.Hostname()):
	default:
		return fmt.Errorf("%q must begin with https:// (http:// is for loopback addresses only), such as https://causeway.example.com", parsed.Redacted())
	}
	*u = webURL(parsed.String())
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// UnmarshalText takes sqlite or a postgres:// address. What is refused may hold a
// password and is not repeated.
func (d *database) UnmarshalText(text []byte) error {
	s := string(text)
	parsed, err := url.Parse(s)
	if s != string(databaseSQLite) && (err != nil || parsed.Host == "" || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") {
		return errors.New("must be sqlite or an address such as postgres://user:password@host:5432/causeway")
	}
	*d = database(s)
	return nil
}

// UnmarshalText takes a nats:// address, which may hold a password.
func (n *natsURL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if len(text) > 0 && (err != nil || parsed.Host == "" || parsed.Scheme != "nats" && parsed.Scheme != "tls") {
		return errors.New("must be an address such as nats://localhost:4222")
	}
	*n = natsURL(text)
	return nil
}

// UnmarshalText takes the address of a mail server, which may hold a password.
func (u *smtpURL) UnmarshalText(text []byte) error {
	if len(text) > 0 {
		if err := post.CheckURL(string(text)); err != nil {
			return err
		}
	}
	*u = smtpURL(text)
	return nil
}

// UnmarshalText takes an address, or a name and the address in angle brackets.
func (f *sender) UnmarshalText(text []byte) error {
	if len(text) > 0 {
		if err := post.CheckFrom(string(text)); err != nil {
			return err
		}
	}
	*f = sender(text)
	return nil
}

// UnmarshalText takes a duration of more than nothing.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed <= 0 {
		return fmt.Errorf("%q is not a duration such as 90s, 1h or 720h", text)
	}
	*d = duration(parsed)
	return nil
}

// UnmarshalText takes a number of bytes, or of KB, MB or GB, which are powers of two.
func (b *size) UnmarshalText(text []byte) error {
	number, unit := strings.ToUpper(strings.TrimSpace(string(text))), int64(1)
	for name, of := range map[string]int64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if cut, ok := strings.CutSuffix(number, name); ok {
			number, unit = strings.TrimSpace(cut), of
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/4/unit {
		return fmt.Errorf("%q is not a size such as 25MB, 512KB or 1048576", text)
	}
	*b = size(n * unit)
	return nil
}

// UnmarshalText takes origins separated by commas.
func (o *origins) UnmarshalText(text []byte) error {
	*o = nil
	for origin := range strings.SplitSeq(string(text), ",") {
		origin = strings.TrimSpace(origin)
		if origin == "" {
			continue
		}
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || strings.Trim(parsed.Path, "/") != "" {
			return fmt.Errorf("%q is not an origin such as https://app.example.com", origin)
		}
		*o = append(*o, parsed.Scheme+"://"+parsed.Host)
	}
	return nil
}

// UnmarshalText takes a version such as v25.0.
func (v *graphVersion) UnmarshalText(text []byte) error {
	var major, minor int
	if n, err := fmt.Sscanf(string(text), "v%d.%d", &major, &minor); n != 2 || err != nil || fmt.Sprintf("v%d.%d", major, minor) != string(text) {
		return fmt.Errorf("%q is not a version such as v25.0", text)
	}
	*v = graphVersion(text)
	return nil
}

// UnmarshalText takes a level's name.
func (l *logLevel) UnmarshalText(text []byte) error {
	if err := (*slog.Level)(l).UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a level such as debug, info, warn or error", text)
	}
	return nil
}

// newLogger is the log as the settings want it.
func newLogger(s settings, to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(s.LogLevel)}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
