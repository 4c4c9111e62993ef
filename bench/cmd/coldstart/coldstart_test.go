package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// The whole program runs once; how fast is no matter here.
func TestRun(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), []string{"-root", "../../..", "-rounds", "1"}, &out)
	if err != nil && !errors.Is(err, table.ErrMissed) {
		t.Fatal(err)
	}
	for _, want := range []string{"hello world", "Forebay, health", "Forebay, chat", "Forebay, stream", "Forebay on Bedrock, health", "what has to hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// A function that is late is told.
func TestReport(t *testing.T) {
	var out strings.Builder
	all := []*function{
		{name: "hello world", binary: "main.go", starts: []time.Duration{5e6, 50e6, 6e6}, cpu: []time.Duration{1, 2, 3}},
		{name: "fast", binary: "main.go", starts: []time.Duration{20e6, 80e6, 21e6}, cpu: []time.Duration{1, 2, 3}},
	}
	if err := report(&out, all); err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "fast 21.0 80.0 20.0 15.0") {
		t.Errorf("%v\n%s", err, out.String())
	}
	all[1].starts = []time.Duration{61e6, 100e6, 80e6}
	if err := report(&out, all); !errors.Is(err, table.ErrMissed) {
		t.Errorf("%v\n%s", err, out.String())
	}
}
