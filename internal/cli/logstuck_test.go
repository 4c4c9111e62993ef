package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/cli"
)

// TestStuckLog serves calls while nobody reads the log: each call writes a line into a
// pipe that is full.
func TestStuckLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "forebay.yaml")
	const file = "listen: 127.0.0.1:0\nlog: {requests: true, format: json}\nproviders: {sim: {type: simulated, latency_scale: 0}}\nmodels: {m: {targets: [{provider: sim}]}}\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	code := make(chan int, 1)
	wg.Go(func() {
		code <- cli.Main(ctx, []string{"serve", "--config", path}, cli.Streams{Out: io.Discard, Err: w, Environ: []string{}})
	})
	defer wg.Wait()
	defer stop()
	base := served(t, r)
	const calls = 2_000 // some 300 bytes of log each: ten times what the pipe holds
	for i := range calls {
		body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%d"}]}`, i%10)
		res, err := http.Post(base+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("call %d: %d", i, res.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	began := time.Now()
	stop()
	if c := <-code; c != 0 || time.Since(began) > 20*time.Second {
		t.Errorf("exit code %d after %s", c, time.Since(began))
	}
	_ = r.Close() // frees whoever still writes
	_ = w.Close()
}

// served reads the log up to the line that says where the gateway is.
func served(t *testing.T, log io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, URL string }
		if err := json.Unmarshal(lines.Bytes(), &line); err == nil && line.Msg == "serving" {
			return line.URL
		}
	}
	t.Fatal("the log does not say where the gateway is")
	return ""
}
