package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

func TestNoSecretIsEverWrittenDownOrTold(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	hook := posterTo(t, bot)
	password := "a planted password of Ana's"
	p.admin().does(`mutation($p: String!) { createUser(input: {email: "ana@example.com", name: "Ana", password: $p}) { user { id } userErrors { code message } } }`, data{"p": password})
	signedIn := p.nobody().does(`mutation($p: String!) { signIn(input: {email: "ana@example.com", password: $p}) { token userErrors { code message } } }`, data{"p": password})

	// Everything that can go wrong at the platform goes wrong, and is told.
	test := `mutation($id: ID!) { testConnection(input: {connectionId: $id}) { report { checks { name outcome message problem { code message causes solutions platformMessage } } } userErrors { code message } } }`
	responses := &bytes.Buffer{}
	for _, failure := range []simulator.Failure{{}, {HTML: true}, {Lost: true}, {RetryAfter: 1}, {Status: 401, Description: "Unauthorized"}} {
		failure.Times = 2
		p.telegram.FailNext(simulator.AnyMethod, failure)
		responses.WriteString(p.admin().asks(test, data{"id": connection}).Body)
	}
	p.telegram.Down()
	responses.WriteString(p.admin().asks(test, data{"id": connection}).Body)
	responses.WriteString(p.admin().asks(`mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id } userErrors { code message causes solutions platformMessage } } }`,
		data{"c": campaign, "t": bot.Token()}).Body)
	p.telegram.Up()
	p.telegram.Customer("Lan", "vi").SendsPhoto(bot, "Hello")
	p.processed(connection, 1)
	forged := *hook
	forged.secret = "forged"
	forged.mustPost(t, textUpdate(1, 1, "Hello?"), 401)
	hook.mustPost(t, []byte("not JSON"), 400)
	p.nobody().asks(`{ viewer { id } }`, nil)
	person{p, adminToken + "x"}.asks(`{ viewer { id } }`, nil)
	responses.WriteString(p.admin().asks(`query($c: ID!, $id: ID!) {
		viewer { id email name role language createdAt } accessTokens { id name prefix } users { edges { node { id email name role } } }
		campaign(id: $c) { id name eventCursor viewerRole platforms { platform name logoUrl problem { message } } auditLog { edges { node { action details actor { name } subject { id } } } } members { id user { name } }
			conversations { edges { node { id title lastMessage { text attachments { id name mimeType } } } } } }
		connection(id: $id) { id name authorizedBy status problem { code message platformMessage } warnings { code message }
			account { ... on TelegramBot { botId username name commands { command description } } }
			token { valid expiresAt refreshedAt } webhook { delivery status subscribedFields problem { code message platformMessage causes solutions } }
			testReports { id checks { name message problem { message platformMessage } } }
			webhookLogs { edges { node { id eventType payload error } } } }
		node(id: $id) { id }
	}`, data{"c": campaign, "id": connection}).Body)
	if told := p.column("SELECT details FROM audit_entries WHERE action IN ('connectTelegramBot', 'testConnection')"); len(told) < 2 {
		t.Errorf("the audit log tells too little to be looked through: %q", told)
	}
	running := p.files(t)
	p.stop()

	key := strings.TrimPrefix(hook.url, p.url)
	secrets := map[string]string{
		"the bot's token": bot.Token(), "the bot's token without its id": bot.Token()[strings.Index(bot.Token(), ":")+1:],
		"the webhook's secret": hook.secret, "the administrator's token": adminToken,
		"a password": password, "a session's token": signedIn.text("token"),
	}
	p.isNowhereIn(t, "the database and what goes with it", running, secrets)
	p.isNowhereIn(t, "the database after the end", p.files(t), secrets)
	secrets["the webhook's address"] = key[strings.LastIndex(key, "/")+1:]
	p.isNowhereIn(t, "the log", []byte(p.log.String()), secrets)
	p.isNowhereIn(t, "the responses", responses.Bytes(), map[string]string{
		"the bot's token": bot.Token(), "the bot's token without its id": secrets["the bot's token without its id"],
		"the webhook's secret": hook.secret, "the administrator's token": adminToken, "a password": password,
	})
	if len(responses.Bytes()) < 5000 || !strings.Contains(p.log.String(), "level=DEBUG") {
		t.Errorf("too little was looked at: %d bytes of responses and\n%s", responses.Len(), p.log)
	}
}

// files are the bytes of everything in the data folder but the key file.
func (p *program) files(t *testing.T) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(p.settings.Data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "secret.key" {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, content...)
		return err
	})
	if err != nil || !bytes.Contains(all, []byte("SQLite format 3")) {
		t.Fatalf("the database was not read: %v", err)
	}
	return all
}

// isNowhereIn looks for secrets as they are and as they may be encoded.
func (p *program) isNowhereIn(t *testing.T, where string, content []byte, secrets map[string]string) {
	t.Helper()
	for what, secret := range secrets {
		if len(secret) < 10 {
			t.Errorf("%s is %q: too short to look for", what, secret)
			continue
		}
		for how, text := range map[string]string{
			"": secret, " in base64": base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)/3*4],
			" in hexadecimal": hex.EncodeToString([]byte(secret)), " escaped": strings.ReplaceAll(secret, ":", "%3A"),
		} {
			if at := bytes.Index(content, []byte(text)); at >= 0 {
				t.Errorf("%s is in %s%s: …%q…", what, where, how, content[max(0, at-80):min(len(content), at+len(text)+20)])
			}
		}
	}
}
