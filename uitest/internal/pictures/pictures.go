// Package pictures takes the pictures of the dashboard that the documentation shows, with a browser.
package pictures

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// patience is how long a page may take to show all it has.
const patience = 30 * time.Second

// Sizes in CSS pixels: a picture is no higher than a screen and a half, whatever the page has below, and a
// telephone is so wide.
const (
	highest = 1500
	narrow  = 320
)

// settled is true in a page that waits for nothing.
const settled = `document.querySelector("main h1") && !document.querySelector(".skeleton, [aria-busy=true]")
	&& ![...document.querySelectorAll(".chart-empty")].some((e) => e.textContent === "Loading…")`

// Pages are all pages of the dashboard; request is the newest one.
func Pages() []string {
	return []string{"overview", "operations", "requests", "request", "cache", "queue", "reliability", "alarms", "cost", "configuration"}
}

// Plan says which pictures are taken, and of what.
type Plan struct {
	// URL is the server's address, Key a key of it; a server without keys needs none.
	URL, Key string
	// Out is the folder for the pictures.
	Out string
	// Pages and Themes are what is taken: each page in each theme.
	Pages, Themes []string
	// Width and Height are the window's, in CSS pixels.
	Width, Height int
	// Narrow takes each page at the width of a telephone too, Window the window alone and not the whole page.
	Narrow, Window bool
	// Span is the time range of the pages, such as 15m; empty for the dashboard's own.
	Span string
	// Search chooses the request that is shown, such as "outcome=degraded"; empty for the newest of all.
	Search string
}

// Take takes the pictures.
func Take(p *Plan) error {
	path, err := browser.Find()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.Out, 0o755); err != nil {
		return err
	}
	b, err := browser.Start(path)
	if err != nil {
		return err
	}
	for _, theme := range p.Themes {
		if err = take(b, p, theme); err != nil {
			break
		}
	}
	if closed := b.Close(); err == nil {
		err = closed
	}
	return err
}

// take takes all pages in one theme.
func take(b *browser.Browser, p *Plan, theme string) error {
	tab, err := b.Open(browser.View{Theme: theme, Width: p.Width, Height: p.Height})
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := enter(tab, p); err != nil {
		return err
	}
	for _, page := range p.Pages {
		if err := show(tab, p, page); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
		if err := tab.Resize(p.Width, p.Height); err != nil {
			return err
		}
		if err := save(tab, p, page+"-"+theme, p.Width); err != nil {
			return err
		}
		if !p.Narrow {
			continue
		}
		if err := tab.Resize(narrow, p.Height); err != nil {
			return err
		}
		if err := save(tab, p, page+"-narrow-"+theme, narrow); err != nil {
			return err
		}
	}
	return nil
}

// enter logs in where that is asked for.
func enter(tab *browser.Page, p *Plan) error {
	const login = `document.querySelector("input[type=password]")`
	if err := tab.Go(p.URL + "/ui/"); err != nil {
		return err
	}
	if err := tab.Until(login+" || ("+settled+")", patience); err != nil {
		return err
	}
	asked, err := browser.Eval[bool](tab, "!!"+login)
	if err != nil || !asked {
		return err
	}
	if err := tab.Fill("input[type=password]", p.Key); err != nil {
		return err
	}
	if err := tab.Press(browser.Enter); err != nil {
		return err
	}
	if err := tab.Until(settled+" && !"+login, patience); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// show opens a page and waits until it is there.
func show(tab *browser.Page, p *Plan, page string) error {
	at := page
	if page == "request" {
		link, err := newest(tab, p, p.Search)
		if link == "" && err == nil && p.Search != "" {
			link, err = newest(tab, p, "") // none is as it was asked for
		}
		if err != nil {
			return err
		}
		if link == "" {
			return fmt.Errorf("there is no request to show")
		}
		at, _, _ = strings.Cut(strings.TrimPrefix(link, "#/"), "?")
	}
	if p.Span != "" && !strings.Contains(at, "?") {
		at += "?window=" + p.Span
	}
	if err := tab.Go(p.URL + "/ui/#/" + at); err != nil {
		return err
	}
	return tab.Until(settled, patience)
}

// newest is the link to the newest request of those that a filter chooses; empty for none.
func newest(tab *browser.Page, p *Plan, filter string) (string, error) {
	if err := show(tab, p, "requests?"+filter); err != nil {
		return "", err
	}
	return browser.Eval[string](tab, `document.querySelector("a[href^='#/request/']")?.getAttribute("href") ?? ""`)
}

// save takes the picture, once charts have found their size. For the whole page the window is made as high as
// the page, so that what stays in the window while one scrolls reaches to the end of it.
func save(tab *browser.Page, p *Plan, name string, width int) error {
	if !p.Window {
		height, err := browser.Eval[int](tab, "document.documentElement.scrollHeight")
		if err != nil {
			return err
		}
		if err := tab.Resize(width, min(max(height, p.Height), highest)); err != nil {
			return err
		}
	}
	time.Sleep(300 * time.Millisecond)
	text, err := tab.Shot(false)
	if err != nil {
		return fmt.Errorf("take a picture: %w", err)
	}
	if text, err = compact(text); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.Out, name+".png"), text, 0o644)
}
