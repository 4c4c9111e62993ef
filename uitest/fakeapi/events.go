package fakeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// events serves GET /v1/events: calls that match the filters, figures every two seconds.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	keep, err := readFilter(r)
	if err != nil {
		fail(w, err)
		return
	}
	flusher, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "no streams here", http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	send := func(name string, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, b)
		}
	}
	_, _ = fmt.Fprint(w, ": hello\n\n")
	send("totals", s.live())
	flusher.Flush()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := s.newest()
	for n := 1; ; n++ {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		for now := s.newest(); last < now; {
			last++
			if e := s.entry(last); keep(&e) {
				e.Attempts = nil
				send("request", e)
			}
		}
		if n%8 == 0 {
			send("totals", s.live())
		}
		if n%160 == 0 && !s.cfg.Quiet {
			send("alarm", s.history()[0])
		}
		if n%60 == 0 {
			_, _ = fmt.Fprint(w, ": still here\n\n")
		}
		flusher.Flush()
	}
}

func (s *Server) live() obj {
	overall := "degraded"
	if s.cfg.Quiet {
		overall = "healthy"
	}
	return obj{
		"at": stamp(s.cfg.Now()), "totals": s.totals("all", 1, 5.2, 0.38, 10*time.Second), "firing": len(s.firing()), "overall": overall, "dropped": 0,
	}
}
