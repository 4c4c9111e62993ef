package archtest_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/archtest"
)

// TestRepository runs every rule over the repository.
func TestRepository(t *testing.T) {
	root := moduleRoot(t)
	tree, err := archtest.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	rules := []struct {
		name  string
		found []archtest.Finding
	}{
		{"parses", tree.Broken},
		{"layers", archtest.Layers(tree, archtest.Table())},
		{"light library", archtest.Light(rootDeps(t, root), archtest.Heavy())},
		{"budgets", archtest.Budgets(tree)},
		{"package comments", archtest.PackageComments(tree)},
		{"documented names", archtest.Documented(tree)},
		{"package names", archtest.Names(tree)},
		{"short mains", archtest.Mains(tree)},
		{"no package state", archtest.State(tree)},
		{"no machine's paths", archtest.Mentions(tree, surroundings(t))},
		{"ARCHITECTURE.md", archtest.Architecture(tree)},
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, f := range rule.found {
				t.Error(f)
			}
		})
	}
}

// moduleRoot walks up to the directory of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

func rootDeps(t *testing.T, root string) []string {
	t.Helper()
	// -e: a package that does not compile still lists what it imports.
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", ".")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	return strings.Fields(string(out))
}

// surroundings gives the names that would tie a file to this machine: the host of
// the module proxy and of the package indexes that are set here, and the home
// directory. The public ones are no secret of anybody's.
func surroundings(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY", "GOSUMDB").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	settings := strings.FieldsFunc(string(out), func(r rune) bool { return strings.ContainsRune(",|\n ", r) })
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry", "PIP_INDEX_URL", "UV_INDEX_URL"} {
		settings = append(settings, os.Getenv(name))
	}
	var words []string
	for _, s := range settings {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			continue
		}
		switch host := u.Hostname(); host {
		case "proxy.golang.org", "sum.golang.org", "registry.npmjs.org", "pypi.org", "localhost", "127.0.0.1":
		default:
			words = append(words, host)
		}
	}
	if home, err := os.UserHomeDir(); err == nil && strings.Count(home, "/") > 1 {
		words = append(words, home+"/")
	}
	return words
}
