package names_test

import (
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// TestValue: any text becomes a value that CloudWatch takes, and one that it takes is not
// changed. An alarm and what is published have to agree on it.
func TestValue(t *testing.T) {
	for in, want := range map[string]string{
		"": "none", " ": "none", ":": "none", ": x": "x", "eu/eu.anthropic.claude-haiku-4-5-20251001-v1:0": "eu/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
		" x ": " x ", "ström\n": "str?m?", "\t": "?", strings.Repeat("x", 1025): strings.Repeat("x", 1024), strings.Repeat(" ", 2000) + "x": "none",
	} {
		if got := names.Value(in); got != want {
			t.Errorf("%.20q: %.20q, want %.20q", in, got, want)
		}
		if got := names.Value(names.Value(in)); got != names.Value(in) {
			t.Errorf("%.20q is changed once more", in)
		}
	}
}
