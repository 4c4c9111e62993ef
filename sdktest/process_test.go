package sdktest

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startWithin bounds how long a process may take until it listens. On an idle
	// machine it takes some 30 ms; the rest is for busy ones.
	startWithin = 20 * time.Second
	// stopWithin bounds a stop after its signal. Calls in progress have 25 s in
	// production; the tests set 2 s.
	stopWithin = 15 * time.Second
)

// process is a child of the test: started with start, stopped with its signal when
// the test ends.
type process struct {
	url string // where it listens, without a path

	cmd  *exec.Cmd
	ask  sync.Once     // the signal to stop: a second one would cut the drain short
	done chan struct{} // closed when the process has ended and its output was read
	err  error         // how it ended; read after done

	mu    sync.Mutex // guards lines
	lines []string   // what it wrote to its standard error
}

// announced finds the address in what the program says at its start.
var announced = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start runs the program under test with args and waits until it says where it
// listens. It is stopped when t ends; that it stops by itself, or not cleanly, or
// that it reports an internal error, fails t.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startIn(t, nil, args...)
}

// startIn is start with more variables in the program's environment.
func startIn(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{done: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(environment(), environ...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listens := make(chan string, 1)
	go func() {
		defer close(p.done)
		p.read(stderr, listens)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop(t)
		p.check(t)
	})
	select {
	case p.url = <-listens:
	case <-p.done:
		t.Fatalf("%v ended at its start: %v\n%s", args, p.err, p.log())
	case <-time.After(startWithin):
		t.Fatalf("%v does not listen after %v:\n%s", args, startWithin, p.log())
	}
	return p
}

// read keeps the lines of r and sends the first address among them.
func (p *process) read(r io.Reader, listens chan<- string) {
	found := false
	for s := bufio.NewScanner(r); s.Scan(); {
		line := s.Text()
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
		if url := announced.FindString(line); url != "" && !found {
			found = true
			listens <- url
		}
	}
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// signal asks this one process to stop, once.
func (p *process) signal() {
	p.ask.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }) // fails where it has ended already
}

// stop asks this one process to stop, and ends it where it does not. It may be
// called more than once.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal()
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("%v did not stop within %v of its signal", p.cmd.Args[1:], stopWithin)
	}
}

// check looks at how a process ended and at what it said.
func (p *process) check(t *testing.T) {
	t.Helper()
	log := p.log()
	if p.err != nil {
		t.Errorf("%v ended with %v, not with exit code 0", p.cmd.Args[1:], p.err)
	}
	for _, bad := range []string{"panic", "internal error", "goroutine "} {
		if strings.Contains(log, bad) {
			t.Errorf("%v reports %q", p.cmd.Args[1:], bad)
		}
	}
	for _, secret := range []string{apiKey, operatorKey, pairSecret, figuresSecret, roleSecret, bedrockToken} {
		if strings.Contains(log, secret) {
			t.Errorf("%v logs a secret", p.cmd.Args[1:])
		}
	}
	if t.Failed() {
		t.Logf("log of %v:\n%s", p.cmd.Args[1:], tail(log, 40))
	}
}

func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// environment is what children get: nothing of the caller's settings, which the
// program under test would obey.
func environment() []string { return []string{"PATH=/usr/bin:/bin", "TZ=UTC"} }

// run runs the program under test to its end, within bound.
func run(t *testing.T, bound time.Duration, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
