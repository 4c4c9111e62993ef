package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/degrade"
)

// library is a directory of texts with a configuration that names it, and what its
// watcher did.
type library struct {
	t    *testing.T
	dir  string
	stop func()

	mu     sync.Mutex // guards what follows: the test and the watcher take turns, which the race detector cannot know
	log    bytes.Buffer
	given  int               // how often texts were put in force
	now    *degrade.Degrader // those in force
	refuse error             // what the client says to new ones
}

// Write takes the log.
func (l *library) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(b)
}

// times is how often texts were put in force.
func (l *library) times() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.given
}

func (l *library) refuses(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = err
}

// watch makes a library and watches it in the bubble of the test.
func watch(t *testing.T, files map[string]string) *library {
	t.Helper()
	l := &library{t: t, dir: t.TempDir()}
	l.write(files)
	path := filepath.Join(t.TempDir(), "forebay.yaml")
	text := fmt.Sprintf("templates_dir: %q\ntemplate_variables: {phone: '123'}\noperations: {op: {}}\n", l.dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Read(config.Sources{Path: path, Environ: []string{}, Upstreams: []string{"http://127.0.0.1:1/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	w := newTemplates(f, l.set, slog.New(slog.NewTextHandler(l, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx) })
	l.stop = func() {
		cancel()
		wg.Wait()
	}
	return l
}

func (l *library) set(cfg degrade.Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	d, err := degrade.New(cfg)
	if err == nil {
		l.given++
		l.now = d
	}
	return err
}

// write saves files; an empty text removes one.
func (l *library) write(files map[string]string) {
	l.t.Helper()
	for name, text := range files {
		path := filepath.Join(l.dir, name)
		var err error
		if text == "" {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// looks lets the watcher look n times.
func (l *library) looks(n int) {
	time.Sleep(time.Duration(n) * templateLook)
	synctest.Wait()
}

// says fails unless the text in force is this one, with this mark.
func (l *library) says(text, mark string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		l.t.Fatalf("no texts are in force\n%s", l.log.String())
	}
	if a, _ := l.now.Text(degrade.Case{Operation: "op"}); a.Text != text || mark != "" && a.Mark() != mark {
		l.t.Errorf("%q, marked %s, want %q, marked %s\n%s", a.Text, a.Mark(), text, mark, l.log.String())
	}
}

// logged fails unless the log has so many lines with these words.
func (l *library) logged(n int, words string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Count(l.log.String(), words); got != n {
		l.t.Errorf("%d times %q in the log, want %d:\n%s", got, words, n, l.log.String())
	}
}

const (
	readAgain = "the prepared texts were read again"
	unusable  = "the prepared texts cannot be used"
	goodAgain = "the prepared texts are good again"
)

func TestTemplatesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t, map[string]string{"default.txt": "first"})
		defer l.stop()
		l.looks(3)
		l.says("first", "")
		l.logged(0, "prepared") // nothing has changed

		l.write(map[string]string{"op.txt": "---\nversion: 2\n---\ncall {{phone}}"})
		l.looks(2)
		l.says("call 123", "op@2")
		l.logged(1, readAgain)

		l.write(map[string]string{"op.txt": ""})
		l.looks(2)
		l.says("first", "")
		l.logged(2, readAgain)

		given := l.times()
		l.looks(50)
		if l.times() != given {
			t.Errorf("texts that did not change were put in force %d times", l.times()-given)
		}
		l.logged(2, "prepared")
	})
}

// TestTemplatesStay has faults of every kind: the last good texts stay, each fault is
// in the log once, with its file and line, and so is its end.
func TestTemplatesStay(t *testing.T) {
	for name, test := range map[string]struct {
		spoil, mend func(*library)
		says        string
	}{
		"unknown variable": {
			func(l *library) { l.write(map[string]string{"op.txt": "two\n{{phnoe}}"}) },
			func(l *library) { l.write(map[string]string{"op.txt": "mended"}) },
			"op.txt:2: unknown variable {{phnoe}}: one of {{operation}}, {{persona}}, {{support_id}}, {{retry_after}}, {{phone}}",
		},
		"front matter": {
			func(l *library) { l.write(map[string]string{"op.txt": "---\nversion: 2\nauthor: me\n---\ntext"}) },
			func(l *library) { l.write(map[string]string{"op.txt": "mended"}) },
			`op.txt:3: \"author: me\": the front matter has one line`,
		},
		"a name that is none": {
			func(l *library) { l.write(map[string]string{"op 2.txt": "text"}) },
			func(l *library) { l.write(map[string]string{"op 2.txt": "", "op.txt": "mended"}) },
			"op 2.txt: the name is neither OPERATION.txt nor OPERATION.LOCALE.txt",
		},
		"a link that leads out": {
			func(l *library) { _ = os.Symlink("/etc/hostname", filepath.Join(l.dir, "op.txt")) },
			func(l *library) {
				l.write(map[string]string{"op.txt": ""})
				l.write(map[string]string{"op.txt": "mended"})
			},
			"op.txt: the link leads out of the directory",
		},
		"no directory": {
			func(l *library) { _ = os.Rename(l.dir, l.dir+"-away") },
			func(l *library) {
				_ = os.Rename(l.dir+"-away", l.dir)
				l.write(map[string]string{"op.txt": "mended"})
			},
			"templates_dir: the directory does not exist",
		},
		"refused": {
			func(l *library) {
				l.refuses(errors.New("no such texts"))
				l.write(map[string]string{"op.txt": "refused"})
			},
			func(l *library) { l.refuses(nil); l.write(map[string]string{"op.txt": "mended"}) },
			"no such texts",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := watch(t, map[string]string{"default.txt": "good"})
				defer l.stop()
				l.looks(2)
				test.spoil(l)
				l.looks(30)
				l.says("good", "")
				l.logged(1, unusable)
				l.logged(1, test.says)
				test.mend(l)
				l.looks(3)
				l.says("mended", "")
				l.logged(1, unusable)
				l.logged(1, goodAgain)
			})
		})
	}
}

// TestTemplatesTwoFaults tells of a second fault that takes the first one's place.
func TestTemplatesTwoFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t, map[string]string{"default.txt": "good"})
		defer l.stop()
		l.looks(2)
		l.write(map[string]string{"op.txt": "{{one}}"})
		l.looks(5)
		l.write(map[string]string{"op.txt": "{{another}}"})
		l.looks(5)
		l.logged(2, unusable)
		l.says("good", "")
		l.write(map[string]string{"op.txt": ""}) // as before: nothing new to put in force
		given := l.times()
		l.looks(5)
		if l.times() != given {
			t.Error("texts that did not change were put in force")
		}
		l.logged(1, goodAgain)
	})
}

// TestTemplatesHealUnseen ends a fault in a way that the directory does not show.
func TestTemplatesHealUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t, map[string]string{"default.txt": "good"})
		defer l.stop()
		l.looks(2)
		l.refuses(errors.New("not now"))
		l.write(map[string]string{"default.txt": "better"})
		l.looks(10)
		l.says("good", "")
		l.refuses(nil)
		l.looks(1)
		l.says("better", "")
		l.logged(1, unusable)
		l.logged(1, goodAgain)
	})
}

// TestTemplatesHalfWritten saves a file in pieces, one for each look: none of them
// is put in force before the last.
func TestTemplatesHalfWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t, map[string]string{"default.txt": "whole"})
		defer l.stop()
		l.looks(2)
		for n := range 5 {
			l.write(map[string]string{"default.txt": strings.Repeat("piece ", n+1)})
			l.looks(1)
			l.says("whole", "")
		}
		l.looks(1)
		l.says("piece piece piece piece piece", "")
		l.logged(1, readAgain)
	})
}

// TestTemplatesOfAVolume changes the texts as Kubernetes does those of a ConfigMap:
// by a link to another directory.
func TestTemplatesOfAVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t, map[string]string{"default.txt": "before"})
		defer l.stop()
		l.looks(2)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, text := range []string{"one", "three"} {
			version := fmt.Sprintf("..version_%d", i)
			must(os.Mkdir(filepath.Join(l.dir, version), 0o700))
			must(os.WriteFile(filepath.Join(l.dir, version, "default.txt"), []byte(text), 0o600))
			must(os.Symlink(version, filepath.Join(l.dir, "..next")))
			must(os.Rename(filepath.Join(l.dir, "..next"), filepath.Join(l.dir, "..data")))
			if i == 0 {
				must(os.Remove(filepath.Join(l.dir, "default.txt")))
				must(os.Symlink("..data/default.txt", filepath.Join(l.dir, "default.txt")))
			}
			l.looks(2)
			l.says(text, "")
		}
	})
}

func TestTemplatesWithoutDirectories(t *testing.T) {
	f, err := config.Read(config.Sources{Environ: []string{}, Upstreams: []string{"http://127.0.0.1:1/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	if newTemplates(f, nil, nil) != nil {
		t.Error("there is something to watch")
	}
}
