package subject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// Forebay says how to run a Forebay with keys, metrics and accounting on.
type Forebay struct {
	Binary   string
	Dir      string // for its configuration and its log
	Upstream string // host:port
	// Store keeps answers in Dir/store too. It looks for all of them there and writes
	// all of them down, however busy the machine is: nothing is cut off by a timeout,
	// and the buffer of those that wait has room for a whole run.
	Store bool
	// Memory is cache.memory, such as 64KiB. Empty means the default.
	Memory string
	// Text is the whole configuration but for listen and providers, in place of all of
	// the above but Binary, Dir and Upstream. Its keys have to include Key.
	Text string
	// Scheme of the upstream, with Text. Empty means http.
	Scheme string
	// Env is what the environment has beside PATH and HOME.
	Env []string
}

// The configuration. Its arguments are Forebay's own address and the upstream's.
const (
	baseConfig = `listen: %s
keys:
  - {name: bench, secret: ` + Key + `, tenant: bench, scopes: [call, metrics], bands: [low, normal, high, critical]}
providers:
  mock: {type: openai, base_url: "http://%s/v1"}
models:
  "*": {targets: [{provider: mock}]}
limits: {max_concurrent: 1024}
`
	storeConfig  = "store: {dir: store}\n"
	storeMembers = ", write_buffer: 1GiB, store_timeout: 1s"
)

// Start runs a fresh Forebay in an environment that holds no keys of anybody's, and
// returns once it has answered. What a run before has left in Dir/store is gone.
func (f Forebay) Start(ctx context.Context) (*Server, error) {
	addr, err := FreePort()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(f.Dir, "store")), os.MkdirAll(f.Dir, 0o700)); err != nil {
		return nil, err
	}
	file := filepath.Join(f.Dir, "forebay.yaml")
	if err := os.WriteFile(file, []byte(f.config(addr)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(f.Dir, "forebay.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(f.Binary, "serve", "--config", file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = f.Dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.Dir}, f.Env...)
	child, err := proc.Start(cmd)
	if err != nil {
		return nil, err
	}
	s := Of(child, addr)
	s.log = log.Name()
	if err := s.WhenReady(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (f Forebay) config(addr string) string {
	if f.Text != "" {
		return fmt.Sprintf("listen: %s\nproviders:\n  mock: {type: openai, base_url: \"%s://%s/v1\"}\n", addr, cmp.Or(f.Scheme, "http"), f.Upstream) + f.Text
	}
	text := fmt.Sprintf(baseConfig, addr, f.Upstream)
	members := ""
	if f.Store {
		text += storeConfig
		members = storeMembers
	}
	if f.Memory != "" {
		members += ", memory: " + f.Memory
	}
	if members != "" {
		text += "cache: {" + members[2:] + "}\n"
	}
	return text
}

// Build builds the forebay of the module in root, unless binary is one already, and
// returns its path.
func Build(ctx context.Context, root, binary, dir string) (string, error) {
	if binary != "" {
		return filepath.Abs(binary)
	}
	file := filepath.Join(dir, "forebay")
	build := exec.CommandContext(ctx, "go", "build", "-o", file, "./cmd/forebay")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build forebay in %s: %w\n%s", root, err, out)
	}
	return file, nil
}

// The metrics of the persistent tier.
const (
	pendingMetric = "forebay_cache_store_pending_bytes"
	droppedMetric = "forebay_cache_store_dropped_total"
)

// flushTimeout bounds how long waiting answers may take to be written: a full buffer
// of them is a million answers, at some 60 us.
const flushTimeout = 2 * time.Minute

// Flushed waits until nothing of Forebay's waits to be written to its store, and says
// how many answers it gave up.
func (s *Server) Flushed(ctx context.Context) (dropped int, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	for {
		pending, err := s.Metric(ctx, pendingMetric)
		if err != nil {
			return 0, err
		}
		if pending == 0 {
			n, err := s.Metric(ctx, droppedMetric)
			return int(n), err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%.0f bytes wait to be written still: %w", pending, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
