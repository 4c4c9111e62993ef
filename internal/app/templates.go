package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/degrade"
)

// templateLook is how often the directories of prepared texts are looked at: a
// text is in force within two looks of being saved, and a look costs a stat of each
// file. Notifications of the kernel would be sooner, and do not come from the network
// file systems and the mounted volumes that such texts lie on.
const templateLook = 2 * time.Second

// templates reads the directories of prepared texts again when something in them
// changes. What cannot be used changes nothing: the last good texts stay. It is for
// one goroutine.
type templates struct {
	file *config.File
	set  func(degrade.Config) error
	log  *slog.Logger

	seen, read [sha256.Size]byte // what the directories looked like at the last look, and when they were last read
	current    degrade.Config    // what set was given last
	given      bool              // set was called
	fault      string            // what was wrong when they were last read; empty where all was well
}

// newTemplates watches the directories of f; nil where it names none. set puts
// texts in force, all or nothing.
func newTemplates(f *config.File, set func(degrade.Config) error, log *slog.Logger) *templates {
	if len(f.TemplateDirs()) == 0 {
		return nil
	}
	return &templates{file: f, set: set, log: log}
}

// run looks at the directories until ctx ends.
func (t *templates) run(ctx context.Context) {
	tick := time.NewTicker(templateLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.look()
		}
	}
}

// look reads the texts where they differ from those read last, and have not changed
// since the look before: a file that is being written is left alone until it is whole.
// While something is wrong they are read at every look, because not all that heals a
// file shows in the directory.
func (t *templates) look() {
	now := portrait(t.file.TemplateDirs())
	settled := now == t.seen
	t.seen = now
	if !settled || now == t.read && t.fault == "" {
		return
	}
	t.read = now
	changed, err := t.reload()
	switch {
	case err != nil:
		if fault := err.Error(); fault != t.fault { // once, not at every look
			t.fault = fault
			t.log.Error("the prepared texts cannot be used: the last good ones stay", "error", strings.ReplaceAll(fault, "\n", "; "))
		}
	case t.fault != "":
		t.fault = ""
		t.log.Info("the prepared texts are good again", "changed", changed)
	case changed:
		t.log.Info("the prepared texts were read again")
	}
}

// reload puts the texts in force. changed says whether they differ from those that
// it gave before; the first time it does not know, and says no.
func (t *templates) reload() (changed bool, err error) {
	cfg, err := t.file.Degrade()
	if err != nil {
		return false, err
	}
	if t.given && reflect.DeepEqual(cfg, t.current) {
		return false, nil
	}
	if err := t.set(cfg); err != nil {
		return false, err
	}
	changed = t.given
	t.current, t.given = cfg, true
	return changed, nil
}

// portrait is a hash of what the directories look like from outside: the names, sizes
// and times of their texts. A directory that cannot be read is part of it.
func portrait(dirs []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		fmt.Fprintln(h, dir, err)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".txt") {
				draw(h, filepath.Join(dir, e.Name()))
			}
		}
	}
	h.Sum(sum[:0])
	return sum
}

func draw(w io.Writer, path string) {
	info, err := os.Stat(path) // of what a link leads to: volumes change their links
	if err != nil {
		fmt.Fprintln(w, path, err)
		return
	}
	fmt.Fprintln(w, path, info.Size(), info.ModTime().UnixNano(), info.Mode())
}
