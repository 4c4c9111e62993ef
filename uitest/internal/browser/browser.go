// Package browser drives a headless Chromium for the tests of the dashboard and for the program
// that takes its pictures. A Browser is one process with a profile of its own; a Page is one tab
// with cookies of its own, which takes down what it fetched and what its console said. Nothing
// listens anywhere: the browser is spoken to through a pipe.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"
)

// Package is the Debian package that has the browser.
const Package = "chromium"

// The bounds of what is waited for.
const (
	actionTime = 30 * time.Second // one action of a page, where other work keeps the machine busy
	stopTime   = 10 * time.Second
)

// Find returns the path of the browser. The error says which package is wanted.
func Find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium on PATH: install Debian's package " + Package + " (apt-get install " + Package + ")")
}

// Browser is one process of Chromium. It may be used concurrently; Start makes it.
type Browser struct {
	root context.Context // chromedp keeps the process in a context, so it has to be kept
	stop []context.CancelFunc
}

// Start runs the browser at path, without a window. Close has to be called.
func Start(path string) (*Browser, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("font-render-hinting", "none"), // pictures look alike everywhere
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	root, stopRoot := chromedp.NewContext(allocator)
	b := &Browser{root: root, stop: []context.CancelFunc{stopRoot, stopAllocator}}
	if err := chromedp.Do(root); err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return b, nil
}

// PID is the browser's process.
func (b *Browser) PID() int {
	if p := chromedp.FromContext(b.root).Browser.Process(); p != nil {
		return p.Pid
	}
	return 0
}

// Close ends the browser, with all its pages, and removes its profile. One that does not end by
// itself is killed.
func (b *Browser) Close() error {
	done := make(chan error, 1)
	go func() { done <- chromedp.Cancel(b.root) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(stopTime):
		err = fmt.Errorf("the browser did not end within %s and was killed", stopTime)
	}
	for _, stop := range b.stop {
		stop() // waits until the process is gone and the profile is removed
	}
	return err
}
