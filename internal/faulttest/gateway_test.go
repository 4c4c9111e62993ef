//go:build linux

package faulttest_test

import (
	"bufio"
	"bytes"
	"context"
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

// secret is the key of the one caller, canary the beginning of every key that the
// gateway has for an upstream, and private a part of every prompt. None of them may
// stand in an answer or in the log.
const (
	secret  = "fault-test-caller-key"
	canary  = "sk-canary-4f1d"
	private = "nobody-else-may-read-this"
)

// target is one of a model: an upstream's address, and keys of its provider.
type target struct {
	url  string // without the path
	keys string // such as "idle_timeout: 1s, first_byte_timeout: 1s"
	gate string // the model to ask for, where the target is another gateway
}

// setup is the configuration of a gateway.
type setup struct {
	models map[string][]target // by name, which is the first segment of the path upstream
	extra  string              // further lines of the file
	env    []string
	ownLog bool // extra says what is logged
	crowd  int  // further tenants, of the keys secret0, secret1 and so on
}

// yaml is the file. Each model has providers of its own: NAME-0, NAME-1 and so on.
func (s setup) yaml() string {
	var providers, models strings.Builder
	for name, targets := range s.models {
		var list []string
		for i, t := range targets {
			keys := t.keys
			if keys != "" {
				keys = ", " + keys
			}
			base, key, model := t.url+"/"+name+"/v1", fmt.Sprintf("%s-%s-%d", canary, name, i), "up"
			if t.gate != "" {
				base, key, model = t.url+"/v1", secret, t.gate
			}
			fmt.Fprintf(&providers, "  %s-%d: {type: openai, base_url: %q, api_key: %s%s}\n", name, i, base, key, keys)
			list = append(list, fmt.Sprintf("{provider: %s-%d, model: %s, price: {input: 1, output: 1}}", name, i, model))
		}
		fmt.Fprintf(&models, "  %s: {targets: [%s]}\n", name, strings.Join(list, ", "))
	}
	log := "log: {requests: true, format: json}\n"
	if s.ownLog {
		log = ""
	}
	keys := fmt.Sprintf("{name: faults, secret: %s, scopes: [call, metrics, cache, admin], bands: [low, normal, high, critical]}", secret)
	for i := range s.crowd {
		keys += fmt.Sprintf(", {name: k%d, tenant: t%d, secret: %s%d}", i, i, secret, i)
	}
	return fmt.Sprintf("listen: 127.0.0.1:0\n%skeys: [%s]\nproviders:\n%smodels:\n%s%s",
		log, keys, providers.String(), models.String(), s.extra)
}

// gateway is a release binary that runs.
type gateway struct {
	*caller
	pid   int
	ended chan struct{} // closed when it has ended and was waited for
	err   error         // how it ended; read behind ended
	log   *logbook
	base  vitals // before the first call
}

// vitals are what a gateway holds.
type vitals struct{ goroutines, files float64 }

// served finds the address in a line of the log.
var served = regexp.MustCompile(`serving.*(http://127\.0\.0\.1:[0-9]+)`)

// start runs a gateway until the end of the test, and checks then that it ends well.
func start(t *testing.T, s setup) *gateway {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, "forebay.yaml")
	if err := os.WriteFile(path, []byte(s.yaml()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(release.binary(t), "serve", "--config", path, "--drain", "2s")
	// Nothing of the environment may change what the file says.
	c.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, s.env...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = in, in
	err = c.Start()
	in.Close()
	if err != nil {
		out.Close()
		t.Fatal(err)
	}
	g := &gateway{pid: c.Process.Pid, ended: make(chan struct{}), log: &logbook{}}
	found := make(chan string, 1)
	go func() { // ends with the process, which alone has the other end of the pipe
		defer close(g.ended)
		g.log.follow(out, found)
		out.Close()
		g.err = c.Wait()
	}()
	t.Cleanup(func() { g.stop(t) })
	select {
	case url := <-found:
		g.caller = newCaller(url)
	case <-g.ended:
		t.Fatalf("the gateway does not start: %v\n%s", g.err, g.log.text())
	case <-time.After(patience):
		t.Fatalf("the gateway does not serve within %s\n%s", patience, g.log.text())
	}
	// What runs beside calls has begun once the figures stay.
	for again := (vitals{}); again != g.base || again == (vitals{}); time.Sleep(50 * time.Millisecond) {
		again, g.base = g.base, g.vitals(t)
	}
	return g
}

// stop ends the gateway as an operator would.
func (g *gateway) stop(t *testing.T) {
	if g.caller != nil {
		g.http.CloseIdleConnections()
	}
	if !g.alive() {
		t.Errorf("the gateway ended by itself: %v\n%s", g.err, g.log.text())
		return
	}
	_ = syscall.Kill(g.pid, syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience):
		_ = syscall.Kill(g.pid, syscall.SIGKILL)
		<-g.ended
		t.Errorf("the gateway does not end within %s of SIGTERM", patience)
	}
	if g.err != nil {
		t.Errorf("the gateway ended with %v", g.err)
	}
	if t.Failed() {
		t.Logf("the gateway's log ends with:\n%s", g.log.tail(6000))
	}
}

func (g *gateway) alive() bool {
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

// logbook is all that a gateway wrote.
type logbook struct {
	mu  sync.Mutex // guards all
	all bytes.Buffer
}

// follow reads the log and finds the address in it.
func (l *logbook) follow(r io.Reader, found chan<- string) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if m := served.FindStringSubmatch(line); m != nil {
			select {
			case found <- m[1]:
			default:
			}
		}
		l.mu.Lock()
		l.all.WriteString(line)
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *logbook) tail(n int) string {
	all := l.text()
	return all[max(0, len(all)-n):]
}

// lineWith is the first line of the log that has a word; "" for none.
func (l *logbook) lineWith(word string) string {
	for line := range strings.Lines(l.text()) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}

// metrics are the samples of /metrics by name and labels, as they stand there.
type metrics map[string]float64

func (g *gateway) metrics(t testing.TB) metrics {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := g.http.Do(req)
	if err != nil {
		t.Fatalf("no metrics: %v", err)
	}
	defer res.Body.Close()
	m := metrics{}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if v, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			m[lines.Text()[:at]] = v
		}
	}
	if err := lines.Err(); err != nil || res.StatusCode != http.StatusOK || len(m) == 0 {
		t.Fatalf("metrics: status %d, %d samples, %v", res.StatusCode, len(m), err)
	}
	return m
}

// sum adds the samples of a name whose labels have all the words.
func (m metrics) sum(name string, words ...string) float64 {
	total := 0.0
next:
	for key, v := range m {
		labels, found := strings.CutPrefix(key, name)
		if !found || labels != "" && labels[0] != '{' {
			continue
		}
		for _, w := range words {
			if !strings.Contains(labels, w) {
				continue next
			}
		}
		total += v
	}
	return total
}

func (g *gateway) vitals(t testing.TB) vitals {
	t.Helper()
	m := g.metrics(t)
	return vitals{m["go_goroutines"], m["process_open_fds"]}
}

// wait polls until check finds nothing, at most for bound, and says what it found last.
func wait(bound time.Duration, check func() string) string {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		found := check()
		if found == "" || time.Since(begun) > bound {
			return found
		}
	}
}

// mustBeCalm is the oracle after each group of faults: the gateway lives, no call is in
// progress a second after the last, goroutines and files are those of the start, and
// neither keys nor prompts are in the log or in an answer.
func (g *gateway) mustBeCalm(t *testing.T, ups ...*upstream) {
	t.Helper()
	g.mustBeQuiet(t, ups...)
	// A few of each are a matter of the moment: this connection, a timer that runs.
	const slack = 4
	if found := wait(10*time.Second, func() string {
		for _, u := range ups {
			u.closeIdle()
		}
		g.http.CloseIdleConnections()
		if v := g.vitals(t); v.goroutines > g.base.goroutines+slack || v.files > g.base.files+slack {
			return fmt.Sprintf("goroutines: %v, files: %v; at the start %v and %v", v.goroutines, v.files, g.base.goroutines, g.base.files)
		}
		return ""
	}); found != "" {
		t.Error(found)
	}
}

// mustBeQuiet is the part of mustBeCalm that holds while connections are kept.
func (g *gateway) mustBeQuiet(t *testing.T, ups ...*upstream) {
	t.Helper()
	if !g.alive() {
		t.Fatalf("the gateway ended: %v\n%s", g.err, g.log.tail(6000))
	}
	if found := wait(time.Second, func() string {
		if n := g.metrics(t).sum("forebay_inflight_requests"); n != 0 {
			return fmt.Sprintf("%v calls are in progress a second after the last", n)
		}
		return ""
	}); found != "" {
		t.Error(found)
	}
	for _, u := range ups {
		if err := u.idle(time.Second); err != nil {
			t.Error(err)
		}
	}
	for _, word := range []string{canary, private, secret, "panic", "goroutine ", "forebay_internal"} {
		if line := g.log.lineWith(word); line != "" {
			t.Errorf("the log has %q: %s", word, line)
		}
	}
	if leak := g.leak(); leak != "" {
		t.Errorf("an answer has a key: %s", leak)
	}
}
