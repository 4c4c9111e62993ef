package lambdaapp

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    settings
		faults  []string
	}{
		{[]string{"A=1", "B=2"}, settings{}, nil},
		{[]string{"A=1", "FOREBAY_LAMBDA_STREAM=url", "B=2"}, settings{}, nil},
		{[]string{"A=1", "B=2", "FOREBAY_LAMBDA_STREAM=rest"}, settings{bufferedURL: true, streamREST: true}, nil},
		{[]string{"A=1", "B=2", "FOREBAY_LAMBDA_STREAM=url,rest"}, settings{streamREST: true}, nil},
		{[]string{"A=1", "B=2", "FOREBAY_LAMBDA_STREAM=none", "FOREBAY_LAMBDA_KEY=web", "FOREBAY_LAMBDA_PUBLIC=true"}, settings{bufferedURL: true, key: "web", public: true}, nil},
		{[]string{"A=1", "B=2", "FOREBAY_LAMBDA_STREAM=none,url", "FOREBAY_LAMBDA_PUBLIC=yes"}, settings{}, []string{"STREAM", "PUBLIC"}},
	} {
		rest, got, err := split(c.environ)
		if c.faults == nil && (err != nil || got != c.want || !slices.Equal(rest, []string{"A=1", "B=2"})) {
			t.Errorf("%q: %+v, %q, %v", c.environ, got, rest, err)
		}
		for _, fault := range c.faults {
			if err == nil || !strings.Contains(err.Error(), "FOREBAY_LAMBDA_"+fault) {
				t.Errorf("%q: %v does not tell of %s", c.environ, err, fault)
			}
		}
	}
}

// A configuration beside the binary is found, unless another one is named.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	root := "LAMBDA_TASK_ROOT=" + dir
	if src := source([]string{root}); src.Path != "" {
		t.Errorf("there is no file, and %q is read", src.Path)
	}
	file := filepath.Join(dir, "forebay.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if src := source([]string{root}); src.Path != file {
		t.Errorf("%q is read", src.Path)
	}
	if src := source([]string{root, "FOREBAY_CONFIG=other.yaml"}); src.Path != "" {
		t.Errorf("%q is read", src.Path)
	}
}

func TestDirectKey(t *testing.T) {
	one, two := config.Key{Name: "one", Secret: "secret-1"}, config.Key{Name: "two", Secret: "secret-2"}
	for _, c := range []struct {
		name, want string
		keys       []config.Key
		fails      bool
	}{
		{"", "", nil, false},
		{"", "secret-1", []config.Key{one}, false},
		{"", "", []config.Key{one, two}, false},
		{"two", "secret-2", []config.Key{one, two}, false},
		{"three", "", []config.Key{one, two}, true},
	} {
		key, err := (&settings{key: c.name}).directKey(c.keys)
		if key.Reveal() != c.want || (err != nil) != c.fails {
			t.Errorf("%q among %d: %q, %v", c.name, len(c.keys), key.Reveal(), err)
		}
	}
}

func TestParseStart(t *testing.T) {
	stat := "4242 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 123456 20"
	if at, ok := parseStart(stat); !ok || at != 1234560*time.Millisecond {
		t.Errorf("%s, %v", at, ok)
	}
	for _, bad := range []string{"", ")", "1 (x) S 1", strings.Replace(stat, "123456", "x", 1)} {
		if _, ok := parseStart(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
	if up, ok := parseUptime("12.5 99.0\n"); !ok || up != 12500*time.Millisecond {
		t.Errorf("%s, %v", up, ok)
	}
	if age := time.Since(ProcessStart()); age < 0 || age > time.Hour {
		t.Errorf("the test's process is %s old", age)
	}
}
