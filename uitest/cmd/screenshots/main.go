// Command screenshots takes the pictures of the dashboard that the documentation shows, from a server that
// runs:
//
//	cd uitest && go run ./cmd/screenshots -url http://127.0.0.1:8080 -key $KEY
//
// Each page becomes <page>-light.png and <page>-dark.png, and with -narrow the same at the width of a
// telephone. A server without keys needs none.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

// patience is how long a page may take to show all it has.
const patience = 30 * time.Second

// settled is true in a page that waits for nothing.
const settled = `document.querySelector("main h1") && !document.querySelector(".skeleton, [aria-busy=true]")
	&& ![...document.querySelectorAll(".chart-empty")].some((e) => e.textContent === "Loading…")`

// plan is what the flags ask for.
type plan struct {
	url, key, out  string
	pages, themes  []string
	width, height  int
	narrow, window bool
	span           string
}

func main() {
	var p plan
	flag.StringVar(&p.url, "url", "http://127.0.0.1:8080", "the server's address")
	flag.StringVar(&p.key, "key", "", "a key with the scope admin; empty for a server without keys")
	flag.StringVar(&p.out, "out", filepath.Join("..", "docs", "screenshots"), "the folder for the pictures")
	pages := flag.String("pages", "overview,operations,requests,request,cache,queue,reliability,alarms,cost,configuration", "the pages; request is the newest one")
	themes := flag.String("themes", "light,dark", "the themes")
	flag.IntVar(&p.width, "width", 1280, "the window's width")
	flag.IntVar(&p.height, "height", 800, "the window's height")
	flag.BoolVar(&p.narrow, "narrow", false, "take the pages at the width of a telephone too")
	flag.BoolVar(&p.window, "window", false, "take the window alone and not the whole page")
	flag.StringVar(&p.span, "span", "", "the time range of the pages: 15m, 1h, 6h, 24h, 7d or 30d; empty for the dashboard's own")
	flag.Parse()
	p.pages, p.themes = strings.Split(*pages, ","), strings.Split(*themes, ",")
	if err := run(&p); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(p *plan) error {
	path, err := browser.Find()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	b, err := browser.Start(path)
	if err != nil {
		return err
	}
	for _, theme := range p.themes {
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
func take(b *browser.Browser, p *plan, theme string) error {
	tab, err := b.Open(browser.View{Theme: theme, Width: p.width, Height: p.height})
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := enter(tab, p); err != nil {
		return err
	}
	for _, page := range p.pages {
		if err := show(tab, p, page); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
		if err := tab.Resize(p.width, p.height); err != nil {
			return err
		}
		if err := save(tab, p, page+"-"+theme); err != nil {
			return err
		}
		if !p.narrow {
			continue
		}
		if err := tab.Resize(320, 720); err != nil {
			return err
		}
		if err := save(tab, p, page+"-narrow-"+theme); err != nil {
			return err
		}
	}
	return nil
}

// enter logs in where that is asked for.
func enter(tab *browser.Page, p *plan) error {
	const login = `document.querySelector("input[type=password]")`
	if err := tab.Go(p.url + "/ui/"); err != nil {
		return err
	}
	if err := tab.Until(login+" || ("+settled+")", patience); err != nil {
		return err
	}
	asked, err := browser.Eval[bool](tab, "!!"+login)
	if err != nil || !asked {
		return err
	}
	if err := tab.Fill("input[type=password]", p.key); err != nil {
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
func show(tab *browser.Page, p *plan, page string) error {
	at := page
	if page == "request" {
		if err := show(tab, p, "requests"); err != nil {
			return err
		}
		link, err := browser.Eval[string](tab, `document.querySelector("a[href^='#/request/']")?.getAttribute("href") ?? ""`)
		if err != nil {
			return err
		}
		if link == "" {
			return fmt.Errorf("there is no request to show")
		}
		at, _, _ = strings.Cut(strings.TrimPrefix(link, "#/"), "?")
	}
	if p.span != "" {
		at += "?window=" + p.span
	}
	if err := tab.Go(p.url + "/ui/#/" + at); err != nil {
		return err
	}
	return tab.Until(settled, patience)
}

// save takes the picture, once charts have found their size.
func save(tab *browser.Page, p *plan, name string) error {
	time.Sleep(200 * time.Millisecond)
	return tab.Save(filepath.Join(p.out, name+".png"), !p.window)
}
