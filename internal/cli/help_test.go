package cli_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/cli"
)

// run runs a command in this process, with an empty environment.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = cli.Main(t.Context(), args, cli.Streams{Out: &out, Err: &talk, Environ: []string{}})
	return code, out.String(), talk.String()
}

var (
	subcommand = regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`)
	example    = regexp.MustCompile(`(?m)^  (?:[A-Z_]+=\S+ )?forebay (.*)$`)
)

// TestHelp reads the help of every command that there is: it says what the command
// does and shows examples, whose commands and flags exist.
func TestHelp(t *testing.T) {
	seen := 0
	var visit func(path ...string)
	visit = func(path ...string) {
		seen++
		code, help, talk := run(t, append(path, "--help")...)
		if code != 0 || talk != "" {
			t.Errorf("help of %v: exit code %d, %s", path, code, talk)
		}
		if code, same, _ := run(t, append([]string{"help"}, path...)...); code != 0 || same != help {
			t.Errorf("help %v is another text than %v --help", path, path)
		}
		if strings.Contains(help, "\x1b") {
			t.Errorf("the help of %v has colours", path)
		}
		_, examples, found := strings.Cut(help, "\nExamples:\n")
		examples, _, _ = strings.Cut(examples, "\n\n")
		if !found || strings.TrimSpace(examples) == "" {
			t.Errorf("the help of %v shows no examples:\n%s", path, help)
		}
		wantExamples(t, path, examples)
		_, list, _ := strings.Cut(help, "\nAvailable Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, m := range subcommand.FindAllStringSubmatch(list, -1) {
			visit(append(append([]string{}, path...), m[1])...)
		}
	}
	visit()
	if seen < 14 {
		t.Errorf("only %d commands found", seen)
	}
}

// wantExamples runs the help of what examples call: flags that do not exist fail.
func wantExamples(t *testing.T, path []string, examples string) {
	t.Helper()
	examples = strings.ReplaceAll(examples, "\\\n", " ")
	for _, m := range example.FindAllStringSubmatch(examples, -1) {
		words, _, _ := strings.Cut(m[1], " > ")
		args := strings.Fields(words)
		if len(path) > 0 && path[0] != "help" && args[0] != path[0] {
			t.Errorf("an example of %v is about %s", path, args[0])
		}
		if args[0] == "help" {
			continue // checked for every command
		}
		if code, _, talk := run(t, append(args, "--help")...); code != 0 {
			t.Errorf("the example %q of %v: %s", m[0], path, talk)
		}
	}
}

// TestExitCodes holds the numbers fast that scripts of operators rely on.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, 0},
		{[]string{"nonsense"}, 64},
		{[]string{"serve", "--nonsense"}, 64},
		{[]string{"validate"}, 78},
		{[]string{"serve"}, 78},
		{[]string{"replay", "--trace", "testdata/missing"}, 1},
	} {
		code, out, talk := run(t, tt.args...)
		if code != tt.want {
			t.Errorf("%v gives %d, want %d", tt.args, code, tt.want)
		}
		if code != 0 && (out != "" || talk == "" || strings.Contains(talk, "\x1b")) {
			t.Errorf("%v says %q on standard output and %q on standard error", tt.args, out, talk)
		}
	}
}

// TestKindsAreForPrograms checks that messages begin with what happened.
func TestKindsAreForPrograms(t *testing.T) {
	_, _, talk := run(t, "replay", "--trace", "testdata/missing")
	if !strings.HasPrefix(talk, "forebay: cannot open the trace testdata/missing") {
		t.Errorf("the message is %q", talk)
	}
}
