package uitest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/fakeapi"
	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// login tries a wrong key and then the right one, and logs out.
func (s *suite) login(t *testing.T) {
	p, err := s.browser.Open(desk)
	must(t, err)
	t.Cleanup(p.Close)
	must(t, p.Go(s.url+"/ui/"))
	must(t, p.Until(`document.querySelector("input[type=password]")`, patience))
	must(t, p.Fill("input[type=password]", "not-the-key-0123456789"))
	must(t, p.Press(browser.Enter))
	must(t, p.Until(`document.querySelector("[role=alert]")`, patience))
	found, err := p.Axe(s.axe)
	must(t, err)
	for _, v := range found {
		t.Errorf("axe-core: %s", v)
	}
	must(t, p.Fill("input[type=password]", s.key))
	must(t, p.Press(browser.Enter))
	must(t, p.Until(ready, patience))
	sees(t, p, "Overview")
	if kept := value[string](t, p, "JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie"); strings.Contains(kept, s.key) {
		t.Error("the page keeps the key")
	}
	press(t, p, "Log out")
	must(t, p.Until(`document.querySelector("input[type=password]")`, patience))
	if status := value[int](t, p, `fetch("../v1/me").then((r) => r.status)`); status != 401 {
		t.Errorf("after the logout /v1/me answers %d", status)
	}
}

// changes makes each kind of change that the pages offer, as a person does.
func (s *suite) changes(t *testing.T) {
	p := s.tab(t, desk)
	t.Run("csrf", func(t *testing.T) { s.csrf(t, p) })
	t.Run("invalidate", func(t *testing.T) { s.invalidate(t, p) })
	t.Run("breaker", func(t *testing.T) { s.forceBreaker(t, p) })
	t.Run("silence", func(t *testing.T) { s.silence(t, p) })
	t.Run("job", func(t *testing.T) { s.cancelJob(t, p) })
	t.Run("export", func(t *testing.T) { s.export(t, p) })
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("console: %s", strings.Join(faults, "\n"))
	}
}

// csrf makes a change without the header that other sites cannot send, and is refused.
func (s *suite) csrf(t *testing.T, p *browser.Page) {
	s.show(t, p, "alarms")
	const send = `fetch("../v1/alarms/silences", {method: "POST", headers: {"content-type": "application/json", %s},
		body: JSON.stringify({alarm: "*", for: "1m"})}).then((r) => r.status)`
	for name, head := range map[string]string{"none": "", "a wrong one": `"x-forebay-csrf": "wrong"`} {
		if status := value[int](t, p, fmt.Sprintf(send, head)); status != 403 {
			t.Errorf("with the header %s a change answers %d, not 403", name, status)
		}
	}
	right := value[int](t, p, fmt.Sprintf(`fetch("../v1/me").then((r) => r.json()).then((me) => %s)`, fmt.Sprintf(send, `"x-forebay-csrf": me.csrf`)))
	if right < 200 || right > 299 {
		t.Errorf("with the right header it answers %d", right)
	}
	p.Forget() // the console tells of each refusal
}

// invalidate counts first, tells the number, and then makes the answers void.
func (s *suite) invalidate(t *testing.T, p *browser.Page) {
	s.show(t, p, "cache")
	value[bool](t, p, `(() => { window.sent = []; const send = window.fetch;
		window.fetch = (url, o) => { if (o?.method === "POST") window.sent.push(JSON.parse(o.body).dry_run ?? false); return send(url, o) }; return true })()`)
	press(t, p, "Invalidate…")
	must(t, p.Until(`document.querySelector("dialog[open] datalist option")`, patience))
	operation := value[string](t, p, `document.querySelector("dialog[open] datalist option").value`)
	must(t, p.Fill("dialog[open] input[list]", operation))
	if n := value[int](t, p, `[...document.querySelectorAll("dialog[open] .danger")].length`); n != 0 {
		t.Fatal("it can be done before it was counted")
	}
	press(t, p, "Count first")
	sees(t, p, "would be void")
	if dry := value[[]bool](t, p, "window.sent"); !slices.Equal(dry, []bool{true}) {
		t.Fatalf("counting sent changes with dry_run %v", dry)
	}
	must(t, p.Click("dialog[open] .button.danger"))
	sees(t, p, "are void")
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
	if dry := value[[]bool](t, p, "window.sent"); !slices.Equal(dry, []bool{true, false}) {
		t.Errorf("all in all it sent changes with dry_run %v", dry)
	}
}

// forceBreaker opens one with a reason, sees it, and leaves it to itself again.
func (s *suite) forceBreaker(t *testing.T, p *browser.Page) {
	s.show(t, p, "reliability")
	// One that is closed: it offers to be forced open first.
	change := value[string](t, p, `(() => { const row = [...document.querySelectorAll("tr")].find((r) => r.innerText.includes("closed") && r.innerText.includes("Change…"));
		return row?.querySelector("button").getAttribute("aria-label") ?? "" })()`)
	if change == "" {
		t.Fatal("no breaker can be forced")
	}
	press(t, p, change)
	must(t, p.Until(`document.querySelector("dialog[open] input")`, patience))
	must(t, p.Fill("dialog[open] input", "maintenance until noon"))
	press(t, p, "Force open")
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
	sees(t, p, "maintenance until noon")
	row := fmt.Sprintf(`document.querySelector("tr button[aria-label=" + JSON.stringify(%q) + "]").closest("tr").innerText`, change)
	must(t, p.Until(row+`.includes("open, forced")`, patience))
	press(t, p, change)
	press(t, p, "Reset")
	must(t, p.Until(`!document.querySelector("dialog[open]") && !`+row+`.includes("forced")`, patience))
}

// silence makes one for what fires, and ends it.
func (s *suite) silence(t *testing.T, p *browser.Page) {
	s.show(t, p, "alarms")
	const comment = "we are at it"
	press(t, p, "Silence…")
	must(t, p.Until(`document.querySelector("dialog[open] select")`, patience))
	must(t, p.Fill("dialog[open] input[type=text]", comment))
	press(t, p, "Silence")
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
	sees(t, p, comment)
	value[bool](t, p, `(() => { const row = [...document.querySelectorAll("tr")].find((r) => r.innerText.includes("`+comment+`"));
		row.querySelector("button").click(); return true })()`)
	must(t, p.Until(`!document.body.innerText.includes("`+comment+`")`, patience))
}

// cancelJob opens a queued job from the list and cancels it.
func (s *suite) cancelJob(t *testing.T, p *browser.Page) {
	s.show(t, p, "queue?state=queued")
	must(t, p.Until(`document.querySelector("#job-list")?.closest("section").querySelector("[data-row]")`, patience))
	must(t, p.Press("j"))
	must(t, p.Press(browser.Enter))
	press(t, p, "Cancel the job…")
	press(t, p, "Cancel the job")
	must(t, p.Until(`document.querySelectorAll("dialog[open]").length === 1 && document.querySelector("dialog[open]").innerText.includes("cancelled")`, patience))
	must(t, p.Press(browser.Escape))
	must(t, p.Until(`!document.querySelector("dialog[open]")`, patience))
}

// export saves the table of costs as a file.
func (s *suite) export(t *testing.T, p *browser.Page) {
	s.show(t, p, "cost")
	// What would be saved is read in its place: a test has no folder for downloads.
	value[bool](t, p, `(() => { window.saved = []; const make = URL.createObjectURL;
		URL.createObjectURL = (b) => { b.text().then((x) => window.saved.push(x)); return make.call(URL, b) }; return true })()`)
	press(t, p, "CSV")
	must(t, p.Until("window.saved.length === 1", patience))
	if text := value[string](t, p, "window.saved[0]"); !strings.HasPrefix(text, "user,calls,hits,") || strings.Count(text, "\r\n") < 2 {
		t.Errorf("it saved %.200q", text)
	}
}

// pause is how long a paused list is watched. The fake server has several calls a second.
const pause = 1500 * time.Millisecond

// live pauses the list of requests and lets it go on.
func (s *suite) live(t *testing.T) {
	p := s.tab(t, desk)
	s.show(t, p, "requests")
	// newest is the first row; what has come since waits behind a button.
	const newest = `(document.querySelector("tbody tr")?.innerText ?? "") + (document.querySelector(".new-rows")?.innerText ?? "")`
	first := value[string](t, p, newest)
	must(t, p.Until(newest+" !== "+quoted(first), patience)) // it is live
	must(t, p.Press("p"))
	sees(t, p, "Paused")
	held := value[string](t, p, "document.querySelector('tbody').innerText.split('\\n')[0]")
	if err := p.Until("document.querySelector('tbody').innerText.split('\\n')[0] !== "+quoted(held), pause); err == nil {
		t.Error("rows move although the list is paused")
	}
	must(t, p.Press("p"))
	must(t, p.Until(newest+" !== "+quoted(first), patience))
	// Also what had come and was not drawn yet when it was paused stays away until it goes on.
	moved := value[[]string](t, p, `(async () => {
		const row = () => document.querySelector("tbody").innerText.split("\n")[0];
		const wait = (ms) => new Promise((next) => setTimeout(next, ms));
		const p = () => document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "p", bubbles: true}));
		const moved = [];
		for (let i = 0; i < 8; i++) {
			p();
			const held = row();
			await wait(600);
			if (row() !== held) moved.push(held + " became " + row());
			p();
			await wait(500 + 60 * i);
		}
		return moved })()`)
	if len(moved) > 0 {
		t.Errorf("in %d of 8 pauses rows moved: %q", len(moved), moved)
	}
}

// readOnly shows everything and offers no change.
func (s *suite) readOnly(t *testing.T) {
	url, key := fake(t, fakeapi.Config{ReadOnly: true})
	p := s.tabAt(t, desk, url, key)
	for _, page := range []string{"cache", "queue", "reliability", "alarms"} {
		must(t, p.Go(url+"/ui/#/"+page))
		must(t, p.Until(ready, patience))
		offered := value[[]string](t, p, `[...document.querySelectorAll("main button")].map((b) => b.getAttribute("aria-label") ?? b.innerText)
			.filter((x) => /^(Invalidate|Pause…|Resume|Purge|Requeue|Change…|Change the breaker|Silence|End the|Send a test|Test all|Cancel)/.test(x.trim()))`)
		if len(offered) > 0 {
			t.Errorf("%s offers changes: %v", page, offered)
		}
	}
	status := value[int](t, p, `fetch("../v1/me").then((r) => r.json()).then((me) => fetch("../v1/alarms/silences", {method: "POST",
		headers: {"content-type": "application/json", "x-forebay-csrf": me.csrf ?? ""}, body: JSON.stringify({alarm: "*", for: "1m"})})).then((r) => r.status)`)
	if status != 403 {
		t.Errorf("a change answers %d, not 403", status)
	}
}
