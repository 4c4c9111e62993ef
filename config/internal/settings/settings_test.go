package settings_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/config/internal/settings"
)

func TestSuggest(t *testing.T) {
	known := []string{"max", "max_age", "max_bytes", "queue_at", "warn", "critical", "enabled"}
	for name, want := range map[string]string{
		"max_aeg":   `Did you mean "max_age"?`,
		"maxAge":    `Did you mean "max_age"?`,
		"MAX":       `Did you mean "max"?`,
		"critcal":   `Did you mean "critical"?`,
		"queue-at":  `Did you mean "queue_at"?`,
		"completly": "Known keys: max, max_age, max_bytes, queue_at, warn, critical, enabled.",
		"":          "Known keys: max, max_age, max_bytes, queue_at, warn, critical, enabled.",
	} {
		if got := settings.Suggest(name, "keys", known); got != want {
			t.Errorf("Suggest(%q) = %s, want %s", name, got, want)
		}
	}
	if got := settings.Suggest("x", "models", nil); got != "There are no models." {
		t.Errorf("Suggest without names = %s", got)
	}
}

// TestKeysSurvive writes keys from any names and reads them back.
func TestKeysSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SliceOfN(rapid.OneOf(rapid.StringN(1, 8, -1), rapid.SampledFrom([]string{"[0]", "[12]", "a.b", `q"q`, "*", "ä", "[x]"})), 1, 5).Draw(t, "path")
		got, err := settings.Split(settings.Join(path))
		if err != nil || !slices.Equal(got, path) {
			t.Fatalf("%q is written %s and read %q (%v)", path, settings.Join(path), got, err)
		}
	})
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		kind  settings.Kind
		value any
		want  string
	}{
		{settings.Duration, 24 * time.Hour, "24h"},
		{settings.Duration, 90 * time.Second, "1m30s"},
		{settings.Duration, time.Duration(0), "0s"},
		{settings.Duration, 10 * time.Minute, "10m"},
		{settings.Size, int64(256 << 20), "256MiB"},
		{settings.Size, int64(1000), "1000B"},
		{settings.Ratio, 0.1, "10%"},
		{settings.Ratio, 0.123, "12.3%"},
		{settings.Dollars, int64(400_000), "0.4"},
		{settings.Dollars, int64(0), "0"},
		{settings.Dollars, int64(10_000_000), "10"},
		{settings.Choices, []string{"a", "b"}, "[a, b]"},
		{settings.Text, "two\nlines", "two lines"},
		{settings.Bool, true, "true"},
	} {
		if got := settings.Format(tt.kind, tt.value); got != tt.want {
			t.Errorf("Format(%v) = %s, want %s", tt.value, got, tt.want)
		}
	}
}

// table is a small one with every kind of place.
func table() *settings.Schema {
	return settings.New([]*settings.Key{
		{Path: "limit", Kind: settings.Duration, High: int64(time.Hour), Initial: "5s"},
		{Path: "things.*.size", Kind: settings.Size, Initial: "1KiB"},
		{Path: "things.*.parts[].name", Kind: settings.Text},
		{Path: "things.*.token", Kind: settings.Secret},
	})
}

func layer(s *settings.Schema, rank int, content string) *settings.Layer {
	l := settings.NewLayer(s, rank, "file", "file")
	l.ReadFile([]byte(content))
	return l
}

func TestListsAreReplacedAndMappingsMerged(t *testing.T) {
	s := table()
	v := settings.Merge(s, []*settings.Layer{
		settings.Defaults(s),
		layer(s, settings.FromProfile, "things: {a: {size: 2KiB, parts: [{name: x}, {name: y}]}}"),
		layer(s, settings.FromFile, "things: {a: {parts: [{name: z}]}, b: {}}"),
	})
	if got := v.Names("things"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("things are %q", got)
	}
	if got := v.Names("things", "a", "parts"); !slices.Equal(got, []string{"[0]"}) || v.Text("things", "a", "parts", "[0]", "name") != "z" {
		t.Errorf("parts are %q", got)
	}
	if v.Int("things", "a", "size") != 2<<10 || v.Int("things", "b", "size") != 1<<10 {
		t.Errorf("sizes are %d and %d", v.Int("things", "a", "size"), v.Int("things", "b", "size"))
	}
	if v.Duration("limit") != 5*time.Second || v.Has("limit") || v.Lookup("limit").Origin() != "default" {
		t.Errorf("limit is %v", v.Duration("limit"))
	}
}

func TestVariablesAreFilled(t *testing.T) {
	s := table()
	env := map[string]string{"A": "1", "EMPTY": ""}
	for text, want := range map[string]string{
		"${A}": "1", "x${A}y${A}": "x1y1", "${B:-d}": "d", "${EMPTY:-d}": "d", "${A:-d}": "1", "$${A}": "${A}", "$A": "$A", "${B:-}x": "x",
	} {
		l := settings.NewLayer(s, settings.FromFile, "file", "file")
		l.Lookup = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		l.ReadFile([]byte("things: {a: {parts: [{name: '" + text + "'}]}}"))
		v := settings.Merge(s, []*settings.Layer{l})
		if got := v.Text("things", "a", "parts", "[0]", "name"); got != want || len(l.Faults) > 0 {
			t.Errorf("%s is filled to %q (%v), want %q", text, got, l.Faults, want)
		}
	}
}

// TestValuesOfVariablesAreNotQuoted: what a variable holds may be a secret, even
// where the key is none.
func TestValuesOfVariablesAreNotQuoted(t *testing.T) {
	l := settings.NewLayer(table(), settings.FromFile, "file", "file")
	l.Lookup = func(string) (string, bool) { return "CANARY", true }
	l.ReadFile([]byte("limit: ${A}"))
	if len(l.Faults) != 1 || l.Faults[0].Message != `limit: "${A}" is not a duration` {
		t.Errorf("faults are %v", l.Faults)
	}
}
