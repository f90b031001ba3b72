package browsertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// Window is how a page is looked at.
type Window struct {
	Width, Height int // in CSS pixels
	Dark          bool
}

// Page is a tab with a session of its own: nothing is shared with other pages.
type Page struct {
	t       *testing.T
	browser *Browser
	target  string
	session string

	mu         sync.Mutex
	requests   []string
	complaints []string
}

// Open opens address in a window of its own and waits until it is loaded.
func (b *Browser) Open(t *testing.T, address string, w Window) *Page {
	t.Helper()
	p := &Page{t: t, browser: b}
	var made struct{ BrowserContextID, TargetID, SessionID string }
	p.must(&made, "Target.createBrowserContext", nil)
	p.must(&made, "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": made.BrowserContextID})
	p.must(&made, "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true})
	p.target = made.TargetID
	p.listens(made.SessionID)
	scheme := "light"
	if w.Dark {
		scheme = "dark"
	}
	p.must(nil, "Emulation.setDeviceMetricsOverride", map[string]any{"width": w.Width, "height": w.Height, "deviceScaleFactor": 1, "mobile": false})
	p.must(nil, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
	p.must(nil, "Page.navigate", map[string]any{"url": address})
	p.Until("the page is loaded", fmt.Sprintf(`document.readyState === 'complete' && location.href.startsWith(%q)`, address))
	return p
}

// listens makes the page hear what the browser tells of it in a session.
func (p *Page) listens(session string) {
	p.t.Helper()
	p.session = session
	p.browser.mu.Lock()
	p.browser.pages[session] = p
	p.browser.mu.Unlock()
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		p.must(nil, domain+".enable", nil)
	}
}

// Opens evaluates an expression as if the person had clicked, which opens a window, and
// returns that window. It shares the page's cookies. What happens in it before Opens
// returns is not among its Requests and Complaints.
func (p *Page) Opens(expression string) *Page {
	p.t.Helper()
	p.must(nil, "Runtime.evaluate", map[string]any{"expression": expression, "userGesture": true})
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var all struct {
			TargetInfos []struct{ TargetID, Type, OpenerID string }
		}
		raw, err := p.browser.call("", "Target.getTargets", nil)
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		for _, info := range all.TargetInfos {
			if info.Type != "page" || info.OpenerID != p.target {
				continue
			}
			var attached struct{ SessionID string }
			opened := &Page{t: p.t, browser: p.browser, target: info.TargetID}
			opened.must(&attached, "Target.attachToTarget", map[string]any{"targetId": info.TargetID, "flatten": true})
			opened.listens(attached.SessionID)
			return opened
		}
		select {
		case <-deadline.C:
			p.t.Fatalf("%s opened no window", expression)
		case <-tick.C:
		}
	}
}

// Eval evaluates an expression in the page, waits for it if it is a promise, and
// decodes its value into to, which may be nil.
func (p *Page) Eval(expression string, to any) {
	p.t.Helper()
	if err := p.eval(expression, to); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Page) eval(expression string, to any) error {
	raw, err := p.browser.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	var evaluated struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if err := json.Unmarshal(raw, &evaluated); err != nil {
		return err
	}
	if evaluated.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", expression, evaluated.ExceptionDetails.Exception.Description)
	}
	if to == nil || evaluated.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(evaluated.Result.Value, to)
}

// Until waits until an expression is true; what says of what, for when it never is.
func (p *Page) Until(what, expression string) {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var met bool
		err := p.eval("Boolean("+expression+")", &met)
		if met {
			return
		}
		select {
		case <-deadline.C:
			var shown string
			_ = p.eval("document.body.innerText", &shown)
			p.t.Fatalf("it did not come to pass that %s (%v); complaints: %q; the page shows:\n%s", what, err, p.Complaints(), shown)
		case <-tick.C:
		}
	}
}

// Click clicks in the middle of the first element that a CSS selector finds, once it
// is there.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Until(selector+" is there", fmt.Sprintf(`document.querySelector(%q)?.getClientRects().length`, selector))
	var at struct{ X, Y float64 }
	p.Eval(fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
		const box = element.getBoundingClientRect();
		return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
	})()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.must(nil, "Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1})
	}
}

// Type puts text into the field that a CSS selector finds, in place of what is there.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.Eval(fmt.Sprintf(`{ const field = document.querySelector(%q); field.focus(); field.select(); }`, selector), nil)
	p.must(nil, "Input.insertText", map[string]any{"text": text})
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.Eval(`window.loadedBefore = true`, nil)
	p.must(nil, "Page.reload", nil)
	p.Until("the page is loaded again", `document.readyState === 'complete' && !window.loadedBefore`)
}

// Picture is a PNG of what the window shows.
func (p *Page) Picture() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	p.must(&shot, "Page.captureScreenshot", map[string]any{"format": "png"})
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

// Requests are the addresses that the page itself asked for until now, sockets'
// included.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Complaints are the errors that the page threw or logged, and what the browser held
// against it: what a content security policy forbade, what could not be loaded.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// hears notes what the browser tells of the page.
func (p *Page) hears(method string, params json.RawMessage) {
	var told struct {
		Request struct{ URL string }
		URL     string
		Type    string
		Args    []struct{ Value, Description any }
		Entry   struct{ Level, Text, URL string }

		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	// The fields that other events have under these names are of other types, and of no
	// interest.
	_ = json.Unmarshal(params, &told)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case method == "Network.requestWillBeSent":
		p.requests = append(p.requests, told.Request.URL)
	case method == "Network.webSocketCreated":
		p.requests = append(p.requests, told.URL)
	case method == "Log.entryAdded" && told.Entry.Level == "error":
		p.complaints = append(p.complaints, told.Entry.Text+" "+told.Entry.URL)
	case method == "Runtime.consoleAPICalled" && told.Type == "error":
		p.complaints = append(p.complaints, fmt.Sprint(told.Args))
	case method == "Runtime.exceptionThrown":
		p.complaints = append(p.complaints, told.ExceptionDetails.Text+" "+told.ExceptionDetails.Exception.Description)
	}
}

// must calls the browser for the page and ends the test if that does not work.
func (p *Page) must(to any, method string, params any) {
	p.t.Helper()
	raw, err := p.browser.call(p.session, method, params)
	if err == nil && to != nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
