package bundle_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/uitest/bundle"
)

// places are those of this repository, with the packages in place.
func places(t *testing.T) bundle.Places {
	t.Helper()
	p := bundle.In("../..")
	if err := p.Absolute(); err != nil {
		t.Fatal(err)
	}
	err := bundle.Install(t.Context(), p)
	if errors.Is(err, bundle.ErrNoNpm) {
		t.Skip("npm is absent, so the dashboard cannot be made anew and compared: install Debian's package npm")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCommittedAssetsAreWhatTheSourcesMake(t *testing.T) {
	p := places(t)
	files, err := bundle.Make(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bundle.Make(p)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(files, again, bytes.Equal) {
		t.Error("the same sources made different files")
	}
	differ, err := bundle.Compare(p, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differ {
		t.Error("dashboard/assets: " + d + ": run go run ./cmd/bundle in uitest")
	}
}

func TestTypes(t *testing.T) {
	if err := bundle.Types(t.Context(), places(t)); err != nil {
		t.Error(err)
	}
}

func TestNothingForeignAndNoHostOfARegistry(t *testing.T) {
	p := bundle.In("../..")
	for _, dir := range []string{p.UI, p.Assets} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, ".gz") {
				return readable(path, content)
			}
			if bytes.Contains(content, []byte("://registry")) || filepath.Base(path) == "package-lock.json" && bytes.Contains(content, []byte(`"resolved"`)) {
				t.Errorf("%s names where packages came from", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// readable says whether all of a compressed file can be read.
func readable(path string, content []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(strings.TrimSuffix(path, ".gz"))
	if err == nil && !bytes.Equal(plain, want) {
		err = errors.New(path + " is not what it says")
	}
	return err
}

func TestCompareSaysWhatDiffers(t *testing.T) {
	p := bundle.Places{Assets: t.TempDir()}
	files := bundle.Files{"same": []byte("1"), "changed": []byte("2"), "new": []byte("3")}
	if err := bundle.Write(p, bundle.Files{"same": []byte("1"), "changed": []byte("x"), "old": []byte("4")}); err != nil {
		t.Fatal(err)
	}
	differ, err := bundle.Compare(p, files)
	want := []string{"changed is different", "new is missing", "old is no longer made"}
	if err != nil || !slices.Equal(differ, want) {
		t.Errorf("%q, %v", differ, err)
	}
	if err := bundle.Write(p, files); err != nil {
		t.Fatal(err)
	}
	if differ, err := bundle.Compare(p, files); err != nil || len(differ) > 0 {
		t.Errorf("after writing: %q, %v", differ, err)
	}
}
