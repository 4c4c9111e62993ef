package envelope_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

func ids(masters []envelope.Master) []uint64 {
	var all []uint64
	for _, m := range masters {
		all = append(all, m.ID())
	}
	return all
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// tidy checks that a directory holds one file only, for its owner only.
func tidy(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory has %d entries, %v", len(entries), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestMasterFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	std, _, _ := keyTexts(0xa1)
	path := filepath.Join(t.TempDir(), "master.key")
	for mode := range fs.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // only root could open it
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		write(t, path, std, mode)
		for name, read := range map[string]func(string) ([]envelope.Master, error){"ReadMasters": envelope.ReadMasters, "EnsureMasters": envelope.EnsureMasters} {
			masters, err := read(path)
			switch {
			case mode&0o077 != 0:
				if err == nil || masters != nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
					t.Fatalf("%s of mode %04o: %v", name, mode, err)
				}
			case mode&0o077 == 0 && (err != nil || len(masters) != 1):
				t.Fatalf("%s of mode %04o: %v", name, mode, err)
			}
		}
		if mode&0o077 != 0 && envelope.RotateMasters(path) == nil {
			t.Fatalf("RotateMasters of mode %04o works", mode)
		}
	}
}

func TestReadMastersErrors(t *testing.T) {
	dir := t.TempDir()
	std, _, _ := keyTexts(0xa1)
	if _, err := envelope.ReadMasters(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := envelope.ReadMasters(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	path := filepath.Join(dir, "big")
	write(t, path, strings.Repeat("# no key\n", 50_000), 0o600)
	if _, err := envelope.ReadMasters(path); err == nil || !strings.Contains(err.Error(), "is it the right file") {
		t.Errorf("a large file: %v", err)
	}
	for _, text := range []string{"", std + "\nwrong"} {
		write(t, path, text, 0o600)
		for _, err := range []error{second(envelope.ReadMasters(path)), second(envelope.EnsureMasters(path)), envelope.RotateMasters(path)} {
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "wrong") {
				t.Errorf("a file of %d bytes: %v", len(text), err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Error("a file that cannot be read was changed")
		}
		if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
			t.Error("a rotation that failed leaves its file")
		}
	}
	if _, err := envelope.EnsureMasters(filepath.Join(dir, "no", "such", "dir")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func second(_ []envelope.Master, err error) error { return err }

func TestEnsureMasters(t *testing.T) {
	for range 8 { // a race may go well by chance
		path := filepath.Join(t.TempDir(), "master.key")
		made := make([][]envelope.Master, 8)
		var wait sync.WaitGroup
		for i := range made {
			wait.Go(func() {
				var err error
				if made[i], err = envelope.EnsureMasters(path); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for _, masters := range made {
			if len(masters) != 1 || masters[0].ID() != made[0][0].ID() {
				t.Fatal("starts at the same time ended with two keys")
			}
		}
		tidy(t, path)
	}
}

func TestRotateMasters(t *testing.T) {
	std1, _, _ := keyTexts(0xa1)
	_, _, hex2 := keyTexts(0xb2)
	path := filepath.Join(t.TempDir(), "master.key")
	text := "# ours\n" + std1 + "," + hex2
	write(t, path, text, 0o600)
	before, err := envelope.ReadMasters(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := envelope.RotateMasters(path); err != nil {
			t.Fatal(err)
		}
		after, err := envelope.ReadMasters(path)
		if err != nil || len(after) != i+3 {
			t.Fatalf("%d keys, %v", len(after), err)
		}
		for n, id := range ids(before) {
			if ids(after)[n+1] != id {
				t.Fatalf("former keys %v became %v", ids(before), ids(after))
			}
		}
		before = after
		tidy(t, path)
	}
	if got, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(got), "\n"+text) {
		t.Error("the text that was there changed")
	}
}

func TestRotateMastersMissing(t *testing.T) {
	dir := t.TempDir()
	if err := envelope.RotateMasters(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Error("a rotation of nothing leaves a file")
	}
}

// No key that a rotation reported as written may be lost to another one.
func TestRotateMastersConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	if _, err := envelope.EnsureMasters(path); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	done := 0
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			err := envelope.RotateMasters(path)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
		wait.Go(func() { // who reads meanwhile gets the old text or the new
			if _, err := envelope.ReadMasters(path); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	masters, err := envelope.ReadMasters(path)
	if err != nil || len(masters) != 1+done || done == 0 {
		t.Errorf("%d rotations, %d keys, %v", done, len(masters), err)
	}
	tidy(t, path)
}

func TestRotateMastersAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	masters, err := envelope.EnsureMasters(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".new", "half a k", 0o600) // as a crash leaves it
	if err := envelope.RotateMasters(path); err == nil || !strings.Contains(err.Error(), "remove that file") {
		t.Errorf("%v", err)
	}
	if again, err := envelope.ReadMasters(path); err != nil || again[0].ID() != masters[0].ID() {
		t.Errorf("%v", err)
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := envelope.RotateMasters(path); err != nil {
		t.Error(err)
	}
}

func TestRotateMastersThroughLink(t *testing.T) {
	real := filepath.Join(t.TempDir(), "master.key")
	link := filepath.Join(t.TempDir(), "link")
	if _, err := envelope.EnsureMasters(real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := envelope.RotateMasters(link); err != nil {
		t.Fatal(err)
	}
	if masters, err := envelope.ReadMasters(real); err != nil || len(masters) != 2 {
		t.Errorf("%d keys, %v", len(masters), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
}
