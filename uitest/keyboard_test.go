package uitest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// keyboard goes over each page without a mouse.
func (s *suite) keyboard(t *testing.T) {
	p := s.tab(t, desk)
	t.Run("skip link", func(t *testing.T) { s.skipLink(t, p) })
	for _, page := range pageNames() {
		t.Run("tab over "+page, func(t *testing.T) { s.walk(t, p, page) })
	}
	for _, page := range []string{"requests", "queue", "configuration"} {
		t.Run("search in "+page, func(t *testing.T) { s.search(t, p, page) })
	}
	for _, page := range []string{"requests", "queue", "alarms"} {
		t.Run("rows of "+page, func(t *testing.T) { s.rows(t, p, page) })
	}
	t.Run("dialog", func(t *testing.T) { s.dialog(t, p) })
	t.Run("help", func(t *testing.T) { s.help(t, p) })
}

// skipLink is the first stop, shows itself there, and leads to the content.
func (s *suite) skipLink(t *testing.T, p *browser.Page) {
	s.show(t, p, "cache")
	must(t, p.Press(browser.Tab))
	if top := value[float64](t, p, `(() => { const e = document.activeElement; return e.matches(".skip") ? e.getBoundingClientRect().top : -1 })()`); top < 0 {
		t.Errorf("the first stop is no visible skip link: %s", value[string](t, p, "document.activeElement.outerHTML.slice(0, 200)"))
	}
	must(t, p.Press(browser.Enter))
	must(t, p.Until(`document.activeElement.matches("main")`, time.Second))
}

// stops marks each element that gets the focus, and whether one sees it there.
const stops = `(() => {
	window.stops = {blind: [], n: 0};
	document.addEventListener("focusin", (e) => {
		const el = e.target; window.stops.n++;
		if (el.hasAttribute("data-stop")) return;
		el.setAttribute("data-stop", "");
		const lit = (x) => { const s = getComputedStyle(x); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 };
		let seen = lit(el); for (let up = el.parentElement, i = 0; up && i < 2 && !seen; up = up.parentElement, i++) seen = up.matches(":focus-within") && lit(up);
		if (!seen) window.stops.blind.push(el.outerHTML.slice(0, 160));
	});
	document.activeElement?.blur(); return true })()`

// reachable are those that have to get it.
const reachable = `[...document.querySelectorAll("a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), textarea, [tabindex]:not([tabindex='-1'])")]
	.filter((e) => e.tabIndex >= 0 && e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden")`

// walk presses Tab until all has been reached.
func (s *suite) walk(t *testing.T, p *browser.Page, page string) {
	s.show(t, p, page)
	must(t, p.Press("p")) // what moves would come and go under the walk
	value[bool](t, p, stops)
	n := value[int](t, p, reachable+".length")
	const most = 600
	for range min(n, most) + 5 {
		must(t, p.Press(browser.Tab))
	}
	t.Logf("%d stops, %d times the focus moved", n, value[int](t, p, "window.stops.n"))
	missed := value[[]string](t, p, reachable+`.filter((e) => !e.hasAttribute("data-stop")).map((e) => e.outerHTML.slice(0, 160))`)
	if len(missed) > 0 {
		t.Errorf("Tab does not reach %d of %d: %s", len(missed), n, strings.Join(missed[:min(3, len(missed))], "\n"))
	}
	if blind := value[[]string](t, p, "window.stops.blind"); len(blind) > 0 {
		t.Errorf("the focus is not seen on %d of %d: %s", len(blind), n, strings.Join(blind[:min(3, len(blind))], "\n"))
	}
}

// search is reached by one key and takes what is typed.
func (s *suite) search(t *testing.T, p *browser.Page, page string) {
	s.show(t, p, page)
	must(t, p.Press("/"))
	must(t, p.Until(`document.activeElement.matches("[data-search]")`, time.Second))
	must(t, p.Press("a"))
	if typed := value[string](t, p, "document.activeElement.value"); typed != "a" {
		t.Errorf("the search holds %q", typed)
	}
}

// rows are walked by j and k and opened by Enter.
func (s *suite) rows(t *testing.T, p *browser.Page, page string) {
	s.show(t, p, page)
	at := `[...document.activeElement.closest("table")?.querySelectorAll("[data-row]") ?? []].indexOf(document.activeElement)`
	for _, step := range []struct {
		key  string
		want int
	}{{"j", 0}, {"j", 1}, {"j", 2}, {"k", 1}} {
		must(t, p.Press(step.key))
		if got := value[int](t, p, at); got != step.want {
			t.Fatalf("after %s the focus is in row %d, not %d", step.key, got, step.want)
		}
	}
	before := value[string](t, p, "location.hash")
	must(t, p.Press(browser.Enter))
	must(t, p.Until("location.hash !== "+quoted(before), patience))
}

// dialog keeps the focus inside, closes with Esc and gives the focus back.
func (s *suite) dialog(t *testing.T, p *browser.Page) {
	s.show(t, p, "cache")
	value[bool](t, p, `(() => { const b = [...document.querySelectorAll("button")].find((b) => b.innerText.trim() === "Invalidate…");
		b.setAttribute("data-opener", ""); b.focus(); return true })()`)
	must(t, p.Press(browser.Enter))
	must(t, p.Until(`document.querySelector("dialog[open]")?.contains(document.activeElement)`, patience))
	for range 14 {
		must(t, p.Press(browser.Tab))
		// Between its last and its first stop the browser's own window has the focus, and the page none.
		if out := value[string](t, p, `(() => { const e = document.activeElement;
			return e === document.body || e.closest("dialog[open]") ? "" : e.outerHTML.slice(0, 160) })()`); out != "" {
			t.Fatalf("the focus left the dialog: %s", out)
		}
	}
	found, err := p.Axe(s.axe)
	must(t, err)
	for _, v := range found {
		t.Errorf("axe-core: %s", v)
	}
	must(t, p.Press(browser.Escape))
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
	must(t, p.Until(`document.activeElement.hasAttribute("data-opener")`, time.Second))
}

// help tells of the keys.
func (s *suite) help(t *testing.T, p *browser.Page) {
	s.show(t, p, "overview")
	must(t, p.Press("?"))
	must(t, p.Until(`document.querySelector("dialog[open]")?.innerText.includes("next and previous row")`, patience))
	must(t, p.Press(browser.Escape))
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
	must(t, p.Press("g"))
	must(t, p.Press("a"))
	must(t, p.Until(`location.hash.startsWith("#/alarms")`, patience))
}

// quoted is s as JavaScript.
func quoted(s string) string {
	text, _ := json.Marshal(s) // texts do not fail
	return string(text)
}

// firstKeys types into each form at the moment at which it opens: a fast hand, or a slow
// machine, must not lose the first letter.
func (s *suite) firstKeys(t *testing.T) {
	p := s.tab(t, desk)
	for _, form := range []struct{ page, button string }{
		{"alarms", "Silence…"}, {"cache", "Invalidate…"}, {"reliability", "Change…"}, {"queue", "Purge…"},
	} {
		t.Run(form.page, func(t *testing.T) {
			s.show(t, p, form.page)
			// The observer runs right after the dialog is there, before a frame is drawn.
			got := value[[]string](t, p, fmt.Sprintf(`new Promise((done) => {
				const watch = new MutationObserver(async () => {
					const dialog = document.querySelector("dialog[open]");
					if (!dialog) return;
					watch.disconnect();
					const fields = [...dialog.querySelectorAll("input:not([type=checkbox]):not([type=radio]):not([type=date])")];
					for (const f of fields) {
						f.value = "w";
						f.dispatchEvent(new Event("input", {bubbles: true}));
						await new Promise((next) => queueMicrotask(next));
					}
					setTimeout(() => done(fields.map((f) => f.value)), 500);
				});
				watch.observe(document.body, {subtree: true, childList: true, attributes: true});
				[...document.querySelectorAll("button")].findLast((b) => b.innerText.trim() === %q && !b.disabled).click();
			})`, form.button))
			if len(got) == 0 || slices.ContainsFunc(got, func(v string) bool { return v != "w" }) {
				t.Errorf("after the first letter the fields have %q", got)
			}
			must(t, p.Press(browser.Escape))
			must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
		})
	}
}
