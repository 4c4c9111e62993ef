package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/llm"
)

// The exit codes. 64 and 78 are those of BSD's sysexits(3).
const (
	exitOK     = 0
	exitError  = 1  // it was tried and failed
	exitUsage  = 64 // wrong flags or arguments
	exitConfig = 78 // a faulty configuration; every fault is listed
	// 10 to 14 say how jobs ended: see jobExits.
	exitInterrupted = 130 // stopped by a signal before the work was done
)

// coded is an error that has an exit code of its own.
type coded interface {
	error
	ExitCode() int
}

// report prints err, if there is one, and gives the exit code for it. command is
// the path of the command that failed.
func report(ctx context.Context, w io.Writer, command string, err error) int {
	var faults *config.Faults
	var usage usageError
	var own coded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &faults):
		fmt.Fprintln(w, strings.TrimRight(err.Error(), "\n"))
		return exitConfig
	case errors.As(err, &usage):
		fmt.Fprintf(w, "forebay: %s\nSee '%s --help'.\n", plain(err), command)
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "forebay: interrupted")
		return exitInterrupted
	case errors.As(err, &own):
		fmt.Fprintf(w, "forebay: %s\n", plain(err))
		return own.ExitCode()
	}
	fmt.Fprintf(w, "forebay: %s\n", plain(err))
	return exitError
}

// plain is err for people: without the kinds that errors of the request path begin
// with, which are for programs.
func plain(err error) string {
	text := err.Error()
	for _, k := range llm.Kinds() {
		text = strings.ReplaceAll(text, string(k)+": ", "")
	}
	return text
}
