package app

import (
	"context"
	"os"
	"time"

	"github.com/forebay-ai/forebay/config"
	fetch "github.com/forebay-ai/forebay/warmup"
)

// warmup is the file of requests whose answers are fetched at the start.
type warmup struct {
	file        *os.File
	concurrency int
}

// openWarmup opens the file that f names, so that a missing one stops the start; nil
// where there is none.
func openWarmup(f *config.File) (*warmup, error) {
	file, concurrency, err := f.Warmup()
	if file == nil || err != nil {
		return nil, err
	}
	return &warmup{file: file, concurrency: concurrency}, nil
}

// warmupReports is how often the log says how far a warm-up is.
const warmupReports = 10 * time.Second

// run fetches the answers until ctx ends, and says in the log how far it is.
func (w *warmup) run(ctx context.Context, s *Server) {
	defer w.file.Close()
	if err := s.client.Cache().Usable(); err != nil {
		s.log.Warn("the cache was not warmed up", "error", err)
		return // what is fetched would be thrown away
	}
	told := time.Now()
	report, err := fetch.Run(ctx, s.client, fetch.List{
		Requests: s.gate.Warmup(w.file, ""), Concurrency: w.concurrency,
		Progress: func(r fetch.Report) {
			if time.Since(told) >= warmupReports {
				told = time.Now()
				s.log.Info("warming up the cache", "requests", r.Requests, "fetched", r.Fetched, "cached", r.Cached, "failed", r.Failed)
			}
		},
	})
	switch {
	case ctx.Err() != nil:
		s.log.Info("the warm-up of the cache was stopped", "requests", report.Requests)
	case err != nil:
		s.log.Warn("the cache was not warmed up", "error", err)
	default:
		s.log.Info("the cache is warm", "requests", report.Requests, "fetched", report.Fetched, "cached", report.Cached,
			"unstored", report.Unstored, "failed", report.Failed)
		for _, failure := range report.Failures {
			s.log.Warn("a request of the warm-up failed", "error", failure)
		}
	}
}
