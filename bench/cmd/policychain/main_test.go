package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// A short run measures everything; what it finds is not judged here.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-rounds", "2", "-length", "2ms"}, &out); err != nil && !errors.Is(err, table.ErrMissed) {
		t.Fatal(err)
	}
	for _, want := range []string{"one goroutine", "failsafe-go, adaptive limit", "gobreaker", "what has to hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestReport(t *testing.T) {
	all := []system{{name: "own", part: "breaker"}, {name: "rival", part: "breaker", rival: true}}
	for _, c := range []struct {
		own, rival cost
		ok         bool
	}{
		{cost{cpu: 10}, cost{cpu: 20}, true},
		{cost{cpu: 30}, cost{cpu: 20}, false},
		{cost{cpu: 10, allocs: 1}, cost{cpu: 20}, false},
	} {
		verdicts, err := report(&strings.Builder{}, all, [][]cost{{c.own}, {c.rival}}, 1)
		if err != nil || len(verdicts) != 1 || verdicts[0].OK != c.ok {
			t.Errorf("%+v: %+v %v", c, verdicts, err)
		}
	}
}
