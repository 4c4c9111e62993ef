package llm_test

import (
	"maps"
	"testing"

	"github.com/forebay-ai/forebay/llm"
)

func TestSettings(t *testing.T) {
	s := llm.MakeSettings(map[string]string{"B": "2=3", "A": "", "C": "x", "D=": "no", "E": "no\nF=no", "": "no"})
	if s != "A=\nB=2=3\nC=x" {
		t.Errorf("%q", s)
	}
	if got := maps.Collect(s.All()); len(got) != 3 || got["B"] != "2=3" || got["C"] != "x" {
		t.Error(got)
	}
	if llm.MakeSettings(nil) != "" || len(maps.Collect(llm.Settings("").All())) != 0 {
		t.Error("no settings are not none")
	}
	for range s.All() {
		break
	}
}
