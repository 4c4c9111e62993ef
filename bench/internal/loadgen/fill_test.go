package loadgen_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
)

// Fill sends each prompt once, and a run sends the same ones.
func TestFillAndPrompts(t *testing.T) {
	var mu sync.Mutex
	prompts := map[string]int{}
	addr := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Messages []struct{ Content string } }
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		prompts[body.Messages[1].Content]++
		mu.Unlock()
		_, _ = io.WriteString(w, "{}")
	})
	s := spec(addr)
	s.Prompts = 100
	if err := loadgen.Fill(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if len(prompts) != 100 {
		t.Errorf("%d prompts", len(prompts))
	}
	for p, n := range prompts {
		if n != 1 {
			t.Errorf("%d times %.20s", n, p)
		}
	}
	s.Rate = 1000
	r := run(t, s)
	if len(prompts) != 100 || r.All < 200 {
		t.Errorf("%d prompts after %d requests", len(prompts), r.All)
	}
}

func TestFillSaysWhatWentWrong(t *testing.T) {
	s := spec(startServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	s.Prompts = 1000
	if err := loadgen.Fill(t.Context(), s); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
	s.Prompts = -1
	if err := loadgen.Fill(t.Context(), s); err == nil {
		t.Error("-1 prompts: no error")
	}
}
