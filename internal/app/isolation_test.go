package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/app"
)

const (
	isolationTenants = 50
	isolationUsers   = 20
	isolationCallers = 32
	isolationPhases  = 4 // the gateway is stopped and started between them
)

// isolationOps is how many requests are sent: FOREBAY_ISOLATION_OPS, else 200,000 in
// a long run and 4,000 in a short one.
func isolationOps(t *testing.T) int {
	if text := os.Getenv("FOREBAY_ISOLATION_OPS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("FOREBAY_ISOLATION_OPS is %q: a number of requests", text)
		}
		return n
	}
	if os.Getenv("FOREBAY_LONG") != "" {
		return 200_000
	}
	return 4_000
}

// TestIsolation lets 50 tenants of 20 users each ask over sockets, streamed and
// whole, the same questions and their own, through one gateway with both tiers of
// the cache. A fifth of the calls is given up at random moments. The provider
// answers with the name of the user that it was asked for. Nobody may see a name
// that is not his, and no name may stand in the files of the store.
func TestIsolation(t *testing.T) {
	upstream := newEcho(t)
	dir := t.TempDir()
	var text strings.Builder
	fmt.Fprintf(&text, "listen: 127.0.0.1:0\nproviders: {echo: {type: openai, base_url: %q}}\nmodels: {\"*\": {targets: [{provider: echo}]}}\n", upstream.URL)
	// Memory for a part of the answers only, so that many come from disk.
	fmt.Fprintf(&text, "cache: {memory: 2MiB, max_entry: 64KiB, stale_while_revalidate: 2s}\nlimits: {max_concurrent: 64}\nbreaker: {enabled: false}\n")
	fmt.Fprintf(&text, "operations: {quick: {cache: {ttl: 1s}}}\n")
	fmt.Fprintf(&text, "store: {dir: %q}\nkeys:\n", dir)
	for tenant := range isolationTenants {
		fmt.Fprintf(&text, "  - {name: k%d, secret: secret-of-tenant-%d, tenant: t%d}\n", tenant, tenant, tenant)
	}
	run := &isolation{t: t, foreign: make(chan string, 16)}
	total := isolationOps(t)
	for phase := range isolationPhases {
		s := start(t, app.Options{File: configured(t, text.String(), nil)})
		run.phase(s, uint64(phase), total/isolationPhases)
		s.stop()
		if err := s.wait(); err != nil {
			t.Errorf("phase %d: %v", phase, err)
		}
	}
	close(run.foreign)
	for leak := range run.foreign {
		t.Error(leak)
	}
	t.Logf("%d requests: %d whole answers, %d given up, %d hits, %d refused; %d calls upstream",
		total, run.whole.Load(), run.given.Load(), run.hits.Load(), run.refused.Load(), upstream.calls.Load())
	if run.hits.Load() < int64(total/20) || run.whole.Load() < int64(total/2) {
		t.Error("too few answers and hits to say anything")
	}
	if n := upstream.calls.Load(); n > int64(total) {
		t.Errorf("%d calls upstream for %d requests", n, total)
	}
	scan(t, dir, []byte("CANARY"))
}

// isolation is the callers' side.
type isolation struct {
	t                           *testing.T
	whole, given, hits, refused atomic.Int64
	foreign                     chan string // what somebody saw of others; a few of them
}

// phase sends n requests from callers that share their connections.
func (run *isolation) phase(s *served, phase uint64, n int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: isolationCallers}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for caller := range isolationCallers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(phase, uint64(caller)))
			for range n / isolationCallers {
				run.one(s.URL(), client, r)
			}
		})
	}
	wg.Wait()
}

// canary has names of one length: the beginning of one, where a caller stopped reading,
// is nobody else's.
var canary = regexp.MustCompile(`CANARY-t\d\d-u\d\d`)

// one sends one request and looks at all that comes back.
func (run *isolation) one(url string, client *http.Client, r *rand.Rand) {
	// A few tenants and users ask most, as everywhere, so that answers are found again.
	tenant, user := min(int(r.ExpFloat64()*8), isolationTenants-1), min(int(r.ExpFloat64()*3), isolationUsers-1)
	own := fmt.Sprintf("CANARY-t%02d-u%02d", tenant, user)
	question := fmt.Sprintf("What is my name? %d", r.IntN(5))
	if r.IntN(3) == 0 {
		question = "I am " + own + ", remember it " + strconv.Itoa(r.IntN(4))
	}
	stream := r.IntN(2) == 0
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	gives := r.IntN(5) == 0
	if gives && r.IntN(2) == 0 {
		defer time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, cancel).Stop()
	}
	body := fmt.Sprintf(`{"model":"m","stream":%v,"user":%q,"messages":[{"role":"user","content":%q}]}`, stream, own, question)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		run.t.Error(err)
		return
	}
	req.Header.Set("Authorization", fmt.Sprintf("Bearer secret-of-tenant-%d", tenant))
	req.Header.Set("X-Forebay-User", fmt.Sprintf("u%d", user)) // tenants have users of the same names
	if r.IntN(4) == 0 {
		req.Header.Set("X-Forebay-Operation", "quick")
	}
	seen, complete := run.read(client, req, gives, r)
	for _, name := range canary.FindAllString(string(seen), -1) {
		if name != own {
			select {
			case run.foreign <- fmt.Sprintf("%s saw %s: %.300s", own, name, seen):
			default:
			}
		}
	}
	if complete && !bytes.Contains(seen, []byte("echo for "+own)) && !bytes.Contains(seen, []byte("echo ")) {
		run.t.Errorf("%s got an answer that is none: %.300s", own, seen)
	}
}

// read sends req and returns what came, and whether that was all of it.
func (run *isolation) read(client *http.Client, req *http.Request, gives bool, r *rand.Rand) (seen []byte, complete bool) {
	res, err := client.Do(req)
	if err != nil {
		run.given.Add(1)
		return nil, false
	}
	defer res.Body.Close()
	if gives {
		part := make([]byte, r.IntN(600))
		n, _ := io.ReadFull(res.Body, part)
		run.given.Add(1)
		return part[:n], false
	}
	seen, err = io.ReadAll(res.Body)
	switch {
	case err != nil:
		run.t.Errorf("an answer broke off: %v", err)
	case res.StatusCode == http.StatusServiceUnavailable:
		run.refused.Add(1)
	case res.StatusCode != http.StatusOK:
		run.t.Errorf("%d %s", res.StatusCode, seen)
	default:
		run.whole.Add(1)
		if strings.Contains(res.Header.Get("Cache-Status"), "; hit") {
			run.hits.Add(1)
		}
		return seen, true
	}
	return seen, false
}

// scan looks for a word in every file under dir.
func scan(t *testing.T, dir string, word []byte) {
	t.Helper()
	var bytesSeen int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		bytesSeen += int64(len(content))
		if at := bytes.Index(content, word); at >= 0 {
			t.Errorf("%s holds %q at byte %d", d.Name(), word, at)
		}
		return err
	})
	if err != nil || bytesSeen < 64<<10 {
		t.Errorf("the store has %d bytes, %v: nothing to scan", bytesSeen, err)
	}
}
