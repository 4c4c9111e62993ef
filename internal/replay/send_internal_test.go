package replay

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }

// A call that starts late has waited already: its latency and its timeout count
// from the start that the trace intended (no coordinated omission).
func TestLateStartIsPartOfLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, err := Config{Trace: []Arrival{{}}, URL: "http://g", Model: "m", Timeout: 3 * time.Second}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		s := &sender{client: &http.Client{Transport: refusing{}}, cfg: &cfg, plan: newPlan(&cfg, cfg.Trace), url: chatURL(cfg.URL)}
		intended := time.Now()
		time.Sleep(2 * time.Second)
		if out := s.do(t.Context(), 0, intended); out.latency != 2*time.Second || out.class != failed || out.label != failConnection {
			t.Errorf("%+v", out)
		}
		time.Sleep(2 * time.Second)
		if out := s.do(t.Context(), 0, intended); out.latency != 4*time.Second || out.label != failTimeout {
			t.Errorf("%+v", out)
		}
	})
}

func TestChatURL(t *testing.T) {
	for _, base := range []string{"http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"} {
		if got := chatURL(base); got != "http://h:1/v1/chat/completions" {
			t.Errorf("%s gives %s", base, got)
		}
	}
}

func TestNearestRank(t *testing.T) {
	d := make([]time.Duration, 200)
	for i := range d {
		d[i] = time.Duration(200-i) * time.Millisecond
	}
	if got, want := summarize(d), (Summary{Count: 200, P50: 100, P90: 180, P95: 190, P99: 198, Max: 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
