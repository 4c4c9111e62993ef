package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// figures are what callers saw, and what the system took.
type figures struct {
	Whole, Broken int
	// AtOnce is the most streams of which the first event was there and the last not.
	AtOnce int
	// First is the time from a stream's start to its first event, Delay that from the
	// sending of any later event to its arrival.
	First50, First99           time.Duration
	Delay50, Delay99, DelayMax time.Duration
	Faults                     []string // some that differ

	cpu  time.Duration
	peak int64 // resident memory, bytes
}

// callers runs the load in a process of its own: its connections count against its own
// bound of open files.
func callers(ctx context.Context, cmd *exec.Cmd, l load) (f figures, err error) {
	text, err := json.Marshal(l)
	if err != nil {
		return f, err
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &out, os.Stderr
	c, err := proc.Start(cmd)
	if err != nil {
		return f, err
	}
	defer c.Stop()
	select {
	case <-c.Done():
	case <-ctx.Done():
		return f, ctx.Err()
	}
	if err := c.Wait(); err != nil {
		return f, fmt.Errorf("callers: %w", err)
	}
	return f, json.Unmarshal(out.Bytes(), &f)
}

// caller is what all streams of a load add to.
type caller struct {
	load
	mu     sync.Mutex // guards all below
	f      figures
	open   int
	first  []time.Duration
	delays []time.Duration
}

// runLoad is the child: it reads a load and writes figures.
func runLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	var c caller
	if err := json.NewDecoder(in).Decode(&c.load); err != nil {
		return err
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range c.Streams {
		due := begin.Add(c.Ramp * time.Duration(i) / time.Duration(c.Streams))
		if !sleep(ctx, time.Until(due)) {
			break
		}
		wg.Go(func() { c.note(c.stream(ctx, i)) })
	}
	wg.Wait()
	c.f.First50, c.f.First99, _ = quantiles(c.first)
	c.f.Delay50, c.f.Delay99, c.f.DelayMax = quantiles(c.delays)
	return json.NewEncoder(out).Encode(c.f)
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// note counts a stream that ended.
func (c *caller) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.f.Whole++
		return
	}
	c.f.Broken++
	text := err.Error()
	like := func(other string) bool { return other[:min(len(other), 60)] == text[:min(len(text), 60)] }
	if len(c.f.Faults) < 5 && !slices.ContainsFunc(c.f.Faults, like) {
		c.f.Faults = append(c.f.Faults, text)
	}
}

// stream makes one call on a connection of its own and reads it to its end.
func (c *caller) stream(ctx context.Context, i int) error {
	begin := time.Now()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	body := fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":"stream %d of many, begun at %d"}]}`, i, begin.UnixNano())
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		subject.ChatPath, subject.Key, len(body), body); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return c.events(begin, res.Body)
}

// events reads the events of a stream.
func (c *caller) events(begin time.Time, body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 1<<10), 1<<20)
	defer c.left()
	for n := 0; lines.Scan(); {
		line := lines.Text()
		if line == "data: [DONE]" {
			return nil
		}
		if strings.HasPrefix(line, `data: {"error"`) {
			return errors.New(line[len("data: "):])
		}
		_, text, found := strings.Cut(line, stamp)
		if !found {
			continue
		}
		sent, err := strconv.ParseInt(text[:max(strings.IndexByte(text, ' '), 0)], 10, 64)
		if err != nil {
			return fmt.Errorf("an event without its time: %.200s", line)
		}
		c.event(n, begin, time.Unix(0, sent))
		n++
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the stream ended without its end mark")
}

// event notes the n-th event of a stream.
func (c *caller) event(n int, begin, sent time.Time) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.delays = append(c.delays, now.Sub(sent))
		return
	}
	c.first = append(c.first, now.Sub(begin))
	c.open++
	c.f.AtOnce = max(c.f.AtOnce, c.open)
}

// left notes that a stream is over.
func (c *caller) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// quantiles are the median, the 99th percentile and the largest.
func quantiles(all []time.Duration) (p50, p99, most time.Duration) {
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100], all[len(all)-1]
}
