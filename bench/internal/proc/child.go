package proc

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a child may take to stop when it is asked to: a Forebay
// with a store copies up to 128 MiB of its log into the database first.
const stopGrace = 15 * time.Second

// listening is what a child of ours prints before its address.
const listening = "listening "

// Child is a process that this program started.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once err is set
	err  error
	in   io.Closer // its standard input; nil for programs that are not ours
}

// Start runs cmd. The caller stops it.
func Start(cmd *exec.Cmd) (*Child, error) {
	if cmd.SysProcAttr == nil {
		// The child dies with us, however we end. The signal is bound to the thread that
		// started the child: main stays on its own (runtime.LockOSThread).
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c := &Child{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the child, for which Stop waits
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// StartServer runs a child of ours that calls Announce and returns the address
// it listens on.
func StartServer(cmd *exec.Cmd) (*Child, string, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	cmd.Stdout = w
	c, err := Start(cmd)
	_ = w.Close() // the child has its own
	if err != nil {
		return nil, "", err
	}
	c.in = in
	_ = r.SetReadDeadline(time.Now().Add(stopGrace))
	line, err := bufio.NewReader(r).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), listening)
	if err != nil || !ok {
		c.Stop()
		return nil, "", fmt.Errorf("%s did not say where it listens: %q %w", cmd.Path, line, err)
	}
	return c, addr, nil
}

// Announce tells the parent where this child listens, and returns once the parent
// is done with it: when standard input ends.
func Announce(addr string) {
	fmt.Println(listening + addr)
	_, _ = io.Copy(io.Discard, os.Stdin) // either way the parent is gone
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Wait waits for the child's own end and returns its error.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// CPU is what the child took from its start to its end, threads and children that
// had ended before included. It waits for the end.
func (c *Child) CPU() time.Duration {
	<-c.done
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

// Stop ends the child, the hard way if it takes longer than 15 s, and waits for
// its end. It may be called more than once.
func (c *Child) Stop() {
	if c.in != nil {
		_ = c.in.Close()
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails only for a child that has ended
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}
