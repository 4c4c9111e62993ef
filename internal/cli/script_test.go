package cli_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/forebay-ai/forebay/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"forebay": func() { os.Exit(cli.Process()) }})
}

// patience bounds what happens at once where nothing is wrong.
const patience = 30 * time.Second

// noPause is for programs under the race detector, which otherwise wait a second
// before they end.
const noPause = "atexit_sleep_ms=0"

// TestScripts runs the scripts. Beside the commands of testscript they have:
//
//	start NAME [VAR=VALUE...] PROGRAM ARG...  run a program beside the script; what it
//	                                          prints is in NAME.stdout and NAME.stderr
//	await FILE PATTERN [VAR...]               wait until the file has a match; the groups
//	                                          of the pattern go to the variables
//	signal NAME SIGNAL                        send TERM or INT
//	ended NAME HOW                            wait for the end: an exit code, or the name
//	                                          of the signal that ended it
//	occupy VAR                                take a port, and leave its address in VAR
//	request STATUS METHOD URL [BODY [HEADER...]]
//	                                          ask, and print the answer's head and body
//	exits CODE PROGRAM ARG...                 run a program to its end
//	hold URL BODY                             ask for a stream, wait for its head, and
//	                                          leave it open until the script ends
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		Setup: func(env *testscript.Env) error {
			env.Values[processes{}] = map[string]*process{}
			env.Setenv("GORACE", noPause)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "await": await, "signal": signal, "ended": ended,
			"occupy": occupy, "request": request, "hold": hold, "exits": exits,
		},
	})
}

// processes is the key of a script's running programs.
type processes struct{}

// process is a program that runs beside a script.
type process struct {
	cmd *exec.Cmd
	end chan error // gets how it ended
}

func running(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processes{}).(map[string]*process)
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "start NAME [VAR=VALUE...] PROGRAM ARG...")
	name, args := args[0], args[1:]
	env := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR"), "GORACE=" + noPause}
	for len(args) > 1 && strings.Contains(args[0], "=") {
		env, args = append(env, args[0]), args[1:]
	}
	program, err := exec.LookPath(args[0])
	ts.Check(err)
	stdout, err := os.Create(ts.MkAbs(name + ".stdout"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(ts.MkAbs(name + ".stderr"))
	ts.Check(err)
	defer stderr.Close()
	p := &process{cmd: exec.Command(program, args[1:]...), end: make(chan error, 1)}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = env, ts.MkAbs("."), stdout, stderr
	ts.Check(p.cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.end <- p.cmd.Wait()
	}()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // unless it has ended
		<-done
	})
	running(ts)[name] = p
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "await FILE PATTERN [VAR...]")
	pattern := regexp.MustCompile("(?m)" + args[1])
	var text string
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(5 * time.Millisecond) {
		text = ts.ReadFile(args[0])
		groups := pattern.FindStringSubmatch(text)
		if groups == nil {
			continue
		}
		usage(ts, len(groups) > len(args)-2, "a group for each variable")
		for i, name := range args[2:] {
			ts.Setenv(name, groups[i+1])
		}
		return
	}
	ts.Fatalf("%s has no match of %s within %s:\n%s", args[0], args[1], patience, text)
}

func signal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT}
	usage(ts, !neg && len(args) == 2 && running(ts)[args[0]] != nil && signals[args[1]] != nil, "signal NAME TERM|INT")
	ts.Check(running(ts)[args[0]].cmd.Process.Signal(signals[args[1]]))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2 && running(ts)[args[0]] != nil, "ended NAME CODE|SIGNAL")
	p := running(ts)[args[0]]
	select {
	case err := <-p.end:
		p.end <- err
		if how := outcome(err); how != args[1] {
			ts.Fatalf("%s ended with %s\nstdout:\n%s\nstderr:\n%s", args[0], how, ts.ReadFile(args[0]+".stdout"), ts.ReadFile(args[0]+".stderr"))
		}
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %s:\n%s", args[0], patience, ts.ReadFile(args[0]+".stderr"))
	}
}

// outcome is how a program ended: its exit code, or the signal that ended it.
func outcome(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case !errors.As(err, &exit):
		return err.Error()
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprint(exit.ExitCode())
}

// exits runs a program to its end and checks its exit code. testscript itself tells
// only zero from the rest.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "exits CODE PROGRAM ARG...")
	err := ts.Exec(args[1], args[2:]...)
	if how := outcome(err); how != args[0] {
		ts.Fatalf("exit code %s, want %s", how, args[0])
	}
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "occupy VAR")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}
