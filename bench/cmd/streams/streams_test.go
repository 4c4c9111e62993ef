package main

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// This binary is its own children.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case cmdUpstream, cmdProxy, cmdLoad:
			main()
			return
		}
	}
	os.Exit(m.Run())
}

// The whole program runs for a moment with a few streams, none of which may break.
func TestRun(t *testing.T) {
	runtime.LockOSThread() // children die with the thread that started them
	defer runtime.UnlockOSThread()
	var out strings.Builder
	err := run(t.Context(), []string{"-root", "../../..", "-streams", "200", "-ramp", "1s", "-events", "6", "-gap", "500ms"}, &out)
	if err != nil && !errors.Is(err, table.ErrMissed) { // so few streams are no measure of memory
		t.Fatal(err)
	}
	for _, want := range []string{"ReverseProxy", "Forebay", "what has to hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "streams that broke 0 0 ok") || strings.Contains(out.String(), "streams at once  200  200  MISSED") {
		t.Errorf("streams broke:\n%s", out.String())
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-streams", "0"}, {"-streams", "19000"}, {"-rounds", "0"}, {"-gap", "0s"}, {"-events", "1"}, {"-events", "100"}, {"-no-such-flag"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || errors.Is(err, table.ErrMissed) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
