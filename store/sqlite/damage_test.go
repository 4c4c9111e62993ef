package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// filled makes a store with records, and closes it.
func filled(t testing.TB, dir string) string {
	t.Helper()
	s, err := openIn(t, dir)
	must(t, err)
	must(t, s.Cache().Write(t.Context(), batch(0, 200, 1000)))
	must(t, s.Keys().Save(t.Context(), wrapped(1, 1, 1)))
	_, err = s.Cache().Invalidate(t.Context(), cache.Match{}, time.Now())
	must(t, err)
	must(t, s.Close())
	return filepath.Join(dir, "cache.db")
}

// aside lists what was set aside.
func aside(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	for name := range files(t, dir) {
		if strings.HasPrefix(name, "cache.db.damaged-") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func TestDamagedIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"no database at all": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("hello ", 5000)), 0o600) },
		"its header":         func(path string) error { return overwrite(path, 0, []byte("SQLite format 4\x00")) },
		"the schema's page":  func(path string) error { return overwrite(path, 100, make([]byte, 2000)) },
		"cut to half":        func(path string) error { return os.Truncate(path, 100_000) },
		"cut to a few bytes": func(path string) error { return os.Truncate(path, 50) },
		"found while in use": func(path string) error { return os.WriteFile(path+".suspect", nil, 0o600) },
		"another schema":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filled(t, dir)
			if damage == nil {
				s, err := openIn(t, dir)
				must(t, err)
				must(t, s.Cache().Run("DROP INDEX entries_key"))
				must(t, s.Close())
			} else {
				must(t, damage(path))
			}
			before, err := os.ReadFile(path)
			must(t, err)

			log, text := logged()
			s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Logger: log})
			must(t, err)
			if !strings.Contains(text.String(), "level=ERROR") || !strings.Contains(text.String(), "aside=") {
				t.Errorf("the log says: %s", text)
			}
			if size, err := s.Cache().Count(t.Context(), cache.Selection{}); err != nil || size.Entries != 0 {
				t.Errorf("the new one has %+v, %v", size, err)
			}
			must(t, s.Cache().Write(t.Context(), batch(0, 5, 100)))
			names := aside(t, dir)
			if len(names) != 1 {
				t.Fatalf("set aside: %q; want one", names)
			}
			if after := files(t, dir)[names[0]]; damage != nil && string(after) != string(before) {
				t.Error("what was set aside is not what was there")
			}
			must(t, s.Close())

			s, err = openIn(t, dir) // and that is that
			must(t, err)
			if got, err := s.Cache().Get(t.Context(), keyOf(3)); err != nil || !same(got, 3, 100) {
				t.Errorf("Get = %+v, %v", got, err)
			}
			must(t, s.Close())
			if again := aside(t, dir); !slices.Equal(again, names) {
				t.Errorf("set aside later: %q", again)
			}
		})
	}
}

func overwrite(path string, at int64, with []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(with, at)
	return errors.Join(err, f.Close())
}

func TestAtMostTwoAreKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache.db")
	var names []string
	for i := range 4 {
		must(t, os.WriteFile(path, []byte{byte(i)}, 0o600))
		must(t, os.WriteFile(path+"-wal", []byte{byte(i)}, 0o600))
		name, err := sqlite.SetAside(path, time.Unix(1_800_000_000+int64(i/2), 0)) // two in one second
		must(t, err)
		names = append(names, filepath.Base(name))
	}
	want := []string{names[2], names[2] + "-wal", names[3], names[3] + "-wal"}
	if got := aside(t, dir); !slices.Equal(got, want) {
		t.Errorf("kept: %q; want %q", got, want)
	}
	if content := files(t, dir)[names[3]+"-wal"]; string(content) != "\x03" {
		t.Errorf("the log of the last one is %q", content)
	}
	if len(files(t, dir)) != 4 {
		t.Errorf("there are %d files; want 4", len(files(t, dir)))
	}
}

// TestDamageWhileInUse damages pages that are read later: the store says so, goes on
// with the rest, and begins anew at the next start.
func TestDamageWhileInUse(t *testing.T) {
	dir := t.TempDir()
	path := filled(t, dir)
	s, err := openIn(t, dir)
	must(t, err)
	// Pages of records in the middle: what a start looks at is not among them.
	for page := int64(16); page < 30; page++ {
		must(t, overwrite(path, page*8192, make([]byte, 8192)))
	}
	var damaged, fine int
	for n := range 200 {
		got, err := s.Cache().Get(t.Context(), keyOf(n))
		switch {
		case err == nil && same(got, n, 1000):
			fine++
		case errors.Is(err, sqlite.ErrDamaged):
			damaged++
		default:
			t.Errorf("Get(%d) = %+v, %v", n, got, err)
		}
	}
	if damaged == 0 {
		t.Error("no look-up noticed the damage")
	}
	t.Logf("%d of 200 records could still be read", fine)
	if fine == 0 {
		t.Error("no look-up worked")
	}
	_ = s.Close() // may fail: the file is damaged
	s, err = openIn(t, dir)
	must(t, err)
	defer s.Close()
	if names := aside(t, dir); len(names) == 0 {
		t.Error("the damaged file was not set aside")
	}
}

// TestRandomDamage looks for a panic, a hang, or a Get that gives what was never
// written where that can be told: the envelope tells the rest.
func TestRandomDamage(t *testing.T) {
	rounds := 30
	if long() {
		rounds = 500
	}
	whole, err := os.ReadFile(filled(t, t.TempDir()))
	must(t, err)
	const parts = 4 // side by side: a round waits for the disk most of the time
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(part)))
			for round := part; round < rounds; round += parts {
				broken := slices.Clone(whole)
				for range 1 + r.IntN(50) {
					broken[r.IntN(len(broken))] ^= byte(1 + r.IntN(255))
				}
				useBroken(t, broken)
			}
		})
	}
}

// useBroken does everything with a database of these bytes.
func useBroken(t *testing.T, broken []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(dir, 0o700))
	defer os.RemoveAll(dir) // hundreds of them would be left until the end
	must(t, os.WriteFile(filepath.Join(dir, "cache.db"), broken, 0o600))
	s, err := openIn(t, dir)
	if err != nil {
		var e *llm.Error // a bit of the version or of the program's mark may be the one
		if !errors.As(err, &e) {
			t.Errorf("Open = %v", err)
		}
		return
	}
	defer s.Close() // may fail: the file is damaged
	for n := range 200 {
		_, err := s.Cache().Get(t.Context(), keyOf(n))
		if err != nil && !errors.Is(err, cache.ErrNotFound) && !errors.Is(err, sqlite.ErrDamaged) {
			t.Errorf("Get = %v", err)
		}
	}
	for _, err := range []error{
		s.Cache().Write(t.Context(), batch(0, 100, 500)),
		second(s.Cache().Count(t.Context(), cache.Selection{})),
	} {
		if err != nil && !errors.Is(err, sqlite.ErrDamaged) {
			t.Errorf("an operation on a damaged database: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNewerOrForeignIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ change, want string }{
		"newer":   {"PRAGMA user_version=99", "newer version"},
		"foreign": {"PRAGMA application_id=1", "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir)
			s, err := openIn(t, dir)
			must(t, err)
			must(t, s.Cache().Run(c.change))
			must(t, s.Close())
			_, err = openIn(t, dir)
			var e *llm.Error
			if !errors.As(err, &e) || e.Fix == "" || !strings.Contains(e.Message, c.want) {
				t.Errorf("Open = %v; want a refusal that says %q", err, c.want)
			}
			if names := aside(t, dir); len(names) > 0 {
				t.Errorf("it was set aside: %q", names)
			}
			if _, err := openIn(t, dir); err == nil || strings.Contains(err.Error(), "in use") {
				t.Errorf("the lock was not freed: %v", err)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	c := open(t).Cache()
	must(t, c.Write(t.Context(), batch(0, 100, 1000)))
	_, total, err := c.Pages()
	must(t, err)
	must(t, c.MaxPages(int(total)+5))

	var full error
	written := 100
	for ; full == nil && written < 1000; written += 50 {
		full = c.Write(t.Context(), batch(written, written+50, 1000))
	}
	written -= 50
	if full == nil || errors.Is(full, sqlite.ErrDamaged) {
		t.Fatalf("Write to a full disk: %v", full)
	}
	for n := range 1000 {
		got, err := c.Get(t.Context(), keyOf(n))
		if n < written && (err != nil || !same(got, n, 1000)) {
			t.Fatalf("record %d, written before: %v", n, err)
		}
		if n >= written && !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("record %d of a batch that failed: %v", n, err)
		}
	}
	must(t, c.MaxPages(0))
	must(t, c.Write(t.Context(), batch(written, written+50, 1000)))
	if got, err := c.Get(t.Context(), keyOf(written)); err != nil || !same(got, written, 1000) {
		t.Errorf("after there is room again: %v", err)
	}
}
