package prices

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read row by row is what is read at once, and what cannot be read so is
// decoded.
func TestIndex(t *testing.T) {
	whole, err := Decode([]byte(embedded))
	if err != nil {
		t.Fatal(err)
	}
	lazy, ok := index(embedded)
	if !ok || len(lazy.rows) < 500 {
		t.Fatalf("the embedded table is not indexed: %v", ok)
	}
	if diff := cmp.Diff(whole.Entries(), lazy.Entries()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(whole.Dates(), lazy.Dates()); diff != "" {
		t.Error(diff)
	}
	twice := strings.Replace(embedded, `"rows":[`, `"rows":[`+"\n"+`{"p":"openai","m":"text-embedding-ada","t":"x","s":[]},`, 1)
	escaped := strings.Replace(embedded, `"m":"text-embedding-ada"`, `"m":"text\u002dembedding-ada"`, 1)
	for _, text := range []string{"", "{}", embedded[:len(embedded)-2], twice, escaped} {
		if _, ok := index(text); ok {
			t.Errorf("%.60q… is indexed", text)
		}
	}
}

// The same row is the same pointer, whoever asks.
func TestIndexShares(t *testing.T) {
	table := Embedded()
	a, _, ok := table.Lookup(OpenAI, "text-embedding-ada", "")
	b, _, _ := table.With(&Override{}).Lookup(OpenAI, "text-embedding-ada", "")
	if !ok || a != b || len(a.Steps) == 0 {
		t.Errorf("%p and %p", a, b)
	}
}

func BenchmarkEmbedded(b *testing.B) {
	for b.Loop() {
		Embedded()
	}
}
