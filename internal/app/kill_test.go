package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
)

// childEnv names the configuration that this test program serves in place of its
// tests: a gateway of its own process, that can be killed.
const childEnv = "FOREBAY_TEST_SERVES"

// serveAsChild serves until it is killed. It tells its address on standard output.
func serveAsChild(path string) {
	f, err := config.Read(config.Sources{Environ: []string{}, Path: path})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	s, err := app.Listen(app.Options{File: f})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("url", s.URL())
	_ = s.Run(context.Background())
}

// child is a gateway in a process of its own.
type child struct {
	url     string
	command *exec.Cmd
}

func startChild(t *testing.T, path string) *child {
	t.Helper()
	c := &child{command: exec.CommandContext(t.Context(), os.Args[0])}
	c.command.Env = append(os.Environ(), childEnv+"="+path)
	out, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "url ")
	if err != nil || !ok {
		c.kill()
		t.Fatalf("the gateway does not start: %q %v", line, err)
	}
	c.url = url
	return c
}

// kill ends the process as a crash would.
func (c *child) kill() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}

// The history of one question: what it is answered with, when that changed, and
// when its answers were invalidated.
type cacheInput struct {
	op    string // change, invalidate, get
	value int    // of change
}

// freshness is what the cache promises: once an invalidation has returned, no get
// that begins later gives a value from before the invalidation began. Between
// invalidations a get may give any value that was current since.
//
// The state is the oldest value that may still be given and the current one. A get may
// not give what was replaced before the last invalidation.
var freshness = porcupine.Model{
	Partition: nil,
	Init:      func() any { return [2]int{0, 0} },
	Step: func(state, input, output any) (bool, any) {
		s, in := state.([2]int), input.(cacheInput)
		switch in.op {
		case "change":
			return true, [2]int{s[0], in.value}
		case "invalidate":
			return true, [2]int{s[1], s[1]}
		}
		got := output.(int)
		return got >= s[0] && got <= s[1], s
	},
	Equal: func(a, b any) bool { return a == b },
}

// TestInvalidateAgainstFillsAndKills changes what the provider says, invalidates, and
// asks, from several callers at once, while the gateway's process is killed and
// started again over the same store. The history of each question is checked against
// a model of what may be seen.
func TestInvalidateAgainstFillsAndKills(t *testing.T) {
	rounds := 3
	if os.Getenv("FOREBAY_LONG") != "" {
		rounds = 20
	}
	const questions = 4
	var current [questions]atomic.Int64
	upstream := newEcho(t)
	upstream.answer = func(text, _ string) string {
		n, _ := strconv.Atoi(text)
		v := current[n].Load()
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // an answer on its way is old already
		return "value " + strconv.FormatInt(v, 10)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "forebay.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nproviders: {up: {type: openai, base_url: %q}}\nmodels: {\"*\": {targets: [{provider: up}]}}\n"+
		"limits: {max_concurrent: 64}\nstore: {dir: %q}\n", upstream.URL, filepath.Join(dir, "data"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &history{begun: time.Now()}
	var gets, failed atomic.Int64
	const enough = 100 // gets; a busy machine needs more rounds for them
	for round := 0; round < rounds || gets.Load() < enough && round < 10*rounds; round++ {
		c := startChild(t, path)
		ctx, stop := context.WithTimeout(t.Context(), 400*time.Millisecond)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
		var wg sync.WaitGroup
		for n := range questions {
			wg.Go(func() { h.change(ctx, c.url, client, n, &current[n]) })
			for range 3 {
				wg.Go(func() {
					for ctx.Err() == nil {
						if h.get(ctx, c.url, client, n) {
							gets.Add(1)
						} else {
							failed.Add(1)
							time.Sleep(time.Millisecond) // the process may be gone
						}
					}
				})
			}
		}
		if round != rounds-1 {
			time.Sleep(time.Duration(100+rand.IntN(250)) * time.Millisecond)
			c.kill()
		}
		wg.Wait()
		stop()
		client.CloseIdleConnections()
		c.kill()
	}
	t.Logf("%d gets, %d failed, %d operations, %d calls upstream", gets.Load(), failed.Load(), len(h.operations), upstream.calls.Load())
	if gets.Load() < enough || upstream.calls.Load() > gets.Load() {
		t.Errorf("%d gets with %d calls upstream say nothing", gets.Load(), upstream.calls.Load())
	}
	for n := range questions {
		if got := porcupine.CheckOperationsTimeout(freshness, h.of(n), time.Minute); got != porcupine.Ok {
			t.Errorf("question %d: the history of %d operations is %s", n, len(h.of(n)), got)
		}
	}
}

// history collects operations that were seen to end.
type history struct {
	begun time.Time

	mu         sync.Mutex // guards operations
	operations []recorded
}

type recorded struct {
	question int
	porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.begun).Nanoseconds() }

func (h *history) add(question int, in cacheInput, call int64, out any, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, recorded{question, porcupine.Operation{
		ClientId: len(h.operations), Input: in, Output: out, Call: call, Return: ended,
	}})
}

func (h *history) of(question int) []porcupine.Operation {
	var all []porcupine.Operation
	for _, r := range h.operations {
		if r.question == question {
			all = append(all, r.Operation)
		}
	}
	return all
}

// change raises the value of question n and invalidates it, again and again.
func (h *history) change(ctx context.Context, url string, client *http.Client, n int, value *atomic.Int64) {
	for ctx.Err() == nil {
		call := h.now()
		v := value.Add(1)
		h.add(n, cacheInput{op: "change", value: int(v)}, call, nil, h.now())
		call = h.now()
		// One that did not return promises nothing. Whether it took effect all the same
		// changes nothing either: newer values may be seen at any time.
		if status, _ := post(ctx, client, url+"/v1/cache/invalidate", fmt.Sprintf(`{"namespace":"q%d"}`, n), ""); status == http.StatusOK {
			h.add(n, cacheInput{op: "invalidate"}, call, nil, h.now())
		}
		time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond)
	}
}

// get asks question n and notes what it saw.
func (h *history) get(ctx context.Context, url string, client *http.Client, n int) bool {
	call := h.now()
	body := fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"%d"}]}`, rand.IntN(2) == 0, n)
	status, answer := post(ctx, client, url+"/v1/chat/completions", body, fmt.Sprintf("q%d", n))
	ended := h.now()
	seen := strings.NewReplacer(`"`, "", "}", "", "{", "").Replace(answer)
	_, after, found := strings.Cut(seen, "content:value ")
	if status != http.StatusOK || !found || !strings.Contains(answer, "stop") {
		return false
	}
	// A stream has the number in an event of its own.
	if i := strings.Index(after, "content:"); i >= 0 && !strings.ContainsAny(after[:1], "0123456789") {
		after = after[i+len("content:"):]
	}
	digits := after[:len(after)-len(strings.TrimLeft(after, "0123456789"))]
	v, err := strconv.Atoi(digits)
	if err != nil {
		return false
	}
	h.add(n, cacheInput{op: "get"}, call, v, ended)
	return true
}

// post sends a body and returns what came; status 0 where nothing did.
func post(ctx context.Context, client *http.Client, url, body, namespace string) (status int, answer string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Content-Type", "application/json")
	if namespace != "" {
		req.Header.Set("X-Forebay-Cache-Namespace", namespace)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(all)
}
