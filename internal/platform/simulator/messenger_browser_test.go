package simulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"causeway/internal/platform/simulator"
	"causeway/internal/playground/browsertest"
)

func TestTheDialogIsClickedThroughInABrowser(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	m := simulator.StartMessenger(t)
	app, mai := m.AddApp("Causeway"), m.AddPerson("Mai Pham")
	m.AddPerson("Tom Reed")
	first, second := m.AddPage("Shop A"), m.AddPage("Shop B")
	first.Appoints(mai)
	second.Appoints(mai)
	back := make(chan url.Values, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			back <- r.URL.Query()
		}
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>back</title>")
	}))
	t.Cleanup(server.Close)
	address := dialogAt(m, app, url.Values{"redirect_uri": {server.URL + "/back"}})

	page := browser.Open(t, address, browsertest.Window{})
	page.Click(`button[value="` + mai.ID() + `"]`)
	page.Until("the consent is shown", `document.querySelectorAll('input[name=page]').length === 2`)
	page.Click(`input[value="` + second.ID() + `"]`)
	page.Click(`input[value="pages_messaging"]`)
	page.Click(`button[value="continue"]`)
	query := <-back
	if query.Get("state") != "s&1" || query.Get("code") == "" {
		t.Fatalf("returned with %v", query)
	}
	user := token(t, graph(t, m, "GET", "oauth/access_token", "", o{
		"client_id": app.ID(), "client_secret": app.Secret(), "redirect_uri": server.URL + "/back", "code": query.Get("code"),
	}))
	if got := graph(t, m, "GET", "me/accounts", user, nil).list(t); len(got) != 1 || got[0]["id"] != first.ID() {
		t.Fatalf("pages: %v", got)
	}
	for _, p := range graph(t, m, "GET", "me/permissions", user, nil).list(t) {
		if want := map[bool]string{true: "declined", false: "granted"}[p["permission"] == "pages_messaging"]; p["status"] != want {
			t.Fatalf("permission %v", p)
		}
	}

	page = browser.Open(t, address, browsertest.Window{})
	page.Click(`button[value="cancel"]`)
	if query := <-back; query.Get("error") != "access_denied" {
		t.Fatalf("cancelled with %v", query)
	}
	if complaints := page.Complaints(); len(complaints) != 0 {
		t.Fatalf("the browser complains: %q", complaints)
	}
}
