//go:build linux

package crashtest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// fakeEnv holds the settings of the gateway that this program becomes in place of
// running its tests.
const fakeEnv = "FOREBAY_CRASHTEST_FAKE"

func TestMain(m *testing.M) {
	if settings := os.Getenv(fakeEnv); settings != "" {
		os.Exit(beFake(settings))
	}
	dir, err := os.MkdirTemp("", "forebay-crashtest-binaries-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	release.dir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// flags are what a run may be told.
var flags = struct {
	kills, cuts *int
	seed        *uint64
	binary      *string
}{
	kills:  flag.Int("kills", 0, "how often the gateway is killed (default 8; 300 with FOREBAY_LONG)"),
	cuts:   flag.Int("cuts", 0, "how often the power is cut (default 3; 100 with FOREBAY_LONG)"),
	seed:   flag.Uint64("crash.seed", 0, "draws faults and requests (default: the time)"),
	binary: flag.String("crash.binary", "", "the gateway that is tested (default: one that is built from this source)"),
}

// long says that tests run in full.
func long() bool { return os.Getenv("FOREBAY_LONG") != "" }

// size is what a flag says, or the default of a short or a long run.
func size(given, short, full int) int {
	switch {
	case given > 0:
		return given
	case long():
		return full
	}
	return short
}

// dice are what everything random in a run is drawn from. They are safe for
// concurrent use.
type dice struct {
	seed uint64

	mu sync.Mutex // guards r
	r  *rand.Rand
}

// roll makes the dice of a test and says which.
func roll(t *testing.T) *dice {
	t.Helper()
	seed := *flags.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return &dice{seed: seed, r: rand.New(rand.NewPCG(seed, 0))}
}

// split makes dice whose draws depend on the seed and on name alone, and not on what
// other goroutines draw.
func (d *dice) split(name uint64) *dice {
	return &dice{seed: d.seed, r: rand.New(rand.NewPCG(d.seed, name))}
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) chance(percent int) bool { return d.n(100) < percent }

// between draws a duration from low to high.
func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.n(int(max(high-low, 1))))
}

// release builds the gateway's binary once for all tests of a run.
var release = &builds{made: map[string]string{}}

// builds are binaries by their build tags.
type builds struct {
	dir string

	mu   sync.Mutex // guards made; held while a binary is built, which everybody waits for
	made map[string]string
}

// binary builds ./cmd/forebay with tags and returns its path.
func (b *builds) binary(t *testing.T, tags string) string {
	t.Helper()
	if *flags.binary != "" {
		return *flags.binary
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if path := b.made[tags]; path != "" {
		return path
	}
	path := filepath.Join(b.dir, "forebay"+tags)
	command := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", path, "./cmd/forebay")
	command.Dir = filepath.Join("..", "..")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the gateway does not build: %v\n%s", err, out)
	}
	b.made[tags] = path
	return path
}
