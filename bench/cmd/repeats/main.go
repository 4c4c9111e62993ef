// Command repeats measures how many requests of public data sets a cache that answers
// exact repeats would have answered: the share of texts that were seen before in the
// same set, and of whole conversations that were. It prints a table in Markdown.
//
//	go run ./cmd/repeats
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/forebay-ai/forebay/bench/internal/prompts"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "repeats:", err)
		os.Exit(1)
	}
}

// set is a data set and how it is called in the table.
type set struct {
	name string
	read func() ([]prompts.Turn, error)
}

var sets = []set{
	{"restaurant8k: answers to a booking assistant", prompts.RestaurantTurns},
	{"SGD: restaurant dialogues", prompts.DialogueTurns},
	{"MT-bench: questions to an assistant", prompts.BenchTurns},
	{"banking77: first questions to a bank", questions},
}

func questions() ([]prompts.Turn, error) {
	all, err := prompts.Questions()
	turns := make([]prompts.Turn, len(all))
	for i, q := range all {
		turns[i] = prompts.Turn{Dialogue: fmt.Sprint(i), Text: q.Text}
	}
	return turns, err
}

func run(out io.Writer) error {
	fmt.Fprintln(out, "| data set | requests | text, byte for byte | text, normalised | text, case ignored (not done) | whole conversation, normalised |")
	fmt.Fprintln(out, "|---|--:|--:|--:|--:|--:|")
	for _, s := range sets {
		turns, err := s.read()
		if err != nil {
			return err
		}
		r := count(turns)
		fmt.Fprintf(out, "| %s | %d | %s | %s | %s | %s |\n", s.name, r.all,
			r.share(r.bytes), r.share(r.normal), r.share(r.folded), r.share(r.conversation))
	}
	return nil
}

// repeats counts the requests that were seen before, by what is compared.
type repeats struct{ all, bytes, normal, folded, conversation int }

func (r repeats) share(n int) string {
	return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(max(r.all, 1)))
}

// count goes through turns in their order.
func count(turns []prompts.Turn) repeats {
	r := repeats{all: len(turns)}
	var bytes, normal, folded, conversation seen = seen{}, seen{}, seen{}, seen{}
	before := map[string]string{} // what was said so far, by dialogue
	for _, t := range turns {
		text := normalise(t.Text)
		// Lengths keep two turns from looking like one. What the assistant said is
		// unknown, so this counts more repeats than there would be.
		so := before[t.Dialogue] + fmt.Sprintf("%d %s %d %s ", len(t.Context), t.Context, len(text), text)
		before[t.Dialogue] = so
		r.bytes += bytes.again(t.Text)
		r.normal += normal.again(text)
		r.folded += folded.again(strings.ToLower(text))
		r.conversation += conversation.again(so)
	}
	return r
}

// normalise is what the cache does to texts before it makes a key.
func normalise(text string) string { return strings.TrimSpace(norm.NFC.String(text)) }

type seen map[string]bool

// again is 1 where s was seen before, and 0 the first time.
func (s seen) again(text string) int {
	if s[text] {
		return 1
	}
	s[text] = true
	return 0
}
