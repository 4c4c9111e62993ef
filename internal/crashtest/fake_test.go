//go:build linux

package crashtest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A planted fault is something that the fake gateway does wrong, and that the checker
// has to see.
const (
	faultEarly     = "acknowledges before it syncs"
	faultForget    = "forgets a job at a restart"
	faultPhantom   = "makes a job up at a restart"
	faultTwins     = "takes a repeated key for a new job"
	faultChange    = "changes a result at a restart"
	faultRerun     = "runs completed jobs again at a restart"
	faultUnfenced  = "stores what a worker without lease brings"
	faultBackwards = "takes the last job first"
	faultMiscount  = "counts jobs that are not there"
	faultDeaf      = "takes no notice of failed syncs"
	faultHasty     = "tells of a job that could not be stored"
	faultUnlocked  = "does not lock its directory"
	faultUndying   = "runs a job again however many processes died of it"
	faultReopen    = "queues completed jobs again at a restart"
)

// fakeSettings are what the test tells the fake gateway.
type fakeSettings struct {
	Dir, Provider, Fault string
	Lease                time.Duration
	Slots                int
}

// fake is this test program as the gateway of a site.
func fake(fault string) subject {
	return func(s *site) *exec.Cmd {
		text, err := json.Marshal(fakeSettings{s.data, s.provider, fault, s.settings.Lease, s.settings.Slots})
		if err != nil {
			panic(err) // of strings and numbers
		}
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), fakeEnv+"="+string(text))
		return c
	}
}

// fakeJob is a job as the fake gateway keeps it: each change writes a line with all of it.
type fakeJob struct {
	Number          int
	View            fakeView
	Body            json.RawMessage
	Digest          string
	Key             string
	Deadline, Until time.Time
	Result          string

	lease   time.Time // of this process
	retryAt time.Time
}

type fakeView struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	State      string `json:"state"`
	CustomID   string `json:"custom_id"`
	Priority   string `json:"priority"`
	Attempt    int    `json:"attempt"`
	Retries    int    `json:"retries"`
	LostLeases int    `json:"lost_leases"`
}

// lose is the end of a lease whose worker is gone.
func (j *fakeJob) lose(fault string) {
	j.View.State = "queued"
	if j.View.LostLeases++; j.View.LostLeases >= 3 && fault != faultUndying {
		j.View.State = "dead"
	}
}

func (j *fakeJob) final() bool { return view{State: j.View.State}.final() }

// fakeGateway is a durable queue of the simplest kind: one file that is appended to,
// one lock over everything.
type fakeGateway struct {
	fakeSettings
	file   *os.File
	client *http.Client

	mu     sync.Mutex // guards what follows, the file and all jobs; held while it syncs
	jobs   []*fakeJob
	keys   map[string]*fakeJob
	length int64 // of the file as far as it is synced
	failed bool  // a write or a sync failed; nothing is written until the file was opened anew
	fenced int
	busy   int
}

// beFake serves until it is killed, or a signal ends it. It returns the exit status.
func beFake(text string) int {
	g := &fakeGateway{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	if err := json.Unmarshal([]byte(text), &g.fakeSettings); err != nil {
		return 2
	}
	if err := g.open(); err != nil {
		fmt.Fprintln(os.Stderr, "fake gateway:", err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	slog.Info("serving", "url", "http://"+l.Addr().String())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: g.routes(), ReadHeaderTimeout: time.Minute}
	go func() { // ends with the process
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond)
		os.Exit(0)
	}()
	go g.schedule(ctx) // ends with the process
	_ = server.Serve(l)
	return 0
}

// open locks the directory and reads the file.
func (g *fakeGateway) open() error {
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return err
	}
	lock, err := os.Create(filepath.Join(g.Dir, "lock")) // open as long as the process runs
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil && g.Fault != faultUnlocked {
		return errors.New("another process has " + g.Dir)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.readLocked(); err != nil {
		return err
	}
	g.recoverLocked()
	return nil
}

// readLocked reads the file, as far as its lines are whole.
func (g *fakeGateway) readLocked() error {
	f, err := os.OpenFile(filepath.Join(g.Dir, "journal"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if g.file != nil {
		g.file.Close() // its error says nothing new
	}
	g.file, g.jobs, g.keys = f, nil, map[string]*fakeJob{}
	all, err := io.ReadAll(g.file)
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(all, '\n') + 1)
	if g.failed {
		whole = g.length // what is behind was never acknowledged, and may not be on the disk
	}
	for line := range bytes.Lines(all[:whole]) {
		var j fakeJob
		if json.Unmarshal(line, &j) != nil {
			return errors.New("a line inside the file is damaged")
		}
		if j.Number == len(g.jobs) {
			g.jobs = append(g.jobs, nil)
		}
		g.jobs[j.Number] = &j
	}
	if _, err := g.file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	if err := errors.Join(g.file.Truncate(whole), g.file.Sync(), syncDir(g.Dir), syncDir(filepath.Dir(g.Dir))); err != nil {
		return err
	}
	g.length = whole
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// recoverLocked queues what was running, and does what a planted fault does.
func (g *fakeGateway) recoverLocked() {
	for i, j := range g.jobs {
		if j.View.State == "processing" {
			j.lose(g.Fault)
		}
		switch {
		case g.Fault == faultForget && i%10 == 3:
			j.View.CustomID, j.View.ID, j.Key = "", "", "" // hidden from everybody
			j.View.State = "cancelled"
		case g.Fault == faultChange && j.View.State == "completed" && i%5 == 1:
			j.Result = strings.Replace(j.Result, "call ", "call 1", 1)
		case g.Fault == faultRerun && j.View.State == "completed" && i%5 == 1:
			go func() { _, _ = g.call(context.Background(), j.Body) }() // ends with the process
		case g.Fault == faultReopen && j.View.State == "completed" && i%5 == 1:
			j.View.State = "queued"
		}
		g.keys[j.Key] = j
	}
	if g.Fault == faultPhantom && len(g.jobs) > 0 {
		j := *g.jobs[0]
		j.View.ID, j.View.CustomID, j.View.State, j.Number, j.Key = fmt.Sprintf("job_phantom%d", len(g.jobs)), "phantom", "cancelled", len(g.jobs), ""
		g.jobs = append(g.jobs, &j)
		_ = g.writeLocked(&j)
	}
}

// writeLocked makes a job's state durable.
func (g *fakeGateway) writeLocked(j *fakeJob) error {
	if g.failed {
		return errors.New("the file has failed")
	}
	line, err := json.Marshal(j)
	if err == nil {
		_, err = g.file.Write(append(line, '\n'))
	}
	if err == nil && g.Fault != faultEarly { // else the system writes it some time
		err = g.file.Sync()
	}
	if err != nil && g.Fault != faultDeaf {
		g.failed = true
		return err
	}
	g.length += int64(len(line)) + 1
	return nil
}

// schedule claims jobs and takes back leases that ran out.
func (g *fakeGateway) schedule(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		if g.failed && g.readLocked() == nil {
			g.failed = false
			g.recoverLocked()
		}
		now := time.Now()
		var next []*fakeJob
		for _, j := range g.jobs {
			switch {
			case j.View.State == "processing" && now.After(j.lease):
				j.lose(g.Fault)
				_ = g.writeLocked(j)
			case !j.final() && now.After(j.Deadline):
				j.View.State = "timeout"
				_ = g.writeLocked(j)
			case j.View.State == "queued" && now.After(j.retryAt):
				next = append(next, j)
			}
		}
		if g.Fault == faultBackwards {
			slices.Reverse(next)
		}
		for _, j := range next[:min(len(next), max(g.Slots-g.busy, 0))] {
			j.View.State, j.lease = "processing", now.Add(g.Lease)
			j.View.Attempt++
			if g.writeLocked(j) == nil {
				g.busy++
				go g.run(ctx, j, j.View.Attempt) // ends with the process
			}
		}
		g.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}

// run makes the call of a job and renews its lease meanwhile.
func (g *fakeGateway) run(ctx context.Context, j *fakeJob, attempt int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the call
		for ctx.Err() == nil {
			time.Sleep(g.Lease / 3)
			g.mu.Lock()
			if j.View.State == "processing" && j.View.Attempt == attempt && time.Now().Before(j.lease) {
				j.lease = time.Now().Add(g.Lease)
			}
			g.mu.Unlock()
		}
	}()
	result, err := g.call(ctx, j.Body)
	if g.Fault == faultUnfenced {
		time.Sleep(50 * time.Millisecond) // time for another worker to begin
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	j = g.jobs[j.Number] // the file may have been read anew
	mine := j.View.State == "processing" && j.View.Attempt == attempt
	if mine && time.Now().After(j.lease) {
		j.lose(g.Fault)
		mine = false
	}
	if !mine && g.Fault != faultUnfenced {
		g.fenced++
		return
	}
	switch {
	case j.final():
		return
	case err == nil:
		j.View.State, j.Result = "completed", result
	case j.View.Retries < maxRetries:
		j.View.State = "queued"
		j.View.Retries++
		j.retryAt = time.Now().Add(100 * time.Millisecond)
	default:
		j.View.State = "dead"
	}
	_ = g.writeLocked(j)
}

func (g *fakeGateway) call(ctx context.Context, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.Provider+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := g.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(text), err
}

func (g *fakeGateway) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /readyz", g.ready)
	m.HandleFunc("POST /v1/jobs", g.submit)
	m.HandleFunc("GET /v1/jobs", g.list)
	m.HandleFunc("GET /v1/jobs/stats", g.stats)
	m.HandleFunc("GET /v1/jobs/{id}", g.get)
	m.HandleFunc("GET /v1/jobs/{id}/result", g.result)
	m.HandleFunc("DELETE /v1/jobs/{id}", g.cancel)
	return m
}

func (g *fakeGateway) ready(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed {
		http.Error(w, "the file has failed", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, `{"status":"ready"}`)
}

func show(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

func (g *fakeGateway) submit(w http.ResponseWriter, r *http.Request) {
	var s struct {
		CustomID string          `json:"custom_id"`
		Body     json.RawMessage `json:"body"`
	}
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed {
		http.Error(w, "the file has failed", http.StatusServiceUnavailable)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if j := g.keys[key]; key != "" && j != nil && g.Fault != faultTwins {
		if j.Digest != digest(string(s.Body)) {
			http.Error(w, "another body", http.StatusUnprocessableEntity)
			return
		}
		show(w, http.StatusOK, j.View)
		return
	}
	timeout, err := time.ParseDuration(cmp.Or(r.Header.Get("X-Forebay-Timeout"), "45s"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	j := &fakeJob{
		Number: len(g.jobs), Body: s.Body, Digest: digest(string(s.Body)), Key: key, Deadline: time.Now().Add(timeout),
		View: fakeView{fmt.Sprintf("job_%06d", len(g.jobs)), "job", "queued", s.CustomID, r.Header.Get("X-Forebay-Priority"), 0, 0, 0},
	}
	if err := g.writeLocked(j); err != nil {
		if g.Fault == faultHasty {
			j.View.ID += "x" // the number will be another's
			show(w, http.StatusOK, j.View)
			return
		}
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	g.jobs = append(g.jobs, j)
	g.keys[key] = j
	show(w, http.StatusAccepted, j.View)
}

func (g *fakeGateway) findLocked(r *http.Request) *fakeJob {
	for _, j := range g.jobs {
		if j.View.ID == r.PathValue("id") {
			return j
		}
	}
	return nil
}

// with calls f with the job of the request, under the lock.
func (g *fakeGateway) with(w http.ResponseWriter, r *http.Request, f func(j *fakeJob)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	j := g.findLocked(r)
	switch {
	case g.failed: // what is in memory may not be what is stored
		http.Error(w, "the file has failed", http.StatusServiceUnavailable)
	case j == nil:
		http.Error(w, "no such job", http.StatusNotFound)
	default:
		f(j)
	}
}

func (g *fakeGateway) get(w http.ResponseWriter, r *http.Request) {
	if wait, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil {
		for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			g.mu.Lock()
			j := g.findLocked(r)
			g.mu.Unlock()
			if j == nil || g.hasEnded(j) {
				break
			}
		}
	}
	g.with(w, r, func(j *fakeJob) { show(w, http.StatusOK, j.View) })
}

func (g *fakeGateway) hasEnded(j *fakeJob) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return j.final()
}

func (g *fakeGateway) result(w http.ResponseWriter, r *http.Request) {
	g.with(w, r, func(j *fakeJob) {
		if j.View.State != "completed" {
			http.Error(w, "it is "+j.View.State, http.StatusUnprocessableEntity)
			return
		}
		_, _ = io.WriteString(w, j.Result)
	})
}

func (g *fakeGateway) cancel(w http.ResponseWriter, r *http.Request) {
	g.with(w, r, func(j *fakeJob) {
		if j.final() {
			http.Error(w, "it is "+j.View.State, http.StatusUnprocessableEntity)
			return
		}
		j.View.State = "cancelled"
		if err := g.writeLocked(j); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		show(w, http.StatusOK, j.View)
	})
}

func (g *fakeGateway) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("after"))
	data := []fakeView{}
	for i, j := range g.jobs[from:] {
		if len(data) == 100 {
			show(w, http.StatusOK, map[string]any{"data": data, "has_more": true, "next": strconv.Itoa(from + i)})
			return
		}
		if j.View.ID != "" && (!q.Has("custom_id") || q.Get("custom_id") == j.View.CustomID) {
			data = append(data, j.View)
		}
	}
	show(w, http.StatusOK, map[string]any{"data": data, "has_more": false})
}

func (g *fakeGateway) stats(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := map[string]int{"fenced": g.fenced}
	for _, j := range g.jobs {
		if j.View.ID != "" {
			counts[j.View.State]++
		}
	}
	if g.Fault == faultMiscount {
		counts["completed"]++
	}
	show(w, http.StatusOK, counts)
}
