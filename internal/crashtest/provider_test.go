//go:build linux

package crashtest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one that reached the provider.
type call struct {
	Name       string // of the job, as its prompt says
	Number     int    // of this job's calls, from 1
	Start, End time.Duration
	Status     int // what it was answered with; 0 where the caller was gone before
}

// provider answers calls slowly, and some not at all. It outlives every gateway and
// notes what it was asked.
type provider struct {
	*httptest.Server
	clock clock
	dice  *dice
	// during, where not nil, is called while a call runs, with the job's name; it says
	// how the call ends: 0 for an answer, or another status.
	during func(ctx context.Context, name string) (status int)

	mu    sync.Mutex // guards calls and count
	calls []*call
	count map[string]int
}

// clock tells the time since a run began.
type clock time.Time

func (c clock) now() time.Duration { return time.Since(time.Time(c)) }

// newProvider is one that takes 0 to 200 ms, fails 2 % of the calls and hangs in 1 %.
func newProvider(t *testing.T, d *dice) *provider {
	t.Helper()
	p := &provider{clock: clock(time.Now()), dice: d, count: map[string]int{}}
	p.during = p.moods
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// hang is how long a call hangs that the caller does not give up. Longer ones would
// fill all slots.
const hang = 1500 * time.Millisecond

func (p *provider) moods(ctx context.Context, _ string) int {
	luck := p.dice.n(100)
	wait := p.dice.between(0, 200*time.Millisecond)
	if luck == 0 {
		wait = hang
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	if luck < 3 {
		return http.StatusInternalServerError
	}
	return 0
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := p.clock.now()
	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
		http.Error(w, `{"error":{"message":"no chat completion","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	name, _, _ := strings.Cut(body.Messages[0].Content, " ")
	c := p.begin(name, start)
	status := 0
	if p.during != nil {
		status = p.during(r.Context(), name)
	}
	if r.Context().Err() != nil {
		p.end(c, 0)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if status != 0 {
		p.end(c, status)
		w.WriteHeader(status)
		fmt.Fprint(w, `{"error":{"message":"the provider has a bad day","type":"server_error"}}`)
		return
	}
	p.end(c, http.StatusOK) // before it is sent: nobody sees an answer to a call that runs
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`,
		answerTo(name, c.Number))
}

func (p *provider) begin(name string, start time.Duration) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[name]++
	c := &call{Name: name, Number: p.count[name], Start: start}
	p.calls = append(p.calls, c)
	return c
}

func (p *provider) end(c *call, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.End, c.Status = p.clock.now(), status
}

// seen copies what was called so far.
func (p *provider) seen() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]call, len(p.calls))
	for i, c := range p.calls {
		all[i] = *c
	}
	return all
}

// answerTo is the answer to a job's prompt. It says which of the job's calls it is of,
// so that a result tells whose worker stored it.
func answerTo(name string, number int) string {
	return fmt.Sprintf("answer %s call %d", digest(name), number)
}

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// readAnswer finds the answer in a result and says of which call it is; 0 where it is
// not the answer to this job.
func readAnswer(name, result string) (number int) {
	_, after, found := strings.Cut(result, "answer "+digest(name)+" call ")
	if !found {
		return 0
	}
	digits := after[:len(after)-len(strings.TrimLeft(after, "0123456789"))]
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return number
}
