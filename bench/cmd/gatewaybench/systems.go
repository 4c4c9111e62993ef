package main

import (
	"context"
	"os/exec"

	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// lab has what the systems under test are started from.
type lab struct {
	self     string // this binary
	forebay  string // the forebay binary; empty where it is skipped
	dir      string // for configurations, logs and stores; removed at the end
	upstream subject.Server
}

// start starts a system, and returns once it has answered.
func (l *lab) start(ctx context.Context, s system) (*subject.Server, error) {
	switch s {
	case direct:
		return &subject.Server{Addr: l.upstream.Addr, PIDs: l.upstream.PIDs}, nil
	case proxy:
		child, addr, err := proc.StartServer(exec.Command(l.self, cmdProxy, l.upstream.Addr))
		if err != nil {
			return nil, err
		}
		srv := subject.Of(child, addr)
		if err := srv.WhenReady(ctx); err != nil {
			return nil, err
		}
		return srv, nil
	}
	return subject.Forebay{Binary: l.forebay, Dir: l.dir, Upstream: l.upstream.Addr, Store: s == stored}.Start(ctx)
}
