package route_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

var seed = flag.Uint64("seed", 1, "seed of the draws of all tests of chance")

// long is whether tests take the time that they would like to have. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func TestMain(m *testing.M) {
	// The command line has the last word.
	for name, value := range map[string]string{"rapid.checks": "3000", "rapid.seed": "1"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// draws is how many requests a test of shares makes, and the bits of each.
func draws() (int, *rand.Rand) {
	n := 100_000
	if long() {
		n = 4_000_000
	}
	return n, rand.New(rand.NewPCG(*seed, 0))
}
