package forebay_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// machine is a model with a number of slots, in virtual time. A call holds a slot for
// the time that its prompt asks for. What comes above the slots is refused with 429, or
// waits inside, in order of arrival, where inside is set. A caller that leaves frees
// its place at once.
type machine struct {
	inside bool

	mu      sync.Mutex // guards what follows
	slots   int
	busy    int
	waiting []*ticket
	slower  float64 // how much longer calls take that begin now; 0 means as long as they ask for
	down    bool    // every call gets a 500 after crashAfter
	calls   int
	refused int // with 429
}

// ticket is a place in the line inside a machine.
type ticket struct {
	turn chan struct{} // closed when a slot is there
}

// crashAfter is how long a machine that is down takes to say so.
const crashAfter = 5 * time.Millisecond

// firstToken is the share of a stream's time before its first word.
const firstToken = 0.3

// promptFor makes a prompt that takes so long to answer. Prompts with the same number are the same.
func promptFor(service time.Duration, number int) string {
	return fmt.Sprintf("%d ms for %d", service.Milliseconds(), number)
}

// Call implements llm.Provider.
func (m *machine) Call(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
	var ms int
	if _, err := fmt.Sscanf(string(req.Body), "%d ms for", &ms); err != nil {
		return nil, llm.Errorf(llm.ProviderRejected, "no time in the prompt")
	}
	m.mu.Lock()
	m.calls++
	service := time.Duration(float64(ms) * float64(time.Millisecond) * cmp.Or(m.slower, 1))
	down := m.down
	m.mu.Unlock()
	if down {
		if !pause(ctx, crashAfter) {
			return nil, llm.AsError(ctx.Err())
		}
		return nil, &llm.Error{Kind: llm.ProviderError, Status: 500, Message: "crashed"}
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	return &answering{machine: m, ctx: ctx, stream: req.Stream, start: time.Now(), service: service}, nil
}

// enter takes a slot, or refuses.
func (m *machine) enter(ctx context.Context) error {
	m.mu.Lock()
	if m.busy < m.slots {
		m.busy++
		m.mu.Unlock()
		return nil
	}
	if !m.inside {
		m.refused++
		m.mu.Unlock()
		return &llm.Error{Kind: llm.ProviderRateLimited, Status: 429, Message: "too many at once", RetryAfter: time.Second}
	}
	t := &ticket{turn: make(chan struct{})}
	m.waiting = append(m.waiting, t)
	m.mu.Unlock()
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, w := range m.waiting {
		if w == t {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			return llm.AsError(ctx.Err())
		}
	}
	m.leaveLocked() // its turn came at the same moment
	return llm.AsError(ctx.Err())
}

func (m *machine) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaveLocked()
}

// leaveLocked gives a slot back and hands out what is free.
func (m *machine) leaveLocked() {
	m.busy--
	m.serveLocked()
}

func (m *machine) serveLocked() {
	for m.busy < m.slots && len(m.waiting) > 0 {
		m.busy++
		close(m.waiting[0].turn)
		m.waiting = m.waiting[1:]
	}
}

// set changes the machine.
func (m *machine) set(change func(*machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
	m.serveLocked()
}

func (m *machine) counts() (calls, refused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls, m.refused
}

// answering is a call that holds a slot: ten words in the test dialect.
type answering struct {
	machine *machine
	ctx     context.Context // of Call: it bounds the stream
	stream  bool
	start   time.Time
	service time.Duration
	words   int
	ended   bool
	once    sync.Once
}

const answerWords = 10

// Next implements llm.Stream.
func (a *answering) Next() (llm.Chunk, error) {
	if a.ended {
		return llm.Chunk{}, io.EOF
	}
	due, raw := a.service, llmtest.Whole("answer", llm.Usage{Input: 5, Output: answerWords})
	if a.stream {
		due = time.Duration(float64(a.service) * (firstToken + (1-firstToken)*float64(a.words)/answerWords))
		raw = []byte("text \"word \"\n")
		a.words++
		if a.words > answerWords {
			raw = []byte("usage 5 10\nEND\n")
		}
	}
	if !pause(a.ctx, time.Until(a.start.Add(due))) {
		a.once.Do(a.machine.leave)
		return llm.Chunk{}, llm.AsError(a.ctx.Err())
	}
	c := llm.Chunk{Raw: raw, Events: 1, Useful: true}
	if !a.stream || a.words > answerWords {
		a.ended, c.Last = true, true
		c.Useful, c.Finish, c.Usage = !a.stream, llm.FinishStop, llm.Usage{Input: 5, Output: answerWords}
		a.once.Do(a.machine.leave)
	}
	return c, nil
}

// Close implements llm.Stream.
func (a *answering) Close() error {
	a.once.Do(a.machine.leave)
	return nil
}

// pause reports whether ctx still stood at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask is one call of a load.
type ask struct {
	at     time.Duration
	prompt string
	stream bool
}

// seen is what became of it, as its caller saw it.
type seen struct {
	at   time.Duration
	good bool // answered before callersWait
	took time.Duration
	why  llm.Kind // of the last error, unless good
}

// callersWait is how long callers wait for an answer.
const callersWait = 2 * time.Second

// arrivals makes calls at random times, of 50 to 150 ms each: so many times what ten
// slots can do.
func arrivals(rng *rand.Rand, from, to time.Duration, share float64, prompt func(rng *rand.Rand, n int) string) []ask {
	var all []ask
	for at := from; ; {
		at += time.Duration(rng.ExpFloat64() * float64(time.Second) / (share * tenSlots))
		if at >= to {
			return all
		}
		all = append(all, ask{at: at, prompt: prompt(rng, len(all)), stream: rng.IntN(2) == 0})
	}
}

// tenSlots is how many calls of 100 ms a second ten slots can do.
const tenSlots = 100.0

// once gives every call a prompt of its own.
func once(rng *rand.Rand, n int) string {
	return promptFor(50*time.Millisecond+time.Duration(rng.Int64N(int64(100*time.Millisecond))), n)
}

// world is a client with machines behind it and callers in front.
type world struct {
	t        *testing.T
	machines []*machine
	naive    bool // callers that try three times more, at once, whatever the error says

	restarted func() *forebay.Client // makes a new client over the same machines

	mu     sync.Mutex // guards client
	client *forebay.Client
}

func (w *world) now() *forebay.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client
}

// drive sends the load, open-loop, and lets events happen at their times. It returns
// when every call has ended.
func (w *world) drive(load []ask, events map[time.Duration]func()) []seen {
	out := make([]seen, len(load))
	var wg sync.WaitGroup
	begin := time.Now()
	for at, do := range events {
		wg.Go(func() {
			time.Sleep(at)
			do()
		})
	}
	for i, a := range load {
		time.Sleep(time.Until(begin.Add(a.at)))
		wg.Go(func() { out[i] = w.call(a) })
	}
	wg.Wait()
	return out
}

func (w *world) call(a ask) seen {
	s := seen{at: a.at}
	start := time.Now()
	tries := 1
	if w.naive {
		tries = 4
	}
	for range tries {
		r := request(a.prompt)
		r.Stream, r.Timeout = a.stream, callersWait
		_, err := w.now().Do(context.Background(), r)
		s.took = time.Since(start)
		if s.why = llm.KindOf(err); err == nil {
			s.good = s.took <= callersWait
			break
		}
	}
	return s
}

// share is the part of the calls between two times that were answered in time.
func share(all []seen, from, to time.Duration) float64 {
	n, good := 0, 0
	for _, s := range all {
		if s.at >= from && s.at < to {
			n++
			if s.good {
				good++
			}
		}
	}
	if n == 0 {
		return 1
	}
	return float64(good) / float64(n)
}

// recoveredAfter is the time after end from which on every second is served as well as
// calls were before, but for a twentieth. Calls count by when they came.
func recoveredAfter(all []seen, before float64, end, last time.Duration) time.Duration {
	var after time.Duration
	for from := end; from+time.Second <= last; from += time.Second {
		if share(all, from, from+time.Second) < 0.95*before {
			after = from + time.Second - end
		}
	}
	return after
}
