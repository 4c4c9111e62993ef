package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// View is how a page is looked at.
type View struct {
	// Theme is light or dark: what the system asks for.
	Theme string
	// Width and Height are of the window, in CSS pixels.
	Width, Height int
	// Moving leaves animations as they are. Otherwise the system asks for less motion.
	Moving bool
}

// Page is one tab. Its methods are called from one goroutine.
type Page struct {
	tab   context.Context // chromedp keeps the tab in a context
	close context.CancelFunc
	seen  *record
}

// Keys for Press.
const (
	Tab       = kb.Tab
	Enter     = kb.Enter
	Escape    = kb.Escape
	ArrowDown = kb.ArrowDown
	ArrowUp   = kb.ArrowUp
)

// Open makes a tab, with cookies and storage of its own.
func (b *Browser) Open(v View) (*Page, error) {
	seen := newRecord()
	tab, closeTab := chromedp.NewContext(b.root, chromedp.WithNewBrowserContext(), chromedp.WithListener(seen.event))
	p := &Page{tab: tab, close: closeTab, seen: seen}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.Theme}}
	if !v.Moving {
		features = append(features, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	}
	err := chromedp.Do(tab, // without a timeout: the tab lives as long as the context that made it
		chromedp.EmulateViewport(int64(v.Width), int64(v.Height)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			if _, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{}); err != nil {
				return err
			}
			// What a page weighs is asked of one who comes for the first time.
			if _, err := cdp.Call(ctx, t, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
				return err
			}
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return err
		}))
	if err != nil {
		closeTab()
		return nil, fmt.Errorf("open a tab: %w", err)
	}
	return p, nil
}

// Close closes the tab.
func (p *Page) Close() { p.close() }

// Go loads an address, from the beginning even where only what is behind its # is new, and returns
// when its document is there. The record of what is fetched begins anew with it.
func (p *Page) Go(url string) error {
	if err := p.do("leave", chromedp.Navigate("about:blank")); err != nil {
		return err
	}
	p.Forget()
	return p.do("go to "+url, chromedp.Navigate(url))
}

// Resize changes the window.
func (p *Page) Resize(width, height int) error {
	return p.do("resize", chromedp.EmulateViewport(int64(width), int64(height)))
}

// Press presses keys, one after the other, as a keyboard does.
func (p *Page) Press(keys string) error {
	var strokes []chromedp.Action[chromedp.Void]
	for _, key := range keys {
		for _, e := range stroke(key) {
			strokes = append(strokes, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *e)
				return err
			}))
		}
	}
	return p.do(fmt.Sprintf("press %q", keys), strokes...)
}

// stroke is one key as the protocol has it. What it types goes down with the key: as an event of its own, as
// package kb has it, it would be typed even where the page has made something else of the key.
func stroke(key rune) []*input.DispatchKeyEventParams {
	var events []*input.DispatchKeyEventParams
	for _, e := range kb.Encode(key) {
		switch {
		case e.Type == kb.KeyChar && len(events) > 0:
			down := events[len(events)-1]
			down.Type, down.Text, down.UnmodifiedText = kb.KeyDown, e.Text, e.UnmodifiedText
		default:
			events = append(events, e)
		}
	}
	return events
}

// Click clicks into the middle of the first element that a CSS selector finds, once it is visible.
func (p *Page) Click(selector string) error {
	return p.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Fill puts text in the place of what the first element of a CSS selector holds, as a person
// does: it is focused, emptied and typed into.
func (p *Page) Fill(selector, text string) error {
	js := fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.select?.(); return true })()`, selector)
	if _, err := Eval[bool](p, js); err != nil {
		return err
	}
	return p.Press(text)
}

// Shot is a picture of the window, or of the whole page, as PNG.
func (p *Page) Shot(whole bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.tab, actionTime)
	defer cancel()
	if whole {
		return chromedp.Run(ctx, chromedp.FullScreenshot(100))
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// Save writes such a picture to a file.
func (p *Page) Save(path string, whole bool) error {
	png, err := p.Shot(whole)
	if err != nil {
		return fmt.Errorf("take a picture: %w", err)
	}
	return os.WriteFile(path, png, 0o644)
}

// Eval evaluates JavaScript in the page and returns its value; of a promise, what it comes to.
func Eval[T any](p *Page, js string) (T, error) {
	ctx, cancel := context.WithTimeout(p.tab, actionTime)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("evaluate %s: %w", short(js), err)
	}
	return v, nil
}

// Until waits for a JavaScript expression to be true, for at most d. A page that is left in the
// meantime is looked at again.
func (p *Page) Until(js string, d time.Duration) error {
	const step = 250 // ms that one look lasts in the page, so that a new page is seen soon
	look := fmt.Sprintf(`new Promise((done) => { const end = performance.now() + %d;
		const try_ = () => { let ok = false; try { ok = !!(%s) } catch {} ;
			if (ok || performance.now() > end) done(ok); else setTimeout(try_, 10) }; try_() })`, step, js)
	var last error
	for end := time.Now().Add(d); time.Now().Before(end); {
		ok, err := Eval[bool](p, look)
		if ok && err == nil {
			return nil
		}
		if last = err; err != nil {
			time.Sleep(10 * time.Millisecond) // between two pages
		}
	}
	if last != nil {
		return fmt.Errorf("waited %s for %s: %w", d, short(js), last)
	}
	return fmt.Errorf("waited %s in vain for %s", d, short(js))
}

func (p *Page) do(what string, actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(p.tab, actionTime)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func short(js string) string {
	const most = 160
	js = strings.Join(strings.Fields(js), " ")
	if len(js) > most {
		return js[:most] + "..."
	}
	return js
}
