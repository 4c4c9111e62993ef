package openai_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// A whole answer that comes byte by byte keeps the idle bound, and is given up all the same.
func TestWholeAnswerByteByByte(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{")
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}, func(c *openai.Config) { c.IdleTimeout = 300 * time.Millisecond })
	s, err := p.Call(t.Context(), model, chat(false))
	if err == nil {
		_, err = s.Next()
		_ = s.Close()
	}
	if llm.KindOf(err) != llm.ProviderTimeout {
		t.Errorf("error %v, want provider_timeout", err)
	}
}
