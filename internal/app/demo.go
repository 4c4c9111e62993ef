package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/provider/simulated"
)

// demoConfig is the configuration of the demonstration: small limits and short
// times, so that every effect shows within seconds. It is read like any other file.
const demoConfig = `
profile: analysis
providers:
  simulated: {type: openai, base_url: "%s/v1"}
models:
  demo: {targets: [{provider: simulated, model: simulated-1, price: {input: 0.25, output: 1.25}}]}
  "*": {targets: [{provider: simulated}]}
defaults: {model: demo}
operations:
  vc-analysis: {model: demo, fallback: [cached, template, error]}
limits: {max_concurrent: %d}
retry: {max: 1, base: 20ms}
breaker: {consecutive: 5, open_for: 10s}
jobs: {backoff: 200ms, retries: 10}
`

// demoSlots is how many calls run at once in the demonstration.
const demoSlots = 2

// demoServiceTime is how long the simulated provider takes for an answer in the
// part of the demonstration where calls wait.
const demoServiceTime = 150 * time.Millisecond

// DemoOptions say how the demonstration runs.
type DemoOptions struct {
	// Listen is the gateway's address; where it is taken, any free port serves.
	Listen string
	// Exit ends the demonstration after the table. Otherwise it goes on serving.
	Exit bool
	// Out gets the table and where to look, Err what else there is to say, and Log
	// what operators see. Out and Err are required; a nil Log is no log.
	Out, Err io.Writer
	Log      *slog.Logger
	Version  string
}

// Demo starts a simulated provider and a gateway in front of it, both on loopback
// sockets, sends a short mixed load, prints what happened, and serves until ctx
// ends. What the gateway stores is in a temporary directory, which is gone when Demo
// returns. The error says which effect did not show.
func Demo(ctx context.Context, o DemoOptions) (err error) {
	upstream, err := startSimulated()
	if err != nil {
		return err
	}
	defer upstream.stop()
	dir, err := os.MkdirTemp("", "forebay-demo-")
	if err != nil {
		return fmt.Errorf("a directory for the demonstration: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	gate := &demoGateway{options: o, upstream: upstream.url, dir: dir}
	if err := gate.start(ctx, o.Listen); err != nil {
		return err
	}

	d := &demo{gateway: gate, upstream: upstream.provider, client: &http.Client{Timeout: 30 * time.Second}}
	defer d.client.CloseIdleConnections()
	failed := d.run(ctx)
	if err := d.print(o.Out); err != nil {
		failed = errors.Join(failed, err)
	}
	if failed != nil || o.Exit {
		return errors.Join(failed, gate.end())
	}
	d.where(o.Out, upstream.url)
	return gate.wait()
}

// demoGateway is the gateway of the demonstration. It can be stopped and started
// again over what it stored.
type demoGateway struct {
	options       DemoOptions
	upstream, dir string

	server *Server
	stop   context.CancelFunc
	served chan error // gets what the server's Run returned; nil while none runs
}

// start listens and serves until ctx ends.
func (g *demoGateway) start(ctx context.Context, addr string) error {
	server, err := g.listen(addr)
	if errors.Is(err, errInUse) {
		if server, err = g.listen("127.0.0.1:0"); err == nil {
			fmt.Fprintf(g.options.Err, "%s is in use, so the gateway listens on %s\n", addr, server.Addr())
		}
	}
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Run(serving) }()
	g.server, g.stop, g.served = server, stop, served
	return nil
}

// listen takes addr with the demonstration's configuration.
func (g *demoGateway) listen(addr string) (*Server, error) {
	file, err := config.Read(config.Sources{
		Path: "demo.yaml", Content: fmt.Appendf(nil, demoConfig, g.upstream, demoSlots),
		Flags:   map[string]string{"listen": addr, "store.dir": g.dir},
		Environ: []string{}, // the demonstration is the same whatever is set
	})
	if err != nil {
		return nil, err
	}
	return Listen(Options{File: file, Logger: g.options.Log, Version: g.options.Version, Drain: 5 * time.Second})
}

// restart stops the gateway as a signal would, and starts another one at its address
// that has nothing of the first but the directory.
func (g *demoGateway) restart(ctx context.Context) error {
	addr := g.server.Addr()
	if err := g.end(); err != nil {
		return err
	}
	return g.start(ctx, addr)
}

// end stops the gateway, if it runs.
func (g *demoGateway) end() error {
	g.stop()
	return g.wait()
}

// wait returns when the gateway has stopped.
func (g *demoGateway) wait() error {
	if g.served == nil {
		return nil
	}
	defer g.stop() // frees what ends with the start's context
	err := <-g.served
	g.served = nil
	return err
}

// simulatedServer is a simulated provider behind a socket.
type simulatedServer struct {
	provider *simulated.Provider
	url      string
	http     *http.Server
	done     chan struct{}
}

// startSimulated serves a simulated provider on a free port.
func startSimulated() (*simulatedServer, error) {
	p, err := simulated.New(simulated.Config{})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulated provider: %w", err)
	}
	s := &simulatedServer{
		provider: p, url: "http://" + ln.Addr().String(), done: make(chan struct{}),
		http: &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second},
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(ln) // ends with Close
	}()
	return s, nil
}

func (s *simulatedServer) stop() {
	_ = s.http.Close()
	<-s.done
}
