package main

import (
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/transport"
)

// refusal is what the program says instead of starting.
func refusal(t *testing.T, args ...string) string {
	t.Helper()
	cmd, err := parse(args, io.Discard)
	if err == nil {
		t.Fatalf("%q was taken: %+v", args, cmd.settings)
	}
	return err.Error()
}

func TestABadSettingIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	const key = "c2VjcmV0c2VjcmV0c2VjcmV0"
	for _, c := range []struct {
		flag, value, example string
	}{
		{"--listen", "nonsense", "localhost:8080"},
		{"--listen", "", "localhost:8080"},
		{"--listen", "localhost:99999", "localhost:8080"},
		{"--public-url", "http://causeway.example.com", "https://causeway.example.com"},
		{"--public-url", "ftp://causeway.example.com", "https://causeway.example.com"},
		{"--public-url", "https://ana:hidden@example.com", "https://causeway.example.com"},
		{"--public-url", "https://", "https://causeway.example.com"},
		{"--data", "", "such as data"},
		{"--database", "mysql://ana:hidden@localhost/db", "postgres://user:password@host:5432/causeway"},
		{"--database", "postgres://ana:hid%zzden@localhost/db", "postgres://user:password@host:5432/causeway"},
		{"--nats", "http://hidden@localhost", "nats://localhost:4222"},
		{"--nats", "nats://localhost:4222", "postgres://user:password@host:5432/causeway"},
		{"--smtp-url", "mail.example.com:hidden", "smtp://user:password@mail.example.com:587"},
		{"--smtp-url", "smtp://ana@mail.example.com", "smtp://user:password@mail.example.com"},
		{"--mail-from", "nobody", "causeway@example.com"},
		{"--secret-keys", key, "openssl rand -base64 32"},
		{"--secret-keys", "!hidden!", "openssl rand -base64 32"},
		{"--admin-email", "nobody", "ana@example.com"},
		{"--admin-password", "hidden", "correct-horse-battery"},
		{"--admin-token", "hidden", "openssl rand -base64 32"},
		{"--telegram-api-url", "http://telegram.example.com", "https://causeway.example.com"},
		{"--facebook-graph-url", "http://graph.example.com", "https://causeway.example.com"},
		{"--facebook-dialog-url", "facebook", "https://causeway.example.com"},
		{"--facebook-graph-version", "25", "v25.0"},
		{"--facebook-graph-version", "v25.0/me", "v25.0"},
		{"--check-interval", "5", "1h"},
		{"--check-interval", "10ms", "1h"},
		{"--check-interval", "-1h", "1h"},
		{"--keep-webhook-logs", "a month", "720h"},
		{"--keep-events", "0s", "720h"},
		{"--allowed-origins", "example.com", "https://app.example.com"},
		{"--allowed-origins", "https://app.example.com/page", "https://app.example.com"},
		{"--playground", "maybe", "true"},
		{"--introspection", "maybe", "true"},
		{"--max-media", "much", "25MB"},
		{"--max-media", "-1MB", "25MB"},
		{"--max-upload", "9999999999GB", "25MB"},
		{"--log-level", "loud", "info"},
		{"--log-format", "xml", "json"},
	} {
		said := refusal(t, c.flag+"="+c.value)
		if !strings.Contains(said, c.flag) || !strings.Contains(said, c.example) || strings.Contains(said, "\n") {
			t.Errorf("%s=%s: %q", c.flag, c.value, said)
		}
		if strings.Contains(said, "hid") || strings.Contains(said, key) {
			t.Errorf("%s tells a secret: %q", c.flag, said)
		}
	}
	for said, args := range map[string][]string{
		"--nope":      {"--nope"},
		"nope":        {"nope"},
		"--demo":      {"--demo", "--database=postgres://localhost/causeway"},
		"--email":     {"token"},
		"--mail-from": {"--smtp-url=smtp://mail.example.com"},
		"--name":      {"token", "--email=ana@example.com"},
	} {
		if got := refusal(t, args...); !strings.Contains(got, said) || strings.Contains(got, "\n") {
			t.Errorf("%q: %q", args, got)
		}
	}
}

func TestSettingsComeFromTheEnvironmentToo(t *testing.T) {
	for name, value := range map[string]string{
		"CAUSEWAY_LISTEN": "127.0.0.1:1234", "CAUSEWAY_PUBLIC_URL": "https://shop.example.com/", "CAUSEWAY_DATA": "elsewhere",
		"CAUSEWAY_DATABASE": "postgres://localhost/causeway", "CAUSEWAY_NATS": "nats://localhost:4222", "CAUSEWAY_ADMIN_EMAIL": "ana@example.com",
		"CAUSEWAY_ADMIN_PASSWORD": "a long password", "CAUSEWAY_ADMIN_TOKEN": "a-token-of-sixteen", "CAUSEWAY_TELEGRAM_API_URL": "http://localhost:8081",
		"CAUSEWAY_CHECK_INTERVAL": "2h", "CAUSEWAY_ALLOWED_ORIGINS": "https://a.example.com, https://b.example.com/", "CAUSEWAY_PLAYGROUND": "false",
		"CAUSEWAY_INTROSPECTION": "false", "CAUSEWAY_KEEP_WEBHOOK_LOGS": "1h", "CAUSEWAY_KEEP_EVENTS": "3h", "CAUSEWAY_LOG_LEVEL": "warn",
		"CAUSEWAY_ALLOW_PRIVATE_MEDIA": "true", "CAUSEWAY_MAX_MEDIA": "10 mb", "CAUSEWAY_MAX_UPLOAD": "1048577",
		"CAUSEWAY_LOG_FORMAT": "json", "CAUSEWAY_FACEBOOK_APP_ID": "1234", "CAUSEWAY_FACEBOOK_APP_SECRET": "an app's secret",
		"CAUSEWAY_FACEBOOK_VERIFY_TOKEN": "a word", "CAUSEWAY_FACEBOOK_CONFIG_ID": "5678", "CAUSEWAY_FACEBOOK_GRAPH_URL": "http://localhost:8082/",
		"CAUSEWAY_FACEBOOK_DIALOG_URL": "http://localhost:8083", "CAUSEWAY_FACEBOOK_GRAPH_VERSION": "v26.0",
		"CAUSEWAY_SMTP_URL": "smtp://ana:a-password@mail.example.com", "CAUSEWAY_MAIL_FROM": "Causeway <causeway@example.com>",
		"CAUSEWAY_SECRET_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
	} {
		t.Setenv(name, value)
	}
	cmd, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		Listen: "127.0.0.1:1234", PublicURL: "https://shop.example.com", Data: "elsewhere", Database: "postgres://localhost/causeway",
		NATS: "nats://localhost:4222", SecretKeys: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", AdminEmail: "ana@example.com",
		AdminPassword: "a long password", AdminToken: "a-token-of-sixteen", TelegramAPIURL: "http://localhost:8081", CheckInterval: duration(2 * time.Hour),
		Facebook: facebookApp{AppID: "1234", AppSecret: "an app's secret", VerifyToken: "a word", ConfigID: "5678",
			GraphURL: "http://localhost:8082", DialogURL: "http://localhost:8083", GraphVersion: "v26.0"},
		AllowedOrigins: origins{"https://a.example.com", "https://b.example.com"}, KeepWebhookLogs: duration(time.Hour), KeepEvents: duration(3 * time.Hour),
		SMTPURL: "smtp://ana:a-password@mail.example.com", MailFrom: "Causeway <causeway@example.com>",
		AllowPrivateMedia: true, MaxMedia: 10 << 20, MaxUpload: 1<<20 + 1,
		LogLevel: logLevel(slog.LevelWarn), LogFormat: "json", Limits: cmd.settings.Limits, Sockets: cmd.settings.Sockets,
	}
	if !reflect.DeepEqual(cmd.settings, want) {
		t.Errorf("got  %+v\nwant %+v", cmd.settings, want)
	}
	if cmd, err = parse([]string{"--listen", "127.0.0.1:2345", "--playground"}, io.Discard); err != nil || cmd.settings.Listen != "127.0.0.1:2345" || !cmd.settings.Playground {
		t.Errorf("a flag does not win over the environment: %+v %v", cmd, err)
	}
	t.Setenv("CAUSEWAY_CHECK_INTERVAL", "soon")
	if said := refusal(t); !strings.Contains(said, "CAUSEWAY_CHECK_INTERVAL") || !strings.Contains(said, "1h") {
		t.Errorf("a bad variable: %q", said)
	}
}

func TestTheDefaultsAreTheContracts(t *testing.T) {
	t.Parallel()
	cmd, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		Facebook: facebookApp{GraphURL: "https://graph.facebook.com", DialogURL: "https://www.facebook.com", GraphVersion: "v25.0"},
		Listen:   "localhost:8080", Data: "data", Database: "sqlite", TelegramAPIURL: "https://api.telegram.org", CheckInterval: duration(time.Hour),
		Playground: true, Introspection: true, KeepWebhookLogs: duration(720 * time.Hour), KeepEvents: duration(168 * time.Hour), LogFormat: "text",
		MaxMedia: 25 << 20, MaxUpload: 64 << 20,
		Limits: cmd.settings.Limits, Sockets: cmd.settings.Sockets, // they are the transports' own
	}
	if !reflect.DeepEqual(cmd.settings, want) {
		t.Errorf("got  %+v\nwant %+v", cmd.settings, want)
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if cmd, err := parse([]string{"--help"}, &help); err != nil || cmd != nil {
		t.Fatalf("%v %v", cmd, err)
	}
	text := strings.Join(strings.Fields(help.String()), " ")
	defaults := map[string]string{
		"listen": "localhost:8080", "public-url": "none", "data": "data", "database": "sqlite", "nats": "none", "secret-keys": "a file in the data folder",
		"admin-email": "made up", "admin-password": "made up", "admin-token": "none", "telegram-api-url": "https://api.telegram.org",
		"allow-private-media": "off", "max-media": "25MB", "max-upload": "64MB", "smtp-url": "none", "mail-from": "none", "check-interval": "1h", "allowed-origins": "this server's own", "playground": "on", "introspection": "on",
		"keep-webhook-logs": "720h", "keep-events": "168h", "log-level": "info", "log-format": "text",
	}
	groups := map[string]reflect.Type{"limit": reflect.TypeFor[transport.Limits](), "socket": reflect.TypeFor[transport.SocketLimits](),
		"facebook": reflect.TypeFor[facebookApp]()}
	if n := reflect.TypeFor[settings]().NumField() - len(groups); n != len(defaults) {
		t.Errorf("there are %d settings, and %d here", n, len(defaults))
	}
	for prefix, group := range groups {
		if listed := strings.Count(text, "($CAUSEWAY_"+strings.ToUpper(prefix)+"_"); listed != group.NumField() {
			t.Errorf("%d of the %d settings --%s-… are listed", listed, group.NumField(), prefix)
		}
	}
	for flag, value := range defaults {
		variable := "($CAUSEWAY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) + ")"
		of, _, found := strings.Cut(text, variable)
		start := max(strings.LastIndex(of, "--"+flag), strings.LastIndex(of, "--[no-]"+flag))
		if !found || start < 0 || !strings.Contains(of[start:], "Default: "+value) || len(of)-start < len(flag)+30 {
			t.Errorf("--%s: %q does not name it, its default %q and its meaning", flag, of[max(start, 0):]+variable, value)
		}
	}
	for _, command := range []string{"token --email", "migrate", "serve"} {
		if !strings.Contains(text, command) {
			t.Errorf("help does not know the command %s", command)
		}
	}
}
