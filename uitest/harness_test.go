// Package uitest_test looks at the dashboard in a real browser: every page in both themes, by mouse and by
// keyboard, at the width of a desk and of a telephone.
//
// TestDashboard has the pages talk to package fakeapi, whose figures are always the same; with FOREBAY_UI_URL
// (such as http://127.0.0.1:8080) and FOREBAY_UI_KEY they talk to a server that runs. TestDashboardOfTheBinary
// and TestAMillionRequests build forebay and start it on a configuration of their own.
package uitest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/bundle"
	"github.com/forebay-ai/forebay/uitest/fakeapi"
	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// How long is waited for a page, with other work on the machine; what a page may take is loadTime.
const patience = 15 * time.Second

// desk is how most people see the dashboard.
var desk = browser.View{Theme: "light", Width: 1280, Height: 900}

// pageNames are the dashboard's pages, but for a single request's.
func pageNames() []string {
	return []string{"overview", "operations", "requests", "cache", "queue", "reliability", "alarms", "cost", "configuration"}
}

// ready is true in a page that shows all it has to show.
const ready = `document.querySelector("main h1") && !document.querySelector(".skeleton, main[aria-busy], [aria-busy=true]")
	&& ![...document.querySelectorAll(".chart-empty")].some((e) => e.textContent === "Loading…")`

// suite is one browser and the server that it looks at.
type suite struct {
	browser  *browser.Browser
	url, key string
	axe      string // the text of axe-core
}

// TestDashboard runs everything with one browser.
func TestDashboard(t *testing.T) {
	s := newSuite(t)
	s.url, s.key = open(t)
	t.Run("login", s.login)
	t.Run("pages", s.pages)
	t.Run("keyboard", s.keyboard)
	t.Run("first keys", s.firstKeys)
	t.Run("changes", s.changes)
	t.Run("live", s.live)
	t.Run("read-only", s.readOnly)
}

// newSuite starts a browser, which ends with the test. Whose pages it looks at is still to be said.
func newSuite(t *testing.T) *suite {
	t.Helper()
	path, err := browser.Find()
	if err != nil {
		t.Skip(err)
	}
	s := &suite{axe: axeCore(t)}
	if s.browser, err = browser.Start(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.browser.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open starts the server, or finds the one that the environment names.
func open(t *testing.T) (url, key string) {
	t.Helper()
	if url := os.Getenv("FOREBAY_UI_URL"); url != "" {
		return strings.TrimSuffix(url, "/"), os.Getenv("FOREBAY_UI_KEY")
	}
	return fake(t, fakeapi.Config{})
}

// fake starts the API of package fakeapi with the dashboard as it is committed.
func fake(t *testing.T, cfg fakeapi.Config) (url, key string) {
	t.Helper()
	api, err := fakeapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections() // streams have no end of their own
		server.Close()
	})
	return server.URL, fakeapi.OperatorKey
}

// axeCore is the text of axe-core, from the packages that the bundle is made with.
func axeCore(t *testing.T) string {
	t.Helper()
	places := bundle.In("..")
	if err := places.Absolute(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := bundle.Install(ctx, places); err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile(filepath.Join(places.Modules, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tab opens a tab that is logged in and shows the overview.
func (s *suite) tab(t *testing.T, v browser.View) *browser.Page {
	t.Helper()
	return s.tabAt(t, v, s.url, s.key)
}

func (s *suite) tabAt(t *testing.T, v browser.View, url, key string) *browser.Page {
	t.Helper()
	p, err := s.browser.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	must(t, p.Go(url+"/ui/"))
	must(t, p.Until(`document.querySelector("input[type=password]") || (`+ready+`)`, patience))
	if ask, err := browser.Eval[bool](p, `!!document.querySelector("input[type=password]")`); err != nil || !ask {
		must(t, err)
		return p
	}
	must(t, p.Fill("input[type=password]", key))
	must(t, p.Press(browser.Enter))
	must(t, p.Until(ready, patience))
	return p
}

// show loads a page of the dashboard from the beginning.
func (s *suite) show(t *testing.T, p *browser.Page, page string) {
	t.Helper()
	must(t, p.Go(s.url+"/ui/#/"+page))
	if err := p.Until(ready, patience); err != nil {
		text, _ := browser.Eval[string](p, `document.body.innerText.slice(0, 600)`) // it only explains
		t.Fatalf("%s: %v\nfaults: %v\nthe page: %s", page, err, p.Faults(), text)
	}
}

// sees waits until the page shows a text.
func sees(t *testing.T, p *browser.Page, text string) {
	t.Helper()
	if err := p.Until(fmt.Sprintf("document.body.innerText.includes(%q)", text), patience); err != nil {
		all, _ := browser.Eval[string](p, "document.body.innerText") // it only explains
		t.Fatalf("the page does not show %q: %v\n%s", text, err, all)
	}
}

// press presses the button with this text, or this name; of several the last one, in a dialog before others. It
// does so in the page and not by the mouse: what loads meanwhile may move it.
func press(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	find := fmt.Sprintf(`(() => { const all = [...document.querySelectorAll("button, a")].filter((b) =>
		(b.getAttribute("aria-label") ?? b.innerText).trim() === %q && b.getClientRects().length > 0 && !b.disabled);
		const modal = [...document.querySelectorAll("dialog[open]")].at(-1);
		const button = (modal ? all.filter((b) => modal.contains(b)) : all).at(-1);
		button?.focus(); button?.click(); return !!button })()`, name)
	if err := p.Until(find, patience); err != nil {
		t.Fatalf("no button %q: %v", name, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value evaluates JavaScript.
func value[T any](t *testing.T, p *browser.Page, js string) T {
	t.Helper()
	v, err := browser.Eval[T](p, js)
	must(t, err)
	return v
}
