package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/served"
)

//go:embed forebay.yaml
var configuration string

// The keys of that configuration. They open nothing but a process of a few minutes on this machine.
const (
	webKey      = "web-0123456789abcdef"
	appKey      = "app-0123456789abcdef"
	operatorKey = "operator-0123456789abcdef"
)

// stream is one replay: the calls of one operation, from a part of the trace of its own.
type stream struct {
	operation, model, key string
	speed, repeat         float64
	users, offset         int
}

// streams are about 27 calls a second in all (the trace has 5.5), which leaves most of two processors to the gateway.
func streams() []stream {
	return []stream{
		{operation: "tutor-chat", model: "large", key: webKey, speed: 1.6, repeat: 0.35, users: 60, offset: 0},
		{operation: "semantic-search", model: "small", key: webKey, speed: 1.8, repeat: 0.6, users: 80, offset: 4000},
		{operation: "note-summary", model: "small", key: appKey, speed: 1, repeat: 0.2, users: 25, offset: 9000},
		{operation: "content-generation", model: "large", key: appKey, speed: 0.6, repeat: 0.1, users: 12, offset: 13000},
	}
}

// configure writes the file of configuration, in which the outage lies in the middle, and the prepared texts.
func configure(dir string, length time.Duration) (string, error) {
	at := func(share float64) string {
		return time.Duration(float64(length) * share).Round(time.Second).String()
	}
	text := strings.NewReplacer("${OUTAGE_FROM}", at(0.5), "${OUTAGE_TO}", at(0.62)).Replace(configuration)
	texts := filepath.Join(dir, "templates")
	if err := os.MkdirAll(texts, 0o700); err != nil {
		return "", err
	}
	const sorry = "The tutor is not available right now. Please try again in {{retry_after}} seconds.\n"
	path := filepath.Join(dir, "forebay.yaml")
	return path, errors.Join(
		os.WriteFile(filepath.Join(texts, "tutor-chat.txt"), []byte(sorry), 0o600),
		os.WriteFile(path, []byte(text), 0o600))
}

// load is what calls the gateway.
type load struct {
	program, trace, url string
	length              time.Duration
}

// run replays all streams at once, with jobs beside them and what operators do. When the time is over it does
// what is to be done at the end, and then stops the calls.
func (l *load) run(ctx context.Context, atEnd func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all := streams()
	errs := make([]error, len(all)+3)
	var work sync.WaitGroup
	guard := func(i int, f func() error) { // what fails ends the others
		if errs[i] = f(); errs[i] != nil {
			stop()
		}
	}
	for i, s := range all {
		work.Go(func() { guard(i, func() error { return l.replay(ctx, s) }) })
	}
	work.Go(func() { guard(len(all), func() error { return l.jobs(ctx) }) })
	work.Go(func() { guard(len(all)+1, func() error { return l.operate(ctx) }) })
	if sleep(ctx, l.length) {
		errs[len(all)+2] = atEnd()
	}
	stop()
	work.Wait()
	return errors.Join(errs...)
}

// replay runs the replay command for one stream until ctx ends.
func (l *load) replay(ctx context.Context, s stream) error {
	cmd := exec.CommandContext(ctx, l.program, "replay", "--trace", l.trace, "--url", l.url, "--key", s.key,
		"--model", s.model, "--operation", s.operation, "--speed", fmt.Sprint(s.speed), "--repeat", fmt.Sprint(s.repeat),
		"--users", strconv.Itoa(s.users), "--offset", strconv.Itoa(s.offset), "--seed", strconv.Itoa(s.offset+1))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("replay %s: %w: %s", s.operation, err, out)
	}
	fmt.Printf("%s\n%s\n", s.operation, out)
	return nil
}

// jobs takes in a job every few seconds, the first ones at once, so that some still wait at the end.
func (l *load) jobs(ctx context.Context) error {
	caller := served.Caller{URL: l.url, Key: appKey}
	for n := 0; ; n++ {
		body := map[string]any{
			"url": "/v1/chat/completions", "custom_id": fmt.Sprintf("report-%03d", n),
			"body": served.Chat("local", fmt.Sprintf("class-%d", n%7), fmt.Sprintf("Write the report of class %d.", n), false),
		}
		status, text, err := caller.Post(ctx, "/v1/jobs", body, http.Header{"X-Forebay-Operation": {"nightly-report"}})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if status != http.StatusAccepted {
			return fmt.Errorf("job %d: status %d: %.300s", n, status, text)
		}
		wait := 1200 * time.Millisecond
		if n < 5 {
			wait = 0
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// operate is what people do meanwhile: they answer an alarm, take a target out, and hold jobs back.
func (l *load) operate(ctx context.Context) error {
	operator := served.Caller{URL: l.url, Key: operatorKey}
	start := time.Now()
	for _, step := range []struct {
		at   float64 // of the length
		path string
		body map[string]any
	}{
		{0.65, "/v1/alarms/silences", map[string]any{"alarm": "breaker-open", "for": "2h", "comment": "The outage in eu-north-1 is known."}},
		{0.85, "/v1/breakers", map[string]any{"target": "south/large-2", "action": "open", "reason": "Maintenance until noon."}},
		{0.93, "/v1/jobs/pause", map[string]any{"operation": "nightly-report"}},
	} {
		at := start.Add(time.Duration(step.at * float64(l.length)))
		if !sleep(ctx, time.Until(at)) {
			return nil
		}
		status, text, err := operator.Post(ctx, step.path, step.body, nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case status < 200 || status > 299:
			return fmt.Errorf("%s: status %d: %.300s", step.path, status, text)
		}
	}
	return nil
}

// sleep waits for d, and says whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
