package jobtable_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
	"github.com/forebay-ai/forebay/store/storetest"
)

// shared is what the processes of a test have in common.
type shared struct {
	Endpoint, Table, Master string
	Keys                    []envelope.WrappedKey
	Log                     string // the file of executions and acknowledgements, one a line
	Jobs                    int    // that each process submits
	Seed                    uint64
}

// noted is a key store that keeps what is saved in it, to be handed to other processes.
type noted struct {
	*storetest.Memory
	mu   sync.Mutex
	keys []envelope.WrappedKey
}

func (n *noted) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys = append(n.keys, keys...)
	return n.Memory.Save(ctx, keys...)
}

// owner is whose all jobs of the test are.
var owner = envelope.Owner{Tenant: "acme", User: "u"}

// keyring is the one that all processes have.
func (s *shared) keyring(store envelope.KeyStore) (*envelope.Keyring, error) {
	masters, err := envelope.ParseMasters(s.Master)
	if err != nil {
		return nil, err
	}
	if err := store.Save(context.Background(), s.Keys...); err != nil {
		return nil, err
	}
	return envelope.New(context.Background(), envelope.Config{Masters: masters, Keys: store})
}

// queue opens a queue on the table. note writes a line into the log of what was done.
func (s *shared) queue(ctx context.Context, note func(format string, args ...any)) (*jobs.Queue, *calls.Conn, error) {
	keys, err := s.keyring(storetest.NewMemory())
	if err != nil {
		return nil, nil, err
	}
	conn := calls.New(dynamodb.NewFromConfig(awstest.Config(s.Endpoint)), 10*time.Second)
	store, err := jobtable.Open(ctx, jobtable.Config{
		Table: s.Table, MaxPayload: 1 << 20, Grace: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}, conn)
	if err != nil {
		return nil, nil, err
	}
	q, err := jobs.New(ctx, jobs.Config{
		Store: store, Keys: keys, Logger: slog.New(slog.DiscardHandler),
		Desk: backlog.Config{
			Concurrency: 4, Retries: 2, Deaths: 50, Lease: 2 * time.Second, Timeout: 10 * time.Minute,
			BackoffBase: 20 * time.Millisecond, BackoffCap: 200 * time.Millisecond,
		},
		Handler: func(ctx context.Context, t *jobs.Task) ([]byte, error) {
			note("run %s %d", t.ID, t.Attempt)
			select {
			case <-time.After(time.Duration(5+mathrand.IntN(40)) * time.Millisecond):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if (int64(t.ID)+int64(t.Attempt))%7 == 0 {
				return nil, llm.Errorf(llm.ProviderOverloaded, "by design")
			}
			return fmt.Appendf(nil, "%s %s %d", t.Payload, t.ID, t.Attempt), nil
		},
	})
	return q, conn, err
}

// noteIn appends whole lines to a file: the kernel keeps them apart, whoever else appends.
func noteIn(path string) (func(format string, args ...any), error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return func(format string, args ...any) { _, _ = fmt.Fprintf(f, format+"\n", args...) }, nil
}

// worker is the life of one process: it submits jobs and runs whatever is in the table, until it is killed or the test is gone.
func worker() error {
	var s shared
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return err
	}
	go func() { // the test keeps its end open
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	note, err := noteIn(s.Log)
	if err != nil {
		return err
	}
	q, _, err := s.queue(context.Background(), note)
	if err != nil {
		return err
	}
	go func() {
		for n := range s.Jobs {
			key := fmt.Sprintf("%d/%d", s.Seed, n)
			j, _, err := q.Submit(context.Background(), jobs.Submission{
				Tenant: owner.Tenant, User: owner.User, Operation: "op", Band: llm.Priorities[n%len(llm.Priorities)],
				Payload: []byte("payload " + key), IdempotencyKey: key, Digest: [32]byte{byte(n), byte(n >> 8), byte(s.Seed)},
			})
			if err == nil {
				note("accepted %s %s", j.ID, key)
			}
		}
		note("submitted %d", s.Seed)
	}()
	return q.Run(context.Background())
}

// crew are the processes.
type crew struct {
	t      *testing.T
	shared shared
	all    []*exec.Cmd
	stdin  []io.Closer
}

func (c *crew) start(i int) {
	c.t.Helper()
	s := c.shared
	s.Seed = uint64(i) // a process that comes back submits the same again, under the same keys
	input, err := json.Marshal(s)
	must(c.t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "JOBTABLE_WORKER=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(c.t, err)
	must(c.t, cmd.Start())
	_, err = in.Write(input)
	must(c.t, err)
	c.all[i], c.stdin[i] = cmd, in
}

func (c *crew) kill(i int) {
	_ = c.all[i].Process.Kill()
	_ = c.all[i].Wait() // it was killed
	_ = c.stdin[i].Close()
}

// newShared makes a table, a log and keys.
func newShared(t *testing.T, each int) shared {
	t.Helper()
	var master [32]byte
	_, _ = rand.Read(master[:]) // never fails
	c := client(t, nil)
	s := shared{
		Endpoint: awstest.Dynalite(t), Table: newTable(t, c), Master: base64.StdEncoding.EncodeToString(master[:]),
		Log: filepath.Join(t.TempDir(), "log"), Jobs: each,
	}
	store := &noted{Memory: storetest.NewMemory()}
	keys, err := s.keyring(store)
	must(t, err)
	_, err = keys.Seal(t.Context(), nil, owner, nil, []byte("so that there is a key"))
	must(t, err)
	s.Keys = store.keys
	return s
}

// TestProcesses has four processes on one table submit and run jobs, and kills them again and again. Whatever was
// accepted comes to an end, once, and no attempt is made that nothing explains.
func TestProcesses(t *testing.T) {
	const processes = 4
	kills, each := 4, 12
	if long() {
		kills, each = 16, 60
	}
	s := newShared(t, each)
	c := &crew{t: t, shared: s, all: make([]*exec.Cmd, processes), stdin: make([]io.Closer, processes)}
	for i := range processes {
		c.start(i)
	}
	defer func() {
		for i := range processes {
			c.kill(i)
		}
	}()
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for range kills {
		time.Sleep(time.Duration(200+random.IntN(800)) * time.Millisecond)
		i := random.IntN(processes)
		c.kill(i)
		c.start(i)
	}
	// One more process, which runs nothing, waits for the ends that others make.
	watching, _, err := s.queue(t.Context(), t.Logf)
	must(t, err)
	ends := &ledger{t: t, log: s.Log}
	ends.wait(watching, processes*each)
	ends.check(c, watching)
}

// ledger compares what was accepted and run with what the table says.
type ledger struct {
	t        *testing.T
	log      string
	accepted map[backlog.ID]string // with their keys
	runs     map[backlog.ID]int
}

// read reads the log.
func (l *ledger) read() {
	l.accepted, l.runs = map[backlog.ID]string{}, map[backlog.ID]int{}
	content, err := os.ReadFile(l.log)
	must(l.t, err)
	for line := range bytes.Lines(content) {
		words := strings.Fields(string(line))
		if len(words) < 3 {
			continue // a process was killed while it wrote the line, or it is of another kind
		}
		id, err := backlog.ParseID(words[1])
		switch {
		case err != nil:
		case words[0] == "run":
			l.runs[id]++
		case words[0] == "accepted":
			l.accepted[id] = words[2]
		}
	}
}

// wait waits until as many jobs were accepted, and each has come to an end.
func (l *ledger) wait(q *jobs.Queue, n int) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 3*time.Minute)
	defer cancel()
	for l.read(); len(l.accepted) < n; l.read() {
		if ctx.Err() != nil {
			l.t.Fatalf("only %d of %d jobs were accepted", len(l.accepted), n)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for id := range l.accepted {
		j, err := q.Wait(ctx, jobs.As{Tenant: owner.Tenant}, id)
		if err != nil || !j.State.Final() {
			l.t.Fatalf("job %s is %v, %v; want it to have ended", id, j.State, err)
		}
	}
	l.read()
}

// check checks the invariants.
func (l *ledger) check(c *crew, q *jobs.Queue) {
	store, _ := openAt(l.t, client(l.t, nil), jobtable.Config{Table: c.shared.Table, MaxPayload: 1 << 20, Grace: time.Hour, CensusFor: -1, Logger: slog.New(slog.DiscardHandler)})
	all, err := store.List(l.t.Context(), backlog.Query{Limit: 10_000})
	must(l.t, err)
	keys, states, deaths, retries := map[[32]byte]backlog.ID{}, map[backlog.State]int{}, 0, 0
	stored := map[backlog.ID]bool{}
	for _, j := range all {
		stored[j.ID] = true
		states[j.State]++
		deaths, retries = deaths+j.Deaths, retries+j.Retries
		if other, twice := keys[j.Idempotency]; twice {
			l.t.Errorf("jobs %s and %s are under one idempotency key", other, j.ID)
		}
		keys[j.Idempotency] = j.ID
		if most := 1 + j.Retries + j.Deaths; l.runs[j.ID] > most {
			l.t.Errorf("job %s was run %d times; %d retries and %d deaths explain %d", j.ID, l.runs[j.ID], j.Retries, j.Deaths, most)
		}
		if j.State != backlog.Completed {
			continue
		}
		_, result, err := q.Result(l.t.Context(), jobs.As{Tenant: owner.Tenant}, j.ID)
		if want := fmt.Sprintf(" %s %d", j.ID, j.Attempt); err != nil || !strings.HasSuffix(string(result), want) {
			l.t.Errorf("the result of job %s is %q, %v; want that of attempt %d", j.ID, result, err, j.Attempt)
		}
	}
	for id, key := range l.accepted {
		if !stored[id] {
			l.t.Errorf("job %s was accepted under %s and is lost", id, key)
		}
	}
	sum := 0
	for s, n := range states {
		if !s.Final() {
			l.t.Errorf("%d jobs are %v", n, s)
		}
		sum += n
	}
	if sum != len(l.accepted) || len(all) == 0 {
		l.t.Errorf("%d jobs were accepted, and there are %d: %v", len(l.accepted), sum, states)
	}
	census, err := store.Census(l.t.Context(), nil)
	if must(l.t, err); fmt.Sprint(census) != fmt.Sprint(states) {
		l.t.Errorf("the census is %v; want %v", census, states)
	}
	l.t.Logf("%d jobs: %v, %d retries, %d lost leases, %d runs", len(all), states, retries, deaths, len(l.runs))
}
