package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/gateway"
)

// defaultDrain is how long a stop waits for calls in progress. It is what
// orchestrators grant (Kubernetes' terminationGracePeriodSeconds is 30 s) less a
// margin for the rest of the stop.
const defaultDrain = 25 * time.Second

// Options say what to serve and how.
type Options struct {
	// File is the configuration. Required.
	File *config.File
	// Client replaces the client that File describes. Nil means that one.
	Client *forebay.Client
	// Drain bounds how long a stop waits for calls in progress. Zero means 25 s.
	Drain time.Duration
	// Logger gets what operators should see. Nil means no log.
	Logger *slog.Logger
	// Version is shown by the gateway's index and build information.
	Version string
}

// Server is a gateway that listens. Make it with Listen.
type Server struct {
	client *forebay.Client
	gate   *gateway.Gateway
	http   *http.Server
	ln     net.Listener
	drain  time.Duration
	log    *slog.Logger
}

// Listen builds the client and the gateway of o.File and takes the address. Calls
// wait in the kernel until Run.
func Listen(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	client := o.Client
	if client == nil {
		cfg, err := o.File.Forebay()
		if err != nil {
			return nil, err
		}
		cfg.Logger = o.Logger
		if client, err = forebay.New(cfg); err != nil {
			return nil, err
		}
	}
	s := &Server{client: client, drain: o.Drain, log: o.Logger}
	if err := s.open(o); err != nil {
		return nil, errors.Join(err, client.Close(context.Background()))
	}
	return s, nil
}

// open makes the gateway and takes its address.
func (s *Server) open(o Options) error {
	var err error
	if s.gate, err = gateway.New(gatewayConfig(o, s.client)); err != nil {
		return err
	}
	s.http = s.gate.Server()
	if s.ln, err = s.gate.Listen(o.File.Listen); err != nil {
		return listenError(o.File.Listen, err)
	}
	return nil
}

// gatewayConfig translates the file's part about doors.
func gatewayConfig(o Options, client *forebay.Client) gateway.Config {
	f := o.File
	g := f.Gateway
	cfg := gateway.Config{
		Client: client, Open: len(f.Keys) == 0, Logger: o.Logger, Version: o.Version, LogRequests: f.Log.Requests,
		MaxBody: g.MaxBody, MaxHeader: g.MaxHeader, HeaderTimeout: g.HeaderTimeout, IdleTimeout: g.IdleTimeout,
		BodyTimeout: g.BodyTimeout, BodyRate: g.BodyRate, WriteTimeout: g.WriteTimeout, PublicMetrics: g.PublicMetrics,
	}
	for _, k := range f.Keys {
		cfg.Keys = append(cfg.Keys, gateway.Key(k))
	}
	return cfg
}

// listenError says what to do about an address that cannot be had.
func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen: %s is in use by another process: stop it, or choose another address with --listen (127.0.0.1:0 takes any free port)", addr)
	}
	return fmt.Errorf("listen: %w", err)
}

// Addr is the address that the server has taken.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// URL is the address for clients on this machine.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Client is the client behind the gateway.
func (s *Server) Client() *forebay.Client { return s.client }

// Run serves until ctx ends, then drains: readiness turns red, new calls are
// refused, and calls in progress get their time. It returns when all is stopped.
func (s *Server) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.client.Run(work) })
	defer wg.Wait()
	defer stop()

	served := make(chan error, 1)
	wg.Go(func() { served <- s.http.Serve(s.ln) })
	select {
	case err := <-served:
		return errors.Join(err, s.client.Close(work))
	case <-ctx.Done():
	}
	s.log.Info("draining", "for_at_most", s.drain)
	late, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	drained := make(chan error, 1)
	wg.Go(func() { drained <- s.client.Close(late) })
	err := s.http.Shutdown(late)
	if err != nil {
		err = fmt.Errorf("drain: %w", errors.Join(err, s.http.Close()))
	}
	return errors.Join(<-drained, err)
}
