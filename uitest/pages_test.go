package uitest_test

import (
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// What a page may take of those who look at it (the project's own demands).
const (
	loadTime  = time.Second
	loadBytes = 200 << 10 // compressed, over the wire
	tries     = 3         // the best counts: it is the dashboard that is measured, not what else the machine does
	narrow    = 320       // CSS pixels: WCAG 1.4.10, 400 % zoom of 1280
)

// pages looks at each page in both themes.
func (s *suite) pages(t *testing.T) {
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) {
			v := desk
			v.Theme = theme
			p := s.tab(t, v)
			for _, page := range append(pageNames(), s.oneRequest(t, p)) {
				t.Run(strings.ReplaceAll(page, "/", "-"), func(t *testing.T) {
					must(t, p.Resize(v.Width, v.Height))
					s.measure(t, p, page)
					must(t, p.Press("p")) // what moves would change under the eyes
					s.look(t, p)
					must(t, p.Resize(narrow, 800))
					time.Sleep(50 * time.Millisecond) // for what watches its own size
					fits(t, p)
					if theme == "light" { // colours do not depend on the width
						s.look(t, p)
					}
				})
			}
		})
	}
}

// oneRequest is the page of the newest request.
func (s *suite) oneRequest(t *testing.T, p *browser.Page) string {
	t.Helper()
	s.show(t, p, "requests")
	hash := value[string](t, p, `document.querySelector("a[href^='#/request/']")?.getAttribute("href") ?? ""`)
	if hash == "" {
		t.Fatal("the list of requests leads to none")
	}
	return strings.TrimPrefix(hash, "#/")
}

// measure loads a page and looks at what that took.
func (s *suite) measure(t *testing.T, p *browser.Page, page string) {
	t.Helper()
	var best time.Duration
	for range tries {
		s.show(t, p, page)
		took := time.Duration(value[float64](t, p, "performance.now()") * float64(time.Millisecond))
		if best == 0 || took < best {
			best = took
		}
		if best <= time.Duration(float64(loadTime)*crowd()) {
			break
		}
	}
	if allowed := time.Duration(float64(loadTime) * crowd()); best > allowed {
		t.Errorf("it took %s to load, of %s", best.Round(time.Millisecond), allowed.Round(time.Millisecond))
	}
	n := p.Bytes()
	if n > loadBytes {
		t.Errorf("it weighs %d bytes, of %d", n, loadBytes)
	}
	t.Logf("%s, %.1f kB, %d requests", best.Round(time.Millisecond), float64(n)/1000, len(p.Requests()))
}

// crowd is how many programs share each processor, at least 1: where others work too, a page takes so much
// longer, which says nothing about it. Where the system does not tell, the machine is taken to be idle.
func crowd() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return max(1, load/float64(runtime.NumCPU()))
}

// look finds what is wrong with the page that is shown: console, network, accessibility.
func (s *suite) look(t *testing.T, p *browser.Page) {
	t.Helper()
	for _, fault := range p.Faults() {
		t.Error(fault)
	}
	own, err := url.Parse(s.url)
	must(t, err)
	for _, q := range p.Requests() {
		u, err := url.Parse(q.URL)
		if err != nil || (u.Host != own.Host && u.Scheme != "data" && u.Scheme != "blob" && q.URL != "about:blank") {
			t.Errorf("it asks another host: %s", q.URL)
		}
		if q.Status >= 400 {
			t.Errorf("%s %s answered %d", q.Method, q.URL, q.Status)
		}
	}
	found, err := p.Axe(s.axe)
	must(t, err)
	for _, v := range found {
		t.Errorf("axe-core: %s", v)
	}
}

// fits says that the page does not scroll sideways, and what makes it do so.
func fits(t *testing.T, p *browser.Page) {
	t.Helper()
	over := value[string](t, p, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return "";
		const scrolls = (e) => { for (; e; e = e.parentElement) if (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)) return true; return false };
		const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e.parentElement));
		return document.documentElement.scrollWidth + " px of " + width + ": " + wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 160)).join("\n");
	})()`)
	if over != "" {
		t.Errorf("it is wider than the window: %s", over)
	}
}
