package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/forebay-ai/forebay/config"
)

// The exit codes. 64 and 78 are those of BSD's sysexits(3).
const (
	exitOK          = 0
	exitError       = 1   // it was tried and failed
	exitUsage       = 64  // wrong flags or arguments
	exitConfig      = 78  // a faulty configuration; every fault is listed
	exitInterrupted = 130 // stopped by a signal before the work was done
)

// usageError is a fault in how a command was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// report prints err, if there is one, and gives the exit code for it.
func report(ctx context.Context, w io.Writer, err error) int {
	var usage usageError
	var faults *config.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &faults):
		fmt.Fprintln(w, strings.TrimRight(err.Error(), "\n"))
		return exitConfig
	case errors.As(err, &usage) || isCobraUsage(err):
		fmt.Fprintf(w, "forebay: %v\nSee 'forebay help' for what there is.\n", err)
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "forebay: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(w, "forebay: %v\n", err)
	return exitError
}

// isCobraUsage recognises the faults that cobra reports as plain texts.
func isCobraUsage(err error) bool {
	text := err.Error()
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand flag", "accepts ", "requires ", "required flag"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}
