package awstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// starting bounds the start of one server; on two busy cores Moto needs 7 s.
const starting = 90 * time.Second

// servers are what this test binary has started. Package-level on purpose: a server is one for
// all tests of a binary, and only TestMain, which has no value in common with them, can stop it.
var servers = &running{byName: map[string]*server{}}

// running are servers by what they are.
type running struct {
	mu     sync.Mutex // guards byName and stopped; not held while a server starts
	byName map[string]*server
	// stopped says that the tests are over.
	stopped bool
}

// server is one process.
type server struct {
	started  sync.Once
	endpoint string
	err      error
	stop     func() // nil where it did not start
}

// endpoint returns where a server listens, after it has started it if need be.
func (r *running) endpoint(t testing.TB, name string, find func() (program, error)) string {
	t.Helper()
	r.mu.Lock()
	s := r.byName[name]
	if s == nil {
		s = &server{}
		r.byName[name] = s
	}
	r.mu.Unlock()
	s.started.Do(func() {
		s.err = &absent{what: "another test met that " + name + " is absent"} // stays where find ends the test
		p, err := find()
		if err == nil {
			s.endpoint, s.stop, err = start(p)
		}
		s.err = err
	})
	if s.err != nil {
		refuse(t, s.err)
	}
	return s.endpoint
}

// stop ends all servers and waits for them.
func (r *running) stop() {
	r.mu.Lock()
	all := r.byName
	r.byName, r.stopped = map[string]*server{}, true
	r.mu.Unlock()
	for _, s := range all {
		if s.started.Do(func() {}); s.stop != nil {
			s.stop()
		}
	}
}

// start starts a server and waits until it answers. The port was free a moment ago; where
// somebody else took it meanwhile, another one is tried.
func start(p program) (endpoint string, stop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), starting)
	defer cancel()
	for range 5 {
		var port string
		if port, err = freePort(); err != nil {
			return "", nil, err
		}
		var run *process
		if run, err = launch(p(port)); err != nil {
			return "", nil, err
		}
		endpoint = "http://127.0.0.1:" + port
		if err = run.ready(ctx, endpoint); err == nil {
			return endpoint, run.stop, nil
		}
		run.stop()
		err = fmt.Errorf("%w\n%s", err, run.output.Bytes())
	}
	return "", nil, err
}

// lowest and ports are where servers listen: below the ports that systems hand out by
// themselves (from 32768 on Linux), which others would have taken by the time a program listens.
const lowest, ports = 10_000, 22_000

// freePort is a port of 127.0.0.1 that nobody listens on.
func freePort() (string, error) {
	var err error
	for range 50 {
		port := strconv.Itoa(lowest + rand.IntN(ports))
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}

// process is a started program, with the goroutine that waits for its end.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer // may be read when ended is closed
	ended  chan struct{}
}

// launch starts a program. The thread that starts it waits for its end and is kept: the kernel ends a
// program whose parent's thread ends.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = 5 * time.Second
	alone(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		if started <- err; err == nil {
			_ = cmd.Wait() // that it was killed is what it was asked for
		}
	}()
	return p, <-started
}

// stop kills the program and what it started, and waits for the end.
func (p *process) stop() {
	kill(p.cmd.Process)
	<-p.ended
}

// ready waits until the server answers anything.
func (p *process) ready(ctx context.Context, endpoint string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-p.ended:
			return errors.New("the emulator ended before it answered")
		case <-ctx.Done():
			return fmt.Errorf("the emulator does not answer: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
