// Package served runs the program forebay, built of this repository, for those who look at its dashboard: it
// builds it, starts it on a configuration, finds the address that it took, and stops it. What it calls and
// asks of it, it does over HTTP as any other program would.
package served

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The bounds of what is waited for.
const (
	startTime = 30 * time.Second // of a store with a million entries, on a machine that has other work
	drainTime = 2 * time.Second  // for calls in progress, at the end
	stopTime  = 20 * time.Second
)

// Build builds the program of the repository at root into the folder dir and returns its path.
func Build(ctx context.Context, root, dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "forebay"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/forebay")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build forebay: %w: %s", err, out)
	}
	return path, nil
}

// Gateway is a process of forebay that serves. Start makes it; Stop has to be called.
type Gateway struct {
	// URL is where it listens.
	URL string

	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process is gone and its log read
	result error         // of the process; read after ended

	mu  sync.Mutex // guards log
	log strings.Builder
}

// Start runs the program with a file of configuration, and returns when it listens. Of the environment it
// gets what programs need and nothing that would configure it.
func Start(program, config string) (*Gateway, error) {
	cmd := exec.Command(program, "serve", "--config", filepath.Base(config), "--drain", drainTime.String())
	cmd.Dir = filepath.Dir(config) // its pages name the file as it was given, not the folders of this machine
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start forebay: %w", err), in.Close(), out.Close())
	}
	_ = in.Close() // the process has its own
	g := &Gateway{cmd: cmd, ended: make(chan struct{})}
	found := make(chan string, 1)
	go func() {
		defer close(g.ended)
		g.read(out, found)
		_ = out.Close()
		g.result = cmd.Wait()
	}()
	select {
	case g.URL = <-found:
		return g, nil
	case <-g.ended:
		return nil, fmt.Errorf("forebay does not serve: %w: %s", g.result, g.Log())
	case <-time.After(startTime):
		return nil, errors.Join(fmt.Errorf("forebay does not listen within %s: %s", startTime, g.Log()), g.Stop())
	}
}

// read keeps the log until it ends, and sends the address that it tells.
func (g *Gateway) read(r io.Reader, found chan<- string) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		g.mu.Lock()
		g.log.WriteString(line)
		g.mu.Unlock()
		var told struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &told) == nil && told.Msg == "serving" {
			select {
			case found <- told.URL:
			default: // it is told once
			}
		}
		if err != nil {
			return
		}
	}
}

// PID is its process.
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Log is what it has written so far.
func (g *Gateway) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// Stop ends the process as an operator does, and waits for it. One that does not end is killed. The error is
// also that of a process that had ended by itself.
func (g *Gateway) Stop() error {
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // where it is gone already, its result tells
	select {
	case <-g.ended:
		if g.result != nil {
			return fmt.Errorf("forebay ended: %w", g.result)
		}
		return nil
	case <-time.After(stopTime):
		_ = g.cmd.Process.Kill()
		<-g.ended
		return fmt.Errorf("forebay did not end within %s and was killed", stopTime)
	}
}
