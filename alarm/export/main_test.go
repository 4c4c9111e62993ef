package export_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/export"
)

var update = flag.Bool("update", false, "write the committed rules")

// committed is what deploy has: the profile that suits every gateway.
func committed(t *testing.T) []byte {
	t.Helper()
	return rules(t, alarm.Standard)
}

func rules(t *testing.T, profile string) []byte {
	t.Helper()
	definitions, err := alarm.InDollars(alarm.Profile(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := export.PrometheusRules(definitions, "forebay")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCommittedRules: the file in deploy is what the definitions give.
func TestCommittedRules(t *testing.T) {
	path := filepath.Join("..", "..", "deploy", "observability", "forebay-rules.yaml")
	want := committed(t)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./alarm/export -update writes it", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs from the definitions (go test ./alarm/export -update writes it):\n%s", path, d)
	}
}
