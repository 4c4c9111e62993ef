package near_test

import (
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/near"
)

func TestName(t *testing.T) {
	known := []string{"cache", "calls", "max_entries", "x-forebay-cache", "/v1/models"}
	for written, want := range map[string]string{
		"cahce": "cache", "CACHE": "cache", "call": "calls", "maxEntries": "max_entries", "max-entrys": "max_entries",
		"x-forebay-cach": "x-forebay-cache", "/v1/model": "/v1/models", "zebra": "", "": "", "ab": "", strings.Repeat("c", 65): "",
	} {
		if got := near.Name(written, known); got != want {
			t.Errorf("%q is near %q, want %q", written, got, want)
		}
	}
	if got := near.DidYouMean("cahce", known) + near.DidYouMean("zebra", known); got != " (did you mean cache?)" {
		t.Errorf("%q", got)
	}
}

func TestOneOf(t *testing.T) {
	many := strings.Split(strings.Repeat("n ", 22), " ")[:22]
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{nil, "None is configured."},
		{[]string{"a"}, "Use one of a."},
		{[]string{"a", "b"}, "Use one of a, b."},
		{many, "Use one of " + strings.Repeat("n, ", 19) + "n, and 2 more."},
	} {
		if got := near.OneOf("Use", tt.names); got != tt.want {
			t.Errorf("%d names: %q, want %q", len(tt.names), got, tt.want)
		}
	}
}
