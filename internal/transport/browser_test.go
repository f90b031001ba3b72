package transport

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

// page listens as any web page would, and reports what it heard.
const page = `<!doctype html><script>
const source = new EventSource('/graphql?query=' + encodeURIComponent('subscription{count(to:3)}'));
const heard = [];
source.addEventListener('next', (e) => heard.push(e.lastEventId + '=' + JSON.parse(e.data).data.count));
source.addEventListener('complete', () => {
  source.close();
  fetch('/heard', {method: 'POST', body: JSON.stringify(heard)});
});
</script>`

func TestABrowserHearsEventsAndComesBackForTheRest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	browser := browserHere(t)
	for name, cutOff := range map[string]bool{"in one go": false, "after it was cut off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := New(fixtureConfig())
			t.Cleanup(func() { _ = handler.Close() })
			heard := make(chan []string, 1)
			var asked atomic.Int32
			mux := http.NewServeMux()
			mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, page)
			})
			mux.HandleFunc("/graphql", func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 && cutOff { // a server that goes away after the first event
					w.Header().Set("Content-Type", typeStream)
					_, _ = fmt.Fprintf(w, "retry: 1\n\n%s", appendNext(nil, "1", []byte(`{"data":{"count":1}}`)))
					return
				}
				handler.ServeHTTP(w, r)
			})
			mux.HandleFunc("POST /heard", func(_ http.ResponseWriter, r *http.Request) {
				var list []string
				if json.NewDecoder(r.Body).Decode(&list) == nil {
					heard <- list
				}
			})
			at := servesHandler(t, mux)
			profile, err := os.MkdirTemp("", "browser-") // its processes write until the last moment
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(profile) })
			run := exec.CommandContext(t.Context(), browser, "--headless=new", "--no-sandbox", "--disable-gpu",
				"--disable-dev-shm-usage", "--user-data-dir="+profile, "--remote-debugging-port=0", at+"/")
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = run.Process.Kill()
				_ = run.Wait()
			}()
			select {
			case list := <-heard:
				if fmt.Sprint(list) != "[1=1 2=2 3=3]" {
					t.Errorf("heard %v", list)
				}
			case <-time.After(time.Minute):
				t.Errorf("the page heard no end; it asked %d times", asked.Load())
			}
		})
	}
}

func browserHere(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is on this machine: EventSource is only tried by its npm package")
	return ""
}
