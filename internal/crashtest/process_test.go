//go:build linux

package crashtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what happens soon where nothing is wrong, on a machine that is busy.
const patience = 30 * time.Second

// secret is the key of the one caller.
const secret = "crash-test-key"

// subject is what is tested: it makes the command that starts a gateway at a site.
type subject func(s *site) *exec.Cmd

// site is where gateways of one test run, one after another.
type site struct {
	*stage
	subject  subject
	home     string // outlasts a failed test: configuration, log, history
	data     string // the data directory
	provider string // base URL
	settings settings
}

// settings are what tests set differently.
type settings struct {
	Lease       time.Duration
	Max         int // queued jobs
	Concurrency int // jobs claimed at once, of each band
	Slots       int // calls in progress
	Drain       time.Duration
}

// The lease is much shorter than in production (15 s), so that workers can be made to
// lose it within a test; three times the sync that a busy disk was seen to take.
func defaults() settings {
	return settings{Lease: time.Second, Max: 200_000, Concurrency: 16, Slots: 32, Drain: 5 * time.Second}
}

// newSite makes a site in a directory that is kept where the test fails. provider is
// where calls go.
func newSite(t *testing.T, s subject, provider string) *site {
	t.Helper()
	home := keptDir(t)
	w := &site{subject: s, home: home, data: filepath.Join(home, "data"), provider: provider, settings: defaults()}
	w.stage = newStage(t, false)
	return w
}

// keptDir makes a directory on the disk that is removed where the test passes.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "forebay-crashtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// forebay is the release binary, built with tags. Retries are the queue's, the cache
// and the breaker are off: a job that is run again must not find the answer of its
// first run, and a provider that fails on purpose must not be left alone.
func forebay(t *testing.T, tags string) subject {
	t.Helper()
	binary := release.binary(t, tags)
	return func(s *site) *exec.Cmd {
		path := filepath.Join(s.home, "forebay.yaml")
		o := s.settings
		text := fmt.Sprintf(`listen: 127.0.0.1:0
keys: [{name: crash, secret: %s, scopes: [call, jobs, metrics, admin], bands: [low, normal, high, critical]}]
providers: {up: {type: openai, base_url: %q, first_byte_timeout: 0s}}
models: {"*": {targets: [{provider: up}]}}
defaults: {deadline: 5m}
limits: {max_concurrent: %d}
cache: {enabled: false}
retry: {max: 0}
breaker: {enabled: false}
store: {dir: %q}
jobs: {lease: %s, max: %d, concurrency: %d, backoff: 200ms, max_backoff: 2s}
`, secret, s.provider, o.Slots, s.data, o.Lease, o.Max, o.Concurrency)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err) // the site's own directory is there
		}
		c := exec.Command(binary, "serve", "--config", path, "--drain", o.Drain.String())
		// Nothing of the environment may change what the file says.
		c.Env = []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH")}
		return c
	}
}

// process is a gateway that runs.
type process struct {
	url     string
	pid     int
	began   time.Time
	recover time.Duration // from the start to the first 200 of /readyz; zero before
	ended   chan struct{} // closed when it has ended and was waited for
	err     error         // how it ended; read behind ended
	log     *tail
	tracer  *tracer // the last one; nil for none
}

// served finds the address in a line of the log, whatever its format.
var served = regexp.MustCompile(`serving.*(http://127\.0\.0\.1:[0-9]+)`)

// spawn starts a gateway and does not wait for it.
func (s *site) spawn() (*process, chan string, error) {
	c := s.subject(s)
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	c.Stderr, c.Stdout = in, in
	p := &process{began: time.Now(), ended: make(chan struct{}), log: &tail{}}
	err = s.start(c)
	in.Close()
	if err != nil {
		out.Close()
		return nil, nil, err
	}
	p.pid = c.Process.Pid
	found := make(chan string, 1)
	read := make(chan struct{})
	go func() { // ends with the process, which alone has the other end of the pipe
		defer close(read)
		defer out.Close()
		p.follow(out, filepath.Join(s.home, "gateway.log"), found)
	}()
	go func() {
		defer close(p.ended)
		p.err = c.Wait()
		<-read
	}()
	return p, found, nil
}

// follow keeps the log and finds the address in it.
func (p *process) follow(r io.Reader, path string, found chan<- string) {
	defer close(found)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "--- process %d\n", p.pid)
	told := false
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if m := served.FindStringSubmatch(line); m != nil && !told {
			told = true
			found <- m[1]
		}
		p.log.add(line)
		_, _ = f.WriteString(line)
		if err != nil {
			return
		}
	}
}

// launch starts a gateway and waits until it is ready.
func (s *site) launch() (*process, error) {
	p, found, err := s.spawn()
	if err != nil {
		return nil, err
	}
	return p, p.settle(found)
}

// settle waits until the process is ready. One that is not is ended.
func (p *process) settle(found <-chan string) error {
	select {
	case url, ok := <-found:
		if !ok {
			<-p.ended
			return fmt.Errorf("the gateway does not start: %w\n%s", p.err, p.log)
		}
		p.url = url
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the gateway does not serve within %s\n%s", patience, p.log)
	}
	err := p.awaitReady(patience)
	if err != nil {
		p.kill()
		return err
	}
	p.recover = time.Since(p.began)
	return nil
}

// awaitReady waits until /readyz says so.
func (p *process) awaitReady(bound time.Duration) error {
	for begun := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		status, body := p.readiness()
		if status == http.StatusOK {
			return nil
		}
		if time.Since(begun) > bound {
			return fmt.Errorf("not ready within %s: %d %s\n%s", bound, status, body, p.log)
		}
		if !p.alive() {
			return fmt.Errorf("the gateway ended before it was ready: %w\n%s", p.err, p.log)
		}
	}
}

// readiness asks /readyz over a connection of its own; status 0 where no answer came.
func (p *process) readiness() (status int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// alive says whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal unless the process has ended; its id may be another's then.
func (p *process) signal(s syscall.Signal) {
	if p.alive() {
		_ = syscall.Kill(p.pid, s)
	}
}

// kill ends the process as a crash would and waits for its end, which its tracer has
// to allow.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	select {
	case <-p.ended:
		return
	case <-time.After(2 * time.Second):
	}
	if p.tracer != nil {
		p.tracer.stop()
	}
	<-p.ended
}

// halt stops all threads of the process and waits until none runs any more: one
// that is in a system call could write behind the cut.
func (p *process) halt() error {
	p.signal(syscall.SIGSTOP)
	return awaitStop(p.pid)
}

func awaitStop(pid int) error {
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		stopped, err := allStopped(pid)
		if err != nil || stopped {
			return err
		}
		if time.Since(begun) > patience {
			return fmt.Errorf("the threads of process %d do not stop", pid)
		}
	}
}

// allStopped reads the states of a process's threads.
func allStopped(pid int) (bool, error) {
	stats, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	if err != nil || len(stats) == 0 {
		return false, fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended
		}
		if err != nil {
			return false, err
		}
		// The name before the state may hold blanks and parentheses.
		after := string(text[strings.LastIndexByte(string(text), ')')+1:])
		if !strings.HasPrefix(after, " T ") && !strings.HasPrefix(after, " t ") { // t: stopped under a tracer
			return false, nil
		}
	}
	return true, nil
}

// tracer is strace on a gateway.
type tracer struct {
	command *exec.Cmd
	ended   chan struct{}
}

// inject lets system calls of the process fail, or kill it, as the expression says
// (strace(1), -e inject). It returns when the tracer is attached to a thread; the
// others follow within moments. What is traced goes to a file. A thread that ends at
// the moment lets strace give up: then it is tried again.
func (s *site) inject(p *process, expression string) (t *tracer, err error) {
	for range 5 {
		if t, err = s.attach(p, expression); !errors.Is(err, errNotAttached) {
			break
		}
	}
	return t, err
}

var errNotAttached = errors.New("strace does not attach (ptrace is not allowed here?)")

func (s *site) attach(p *process, expression string) (*tracer, error) {
	calls, _, _ := strings.Cut(expression, ":")
	c := exec.Command("strace", "-f", "-qq", "-o", s.traceFile(), "-e", "trace="+calls, "-e", "inject="+expression, "-p", strconv.Itoa(p.pid))
	if err := s.start(c); err != nil {
		return nil, err
	}
	t := &tracer{command: c, ended: make(chan struct{})}
	p.tracer = t
	go func() {
		defer close(t.ended)
		_ = c.Wait() // it ends with its tracee or by stop
	}()
	for begun := time.Now(); p.alive() && !traced(p.pid); time.Sleep(time.Millisecond) {
		select {
		case <-t.ended:
			return nil, errNotAttached
		default:
		}
		if time.Since(begun) > patience {
			t.stop()
			return nil, errors.New("strace does not attach")
		}
	}
	return t, nil
}

func (s *site) traceFile() string { return filepath.Join(s.home, "strace.log") }

// traced says whether all threads of a process have a tracer.
func traced(pid int) bool {
	stats, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "status"))
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return false
		}
	}
	return len(stats) > 0
}

// stop ends the tracer; its tracee goes on. One that waits for a tracee that is dying
// is killed: the kernel then lets the tracee go.
func (t *tracer) stop() {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-t.ended:
			return
		default:
			_ = t.command.Process.Signal(s)
		}
		select {
		case <-t.ended:
			return
		case <-time.After(2 * time.Second):
		}
	}
	<-t.ended
}

// kill ends the tracer at once; its tracee goes on.
func (t *tracer) kill() {
	_ = t.command.Process.Signal(syscall.SIGKILL) // an error says that it has ended
	<-t.ended
}

// halt stops the tracer, so that it lets no thread of its tracee go on.
func (t *tracer) halt() error {
	if err := t.command.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop strace: %w", err)
	}
	return awaitStop(t.command.Process.Pid)
}

// needStrace skips the test where there is no strace or it may not trace.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("faults at system calls need strace (Debian: strace)")
	}
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > 40 {
		l.lines = l.lines[1:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}
