package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
// ends. The error says which effect did not show.
func Demo(ctx context.Context, o DemoOptions) error {
	upstream, err := startSimulated()
	if err != nil {
		return err
	}
	defer upstream.stop()
	server, err := demoServer(o, upstream.url)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Run(serving) }()

	d := &demo{gateway: server.URL(), upstream: upstream.provider, client: &http.Client{Timeout: 30 * time.Second}}
	defer d.client.CloseIdleConnections()
	failed := d.run(ctx)
	if err := d.print(o.Out); err != nil {
		failed = errors.Join(failed, err)
	}
	if failed != nil || o.Exit {
		stop()
		return errors.Join(failed, <-served)
	}
	d.where(o.Out, upstream.url)
	return <-served
}

// demoServer listens with the demonstration's configuration.
func demoServer(o DemoOptions, upstream string) (*Server, error) {
	listen := func(addr string) (*Server, error) {
		file, err := config.Read(config.Sources{
			Path: "demo.yaml", Content: fmt.Appendf(nil, demoConfig, upstream, demoSlots),
			Flags:   map[string]string{"listen": addr},
			Environ: []string{}, // the demonstration is the same whatever is set
		})
		if err != nil {
			return nil, err
		}
		return Listen(Options{File: file, Logger: o.Log, Version: o.Version, Drain: 5 * time.Second})
	}
	s, err := listen(o.Listen)
	if !errors.Is(err, errInUse) {
		return s, err
	}
	if s, err = listen("127.0.0.1:0"); err == nil {
		fmt.Fprintf(o.Err, "%s is in use, so the gateway listens on %s\n", o.Listen, s.Addr())
	}
	return s, err
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
