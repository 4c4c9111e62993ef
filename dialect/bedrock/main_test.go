package bedrock_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain makes what rapid draws the same in every run, unless its flags are given, and
// more of it with FOREBAY_LONG.
func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	checks := "200"
	if os.Getenv("FOREBAY_LONG") != "" {
		checks = "10000"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1", "rapid.nofailfile": "true"} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
