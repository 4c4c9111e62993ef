package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/dashboard"
	"github.com/forebay-ai/forebay/fleet"
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
	// Client replaces the client that File describes; the server's stop closes it.
	// Nil means one that File describes.
	Client *forebay.Client
	// Drain bounds how long a stop waits for calls in progress. Zero means 25 s.
	Drain time.Duration
	// Logger gets what operators should see. Nil means no log.
	Logger *slog.Logger
	// Version is shown by the gateway's index and build information.
	Version string
}

// Server is a gateway that listens. Make it with Listen, and end it by running it:
// Run frees what it holds.
type Server struct {
	client *forebay.Client
	stores *config.Stores     // closed after the client; nil where it brought its own
	audit  *audit             // the same
	watch  *watching          // the same
	fleet  *fleet.Fleet       // nil where nothing is shared with other gateways
	page   *dashboard.Handler // nil where there is none
	texts  *templates         // nil where no prepared texts lie in directories
	gate   *gateway.Gateway
	doors  []*door // in the order of their start: control, where there is one, and calls
	warmup *warmup // what to fetch at the start; nil for nothing
	drain  time.Duration
	log    *slog.Logger
}

// Listen builds the client and the gateway of o.File and takes the addresses: that
// of calls, and the control address where there is one. Calls wait in the kernel
// until Run. After an error nothing is left open.
func Listen(o Options) (*Server, error) {
	if o.File == nil {
		return nil, errors.New("app: File is missing")
	}
	if o.Drain < 0 {
		return nil, fmt.Errorf("app: a drain of %s is negative: give a duration such as 25s", o.Drain)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	s := &Server{client: o.Client, drain: o.Drain, log: o.Logger}
	if s.client == nil {
		if err := s.makeClient(o); err != nil {
			return nil, err
		}
	}
	if err := s.open(o); err != nil {
		for _, d := range s.doors {
			err = errors.Join(err, d.leave())
		}
		if o.Client == nil {
			err = errors.Join(err, s.client.Close(context.Background()), s.closeStores())
		}
		return nil, err
	}
	return s, nil
}

// makeClient opens the stores and makes the client that the file describes.
func (s *Server) makeClient(o Options) error {
	cfg, err := o.File.Forebay()
	if err != nil {
		return err
	}
	if s.stores, err = o.File.OpenStores(context.Background(), o.Logger); err != nil {
		return err
	}
	s.stores.Attach(&cfg)
	if s.audit, err = openAudit(o.File.StoreDir(), o.Logger); err != nil {
		return errors.Join(err, s.closeStores())
	}
	cfg.Auditor = s.audit
	cfg.Logger, cfg.Cache.Logger = o.Logger, o.Logger
	if s.watch, err = newWatching(context.Background(), o, s.stores, &cfg); err != nil {
		return errors.Join(err, s.closeStores())
	}
	s.watch.conns = s.connections
	if s.client, err = forebay.New(cfg); err != nil {
		return errors.Join(err, s.watch.close(context.Background()), s.closeStores())
	}
	s.watch.bind(s.client)
	if err := s.openFleet(context.Background(), o); err != nil {
		return errors.Join(err, s.client.Close(context.Background()), s.watch.close(context.Background()), s.closeStores())
	}
	s.texts = newTemplates(o.File, s.client.SetTemplates, o.Logger)
	return nil
}

func (s *Server) closeStores() error {
	err := s.audit.close()
	if s.stores != nil {
		err = errors.Join(err, s.stores.Close())
	}
	return err
}

// open makes the gateway and takes its addresses, that of control first.
func (s *Server) open(o Options) error {
	cfg := gatewayConfig(o, s.client, s.stores)
	if err := s.addConsole(o, &cfg); err != nil {
		return err
	}
	var err error
	if s.gate, err = gateway.New(cfg); err != nil {
		return err
	}
	if s.warmup, err = openWarmup(o.File); err != nil {
		return err
	}
	var calls http.Handler = s.gate
	if o.File.Control != "" {
		if err := s.listen("control", o.File.Control, withPage(s.page, controlOnly(s.gate))); err != nil {
			return err
		}
		calls = withoutControl(s.gate)
	} else {
		calls = withPage(s.page, calls)
	}
	return s.listen("listen", o.File.Listen, calls)
}

// addConsole adds the API of operators and the sessions of the dashboard. A client that
// somebody else made is not watched.
func (s *Server) addConsole(o Options, cfg *gateway.Config) error {
	if s.watch == nil {
		return nil
	}
	ring, err := access.NewRing(cfg.Keys)
	if err != nil {
		return err
	}
	if s.page, err = s.watch.page(ring, cfg.Open); err != nil {
		return err
	}
	api, err := s.watch.console(o, s.client, s.audit, s.page)
	if err != nil {
		return err
	}
	cfg.Endpoints = api.Endpoints()
	if s.page != nil && !cfg.Open {
		cfg.Session = s.page.Authorize
	}
	return nil
}

// pageBody bounds how long the body of a login may take; it is a line.
const pageBody = 5 * time.Second

// withPage serves the dashboard beside next.
func withPage(page *dashboard.Handler, next http.Handler) http.Handler {
	if page == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ui" || strings.HasPrefix(r.URL.Path, "/ui/") {
			if r.ContentLength != 0 { // who sends nothing on must not hold the connection
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(pageBody))
				w.Header().Set("Connection", "close")
			}
			page.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listen adds a door at addr, which is the value of the configuration's key.
func (s *Server) listen(key, addr string, h http.Handler) error {
	ln, err := s.gate.Listen(addr)
	if err != nil {
		return listenError(key, addr, err)
	}
	server := s.gate.Server()
	server.Handler = s.gate.Bounded(h)
	s.doors = append(s.doors, newDoor(key, server, ln))
	return nil
}

// gatewayConfig translates the file's part about doors.
func gatewayConfig(o Options, client *forebay.Client, stores *config.Stores) gateway.Config {
	f := o.File
	g := f.Gateway
	cfg := gateway.Config{
		Client: client, Open: len(f.Keys) == 0, Logger: o.Logger, Version: o.Version, LogRequests: f.Log.Requests,
		MaxBody: g.MaxBody, MaxHeader: g.MaxHeader, HeaderTimeout: g.HeaderTimeout, IdleTimeout: g.IdleTimeout,
		BodyTimeout: g.BodyTimeout, BodyRate: g.BodyRate, WriteTimeout: g.WriteTimeout, PublicMetrics: g.PublicMetrics, Announce: g.Announce,
		RepeatedSignatures: sigv4.Repeats(g.RepeatedSignatures),
	}
	if stores != nil {
		cfg.WebhookSecret = stores.HookSecrets()
	}
	for _, k := range f.Keys {
		cfg.Keys = append(cfg.Keys, access.Key(k))
	}
	return cfg
}

// errInUse is in the error of Listen where another process has the address.
var errInUse = errors.New("is in use by another process")

// listenError says what to do about an address that cannot be had.
func listenError(key, addr string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w", key, err)
	}
	flag := "--listen"
	if key != "listen" {
		flag = "--set " + key + "=ADDRESS"
	}
	return fmt.Errorf("%s: %s %w: stop it, or choose another address with %s (127.0.0.1:0 takes any free port)", key, addr, errInUse, flag)
}

// Addr is the address that calls are taken at.
func (s *Server) Addr() string { return s.doors[len(s.doors)-1].ln.Addr().String() }

// URL is the address for calls of clients on this machine.
func (s *Server) URL() string { return localURL(s.doors[len(s.doors)-1].ln.Addr()) }

// ControlURL is the address of health and metrics on this machine, or empty where
// they have none of their own.
func (s *Server) ControlURL() string {
	if len(s.doors) < 2 {
		return ""
	}
	return localURL(s.doors[0].ln.Addr())
}

// DashboardURL is the dashboard's address on this machine, or empty where there is none.
func (s *Server) DashboardURL() string {
	if s.page == nil {
		return ""
	}
	return localURL(s.doors[0].ln.Addr()) + "/ui/"
}

// localURL is how this machine reaches addr: an address that stands for all of
// them is no address to connect to everywhere.
func localURL(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && at.Addr().IsUnspecified() {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1}) // :: takes IPv4 as well
		return "http://" + netip.AddrPortFrom(loopback, at.Port()).String()
	}
	return "http://" + addr.String()
}

// connections is how many of callers are open.
func (s *Server) connections() (n int) {
	for _, d := range s.doors {
		n += d.ln.Open()
	}
	return n
}

// Client is the client behind the gateway.
func (s *Server) Client() *forebay.Client { return s.client }

// Run serves until ctx ends, then drains: readiness turns red, new calls are
// refused, and calls in progress get their time. Whoever still asks is answered
// until the last call has ended; then the address of calls is given up, and that
// of control at the very end. It returns when all is stopped. The error says what
// was cut off at the end of the drain. Run runs once.
func (s *Server) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var wg, client sync.WaitGroup
	client.Go(func() { _ = s.client.Run(work) })
	if s.fleet != nil {
		client.Go(func() { _ = s.fleet.Run(work) })
	}
	unwatch := s.startWatch()
	defer func() { _ = unwatch() }() // stop has told its error
	if s.warmup != nil {
		wg.Go(func() { s.warmup.run(work, s) })
	}
	if s.texts != nil {
		wg.Go(func() { s.texts.run(work) })
	}
	defer wg.Wait()
	defer stop()

	failed := make(chan error, 1)
	for i, d := range s.doors {
		wg.Go(func() {
			if err := d.serve(); err != nil && i == len(s.doors)-1 {
				failed <- err
			} else if err != nil { // calls do not need it
				s.log.Error("an address is not served any more: calls go on, restart to have it back", "error", err)
			}
		})
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, s.stop(func() error {
		stop()
		client.Wait()
		return unwatch() // after the last call has ended
	}))
}

// startWatch begins to watch the client. What it returns ends that, and waits for it.
func (s *Server) startWatch() func() error {
	if s.watch == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.watch.run(ctx) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// stop drains and closes the doors, the last one first. idle ends the client's own
// work, which still uses the stores.
func (s *Server) stop(idle func() error) error {
	s.log.Info("draining", "for_at_most", s.drain.String())
	start := time.Now()
	late, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	err := s.client.Close(late)
	for _, d := range slices.Backward(s.doors) {
		err = errors.Join(err, d.close(late))
	}
	unwritten := idle()
	if unwritten != nil {
		s.log.Error("not all that was measured could be written", "error", unwritten)
	}
	err = errors.Join(err, s.closeStores())
	if err != nil {
		return fmt.Errorf("the drain of %s was too short: %w", s.drain, err)
	}
	s.log.Info("stopped", "drained_in", time.Since(start).Round(time.Millisecond).String())
	return nil
}
