package media_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway/internal/media"
)

func TestAFileIsFetchedFromATrustedHostWhereverItIs(t *testing.T) {
	t.Parallel()
	platform := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "picture of "+r.URL.Path) })
	client := newClient(t, media.ClientConfig{Trusted: []string{platform + "/bot/path", "", "not a url\x00", "https://graph.example"}})
	if got := get(t, client, platform+"/ana.jpg?signature=s3cret"); got != "picture of /ana.jpg" {
		t.Fatalf("fetched %q", got)
	}
}

func TestNothingIsFetchedFromThisMachineOrItsNetworks(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	platform := serve(t, func(http.ResponseWriter, *http.Request) {})
	inside := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inside, "http://"))
	client := newClient(t, media.ClientConfig{Trusted: []string{platform}})
	for _, address := range []string{
		inside, inside + "/metrics", "http://127.0.0.1/", "https://127.0.0.1/", "http://localhost/", "https://LOCALHOST/",
		"http://[::1]/", "http://[::1]:" + port, "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]:" + port, "http://[64:ff9b::7f00:1]/",
		"http://[2002:7f00:1::]/", "http://0.0.0.0/", "http://[::]/", "http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/",
		"http://100.64.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[fe80::1%25lo]/", "http://224.0.0.1/",
		"http://198.18.0.1/", "http://203.0.113.7/", "http://255.255.255.255/",
	} {
		_, err := media.Get(t.Context(), client, address)
		if !errors.Is(err, media.ErrPrivateAddress) || !errors.Is(err, media.ErrRefusedAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("what must not be reached was, %d times", reached.Load())
	}
}

func TestANameThatLeadsIntoThisNetworkIsRefusedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	var lookedUp atomic.Int32
	client := newClient(t, media.ClientConfig{Resolver: resolver(t, &lookedUp, map[string][]string{
		"rebound.example.":  {"127.0.0.1"},
		"metadata.example.": {"169.254.169.254", "10.0.0.1"},
		"mapped.example.":   {"::ffff:127.0.0.1"},
		"six.example.":      {"::1", "fd00::1"},
		"nat64.example.":    {"64:ff9b::7f00:1"},
	})})
	for _, name := range []string{"rebound", "metadata", "mapped", "six", "nat64"} {
		if _, err := media.Get(t.Context(), client, "http://"+name+".example/"); !errors.Is(err, media.ErrPrivateAddress) {
			t.Errorf("%s.example: %v", name, err)
		}
	}
	if lookedUp.Load() == 0 {
		t.Error("no name was looked up")
	}
}

func TestATrustedNameIsTakenWhereverItLeads(t *testing.T) {
	t.Parallel()
	platform := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(platform, "http://"))
	var lookedUp atomic.Int32
	client := newClient(t, media.ClientConfig{
		Trusted:  []string{"http://Bots.internal:" + port},
		Resolver: resolver(t, &lookedUp, map[string][]string{"bots.internal.": {"127.0.0.1"}, "other.internal.": {"127.0.0.1"}}),
	})
	if got := get(t, client, "http://BOTS.internal:"+port+"/file"); got != "BOTS.internal:"+port {
		t.Errorf("fetched %q", got)
	}
	if _, err := media.Get(t.Context(), client, "http://other.internal:"+port+"/file"); !errors.Is(err, media.ErrRefusedAddress) {
		t.Errorf("another name for the same host: %v", err)
	}
	if _, err := media.Get(t.Context(), client, "http://bots.internal/file"); !errors.Is(err, media.ErrPrivateAddress) {
		t.Errorf("another port of the same name: %v", err)
	}
}

func TestARedirectIsJudgedLikeTheFirstAddress(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	inside := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	platform := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	client := newClient(t, media.ClientConfig{Trusted: []string{platform}})
	for to, want := range map[string]error{
		inside: media.ErrPrivateAddress, "http://127.0.0.1/": media.ErrPrivateAddress, "http://localhost/": media.ErrPrivateAddress,
		"//169.254.169.254/latest": media.ErrPrivateAddress, "file:///etc/passwd": media.ErrRefusedAddress, "ftp://93.184.216.34/": media.ErrRefusedAddress,
		"http://93.184.216.34:8080/": media.ErrRefusedAddress, strings.Replace(platform, "://", "://ana:s3cret@", 1): media.ErrRefusedAddress,
		"http://[s3cret": media.ErrRefusedAddress, "http://host/%zz-s3cret": media.ErrRefusedAddress,
	} {
		_, err := media.Get(t.Context(), client, platform+"/?to="+url.QueryEscape(to))
		if !errors.Is(err, want) || strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("redirected to %s: %v", to, err)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("what must not be reached was, %d times", reached.Load())
	}
}

func TestFiveRedirectsAreFollowedAndNotSix(t *testing.T) {
	t.Parallel()
	platform := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s was told %v", r.URL.Path, r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "followed", Value: "yes"})
		var left int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &left)
		if left > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d?signature=s3cret", left-1), http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "arrived")
	})
	client := newClient(t, media.ClientConfig{Trusted: []string{platform}})
	if got := get(t, client, platform+"/5?signature=s3cret"); got != "arrived" {
		t.Errorf("after five: %q", got)
	}
	_, err := media.Get(t.Context(), client, platform+"/6")
	if !errors.Is(err, media.ErrTooManyRedirects) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("after six: %v", err)
	}
}

func TestOnlyTheWebIsSpokenOnItsOwnPortsWithoutCredentials(t *testing.T) {
	t.Parallel()
	platform := serve(t, func(http.ResponseWriter, *http.Request) {})
	client := newClient(t, media.ClientConfig{Trusted: []string{platform}})
	for _, address := range []string{
		"", "/file", "file", "file:///etc/passwd", "ftp://93.184.216.34/", "gopher://93.184.216.34/", "data:text/plain,s3cret", "javascript:s3cret",
		"http://", "http:///s3cret", "http://93.184.216.34:22/", "http://93.184.216.34:443/", "https://93.184.216.34:80/", "http://cdn.example:8080/",
		"http://ana@93.184.216.34/", "http://ana:s3cret@93.184.216.34/", strings.Replace(platform, "://", "://ana:s3cret@", 1),
		"http://[s3cret", "http://host:s3cret/", "http://host/\x7fs3cret", "://s3cret", "http://host/%zzs3cret", "ht\ntp://s3cret",
	} {
		_, err := media.Get(t.Context(), client, address)
		if !errors.Is(err, media.ErrRefusedAddress) {
			t.Errorf("%q: %v", address, err)
		}
		if strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("%q is told on: %v", address, err)
		}
	}
}

func TestWhoAllowsPrivateAddressesMayFetchFromThem(t *testing.T) {
	t.Parallel()
	inside := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") })
	client := newClient(t, media.ClientConfig{AllowPrivate: true})
	if got := get(t, client, inside); got != "inside" {
		t.Errorf("fetched %q", got)
	}
	if _, err := media.Get(t.Context(), client, "file:///etc/passwd"); !errors.Is(err, media.ErrRefusedAddress) {
		t.Errorf("no web: %v", err)
	}
}

func TestAnErrorNeverHoldsWhatTheAddressDoes(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	breaks := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.Close()
		}
	})
	client := newClient(t, media.ClientConfig{AllowPrivate: true, Timeout: 200 * time.Millisecond})
	for what, base := range map[string]string{"nobody there": gone.URL, "no answer": hangs, "breaks off": breaks} {
		_, err := media.Get(t.Context(), client, base+"/s3cret/file?signature=s3cret#s3cret")
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), base) {
			t.Errorf("%s: %v", what, err)
		}
		if timedOut, ok := errors.AsType[net.Error](err); what == "no answer" && (!ok || !timedOut.Timeout()) {
			t.Errorf("%s is no timeout: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := media.Get(ctx, client, hangs+"/?s3cret"); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("cancelled: %v", err)
	}
	nested := &url.Error{Op: "Get", URL: "https://cdn.example/s3cret", Err: &url.Error{Op: "Get", URL: "https://u:s3cret@cdn.example/?s3cret", Err: io.ErrUnexpectedEOF}}
	if err := media.Scrub(nested); strings.Contains(err.Error(), "s3cret") || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("one in another: %v", err)
	}
	if err := media.Scrub(io.EOF); err != io.EOF {
		t.Errorf("another error: %v", err)
	}
	if err := media.Scrub(nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}

func TestAHugeBodyFromAStrangerIsCutOff(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	stranger := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(cut)
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	client := newClient(t, media.ClientConfig{AllowPrivate: true})
	resp, err := media.Get(t.Context(), client, stranger)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := openDisk(t, t.TempDir()).Put(t.Context(), resp.Body, 100_000); !errors.Is(err, media.ErrTooLarge) {
		t.Fatalf("an endless file: %v", err)
	}
	_ = resp.Body.Close()
	select {
	case <-cut:
	case <-time.After(20 * time.Second):
		t.Fatal("the stranger is still sending")
	}
}

func TestAFileThatComesTooSlowlyIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stranger := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a beginning")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	client := newClient(t, media.ClientConfig{AllowPrivate: true, Timeout: 200 * time.Millisecond})
	resp, err := media.Get(t.Context(), client, stranger+"/?signature=s3cret")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, err = openDisk(t, dir).Put(t.Context(), resp.Body, plenty)
	if timedOut, ok := errors.AsType[net.Error](err); !ok || !timedOut.Timeout() || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("given up with: %v", err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func newClient(t *testing.T, cfg media.ClientConfig) *http.Client {
	t.Helper()
	client := media.NewClient(cfg)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// serve answers on a loopback address, which it returns.
func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	resp, err := media.Get(t.Context(), client, address)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(body)
}

// resolver is a name server of its own that knows these names and no others.
func resolver(t *testing.T, asked *atomic.Int32, names map[string][]string) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			for {
				// A stream carries each message after its length.
				var length [2]byte
				if _, err := io.ReadFull(there, length[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(there, question); err != nil {
					return
				}
				asked.Add(1)
				answer := answerTo(question, names)
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return here, nil
	}}
}

// answerTo answers one question of the domain name system (RFC 1035, section 4).
func answerTo(question []byte, names map[string][]string) []byte {
	const headerLength, typeA, typeAAAA = 12, 1, 28
	end, name := headerLength, ""
	for question[end] != 0 {
		label := int(question[end])
		name += strings.ToLower(string(question[end+1:end+1+label])) + "."
		end += 1 + label
	}
	end += 5 // the root, the type, the class
	kind := binary.BigEndian.Uint16(question[end-4:])
	var records []byte
	count := uint16(0)
	for _, text := range names[name] {
		ip := netip.MustParseAddr(text)
		if ip.Is4() != (kind == typeA) || !ip.Is4() && kind != typeAAAA {
			continue
		}
		records = append(records, 0xc0, headerLength, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(ip.AsSlice())))
		records = append(records, ip.AsSlice()...)
		count++
	}
	answer := append([]byte{}, question[:2]...)
	answer = append(answer, 0x81, 0x80, 0, 1) // an answer, without an error, to one question
	answer = binary.BigEndian.AppendUint16(answer, count)
	answer = append(answer, 0, 0, 0, 0)
	answer = append(answer, question[headerLength:end]...)
	return append(answer, records...)
}
