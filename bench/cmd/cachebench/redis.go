package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/redisgate"
	"github.com/forebay-ai/forebay/bench/internal/subject"
	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

const (
	// memoryPrompts is how many different answers are asked for where all are in memory.
	memoryPrompts = 1000
	// conns keeps two cores busy, and no more: look-ups on disk that queue for longer than
	// cache.store_timeout would be misses.
	conns = 16
	// tinyMemory holds a few dozen of the answers, so that nearly all hits are on disk.
	tinyMemory = "64KiB"
)

// gateways are the systems of this part. They run beside one another for all of it,
// and take load in turns; those that have none cost nothing.
type gateways struct {
	self     string
	upstream *subject.Server
	rivals   []*rival
	stop     []func() // in the order of the starts
}

// rival is a gateway that holds the answers to so many prompts.
type rival struct {
	name    string
	srv     *subject.Server
	prompts int64
	against *rival  // whose hits it is compared with; nil for Redis's
	atMost  float64 // what is required of that; zero where nothing is
	tier    string  // where its hits are to come from, as Forebay's metric names it
	closed  samples // of the closed loop
	open    samples // of the open loop
}

// samples are of one run each, in the order of the rounds.
type samples struct{ cpu, p50, p99, perSecond []float64 }

func (s *samples) add(r *loadgen.Result) {
	s.cpu = append(s.cpu, r.CPUSecondsPer10K*100) // us a request
	s.p50, s.p99 = append(s.p50, r.Latency.P50), append(s.p99, r.Latency.P99)
	s.perSecond = append(s.perSecond, r.PerSecond)
}

// measureRedis puts the same hits on Forebay and on a gateway over Redis.
func measureRedis(ctx context.Context, b *bench) error {
	g, err := startGateways(ctx, b)
	if errors.Is(err, redisgate.ErrNoRedis) && !b.demand {
		b.report.leave("hits through Redis: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer g.close()
	for range b.rounds {
		for _, rate := range []float64{0, b.rate} {
			for _, r := range g.rivals {
				if err := g.load(ctx, b, r, rate); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
		}
	}
	g.tell(b)
	return nil
}

// startGateways starts everything and has each gateway store its answers.
func startGateways(ctx context.Context, b *bench) (g *gateways, err error) {
	g = &gateways{}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.self, err = os.Executable(); err != nil {
		return g, err
	}
	child, addr, err := proc.StartServer(exec.Command(g.self, cmdUpstream))
	if err != nil {
		return g, err
	}
	g.upstream = subject.Of(child, addr)
	g.stop = append(g.stop, g.upstream.Stop)
	// Redis first: where there is none, nothing need be built.
	redis, err := g.startRedis(b)
	if err != nil {
		return g, err
	}
	binary, err := subject.Build(ctx, b.root, b.forebay, b.dir)
	if err != nil {
		return g, err
	}
	var servers [2]*subject.Server
	for i, memory := range []string{"", tinyMemory} {
		f := subject.Forebay{
			Binary: binary, Dir: filepath.Join(b.dir, fmt.Sprint("forebay", i)), Upstream: g.upstream.Addr, Store: true, Memory: memory,
		}
		if servers[i], err = f.Start(ctx); err != nil {
			return g, err
		}
		g.stop = append(g.stop, servers[i].Stop)
	}
	few := &rival{name: "Redis", srv: redis, prompts: memoryPrompts}
	many := &rival{name: "Redis", srv: redis, prompts: b.prompts}
	// Redis has its answers in memory. What comes from a disk need not be faster.
	// Redis has its answers in memory. What comes from a disk need not be cheaper.
	g.rivals = []*rival{
		{name: "Forebay, memory", srv: servers[0], prompts: memoryPrompts, against: few, atMost: 1, tier: "memory"},
		few,
		{name: "Forebay, disk", srv: servers[1], prompts: b.prompts, against: many, tier: "store"},
		many,
	}
	return g, g.fill(ctx)
}

// startRedis starts Redis and the gateway over it: one system of two processes.
func (g *gateways) startRedis(b *bench) (*subject.Server, error) {
	addr, err := subject.FreePort()
	if err != nil {
		return nil, err
	}
	redis, err := redisgate.StartRedis(addr, b.dir)
	if err != nil {
		return nil, err
	}
	g.stop = append(g.stop, redis.Stop)
	child, gate, err := proc.StartServer(exec.Command(g.self, cmdRedis, addr, g.upstream.Addr))
	if err != nil {
		return nil, err
	}
	s := subject.Of(child, gate)
	g.stop = append(g.stop, s.Stop)
	s.PIDs = append(s.PIDs, redis.PID())
	return s, nil
}

// close stops what was started, in reverse order.
func (g *gateways) close() {
	for i := len(g.stop) - 1; i >= 0; i-- {
		g.stop[i]()
	}
}

// spec is the load on r. Every request is one of its prompts.
func (g *gateways) spec(r *rival) loadgen.Spec {
	return loadgen.Spec{
		Addr: r.srv.Addr, Path: subject.ChatPath, Key: subject.Key, Conns: conns, Model: upstream.Words, Prompts: r.prompts,
		PIDs: r.srv.PIDs, UpstreamPIDs: g.upstream.PIDs,
	}
}

// fill has every gateway store the answers, and waits until those on disk are there.
func (g *gateways) fill(ctx context.Context) error {
	for _, r := range g.rivals {
		if err := loadgen.Fill(ctx, g.spec(r)); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.against == nil {
			continue
		}
		if dropped, err := r.srv.Flushed(ctx); err != nil || dropped > 0 {
			return fmt.Errorf("%s: %d answers were not written: %w", r.name, dropped, err)
		}
	}
	return nil
}

// load puts load on r: hits, at a rate or, where that is zero, in a closed loop.
func (g *gateways) load(ctx context.Context, b *bench, r *rival, rate float64) error {
	s := g.spec(r)
	s.Rate, s.Warm, s.Duration = rate, b.warm, b.duration
	before, err := r.tiers(ctx)
	if err != nil {
		return err
	}
	res, err := loadgen.RunIn(ctx, exec.Command(g.self, cmdLoad), s)
	if err != nil {
		return err
	}
	switch faults := res.Errors + res.NotOK + res.Unsent; {
	case faults > 0:
		return fmt.Errorf("%d of %d requests went wrong (%s)", faults, res.All+faults, res.LastError)
	case res.Hits < res.Requests*99/100 || res.Requests == 0:
		return fmt.Errorf("only %d of %d were hits", res.Hits, res.Requests)
	}
	after, err := r.tiers(ctx)
	if err != nil {
		return err
	}
	if r.tier != "" && after[r.tier]-before[r.tier] < 0.95*float64(res.All) {
		return fmt.Errorf("%.0f of %d hits were from the tier %s", after[r.tier]-before[r.tier], res.All, r.tier)
	}
	if rate > 0 {
		r.open.add(res)
	} else {
		r.closed.add(res)
	}
	return nil
}

// tiers counts a Forebay's hits by tier; nothing for others.
func (r *rival) tiers(ctx context.Context) (map[string]float64, error) {
	hits := map[string]float64{}
	if r.tier == "" {
		return hits, nil
	}
	var err error
	hits[r.tier], err = r.srv.Metric(ctx, fmt.Sprintf("forebay_cache_hits_total{tier=%q}", r.tier))
	return hits, err
}

// tell reports: medians over the rounds, and of the rounds' ratios.
func (g *gateways) tell(b *bench) {
	rows := [][]string{{"", "answers", "req/s", "CPU us", "at the rate: CPU us", "p50 us", "p99 us"}}
	for _, r := range g.rivals {
		rows = append(rows, []string{
			r.name, fmt.Sprint(r.prompts), us(median(r.closed.perSecond)), fmt.Sprintf("%.1f", median(r.closed.cpu)),
			fmt.Sprintf("%.1f", median(r.open.cpu)), us(median(r.open.p50)), us(median(r.open.p99)),
		})
		if o := r.against; o != nil {
			ratio := func(what string, a, of []float64) figure {
				return figure{name: r.name + ": " + what, measured: ratios(a, of), decimals: 2, unit: "x Redis", atMost: r.atMost}
			}
			b.report.add(
				ratio("CPU of a hit", r.closed.cpu, o.closed.cpu),
				ratio(fmt.Sprintf("CPU of a hit at %.0f/s", b.rate), r.open.cpu, o.open.cpu),
				ratio(fmt.Sprintf("p50 of a hit at %.0f/s", b.rate), r.open.p50, o.open.p50),
			)
		}
	}
	b.report.addTable(fmt.Sprintf("Hits of 2 KB: closed loop on %d connections, then %.0f/s", conns, b.rate), rows)
	b.report.note("%d rounds, in turns; CPU is that of all processes of a system: Forebay's one; the gateway and redis-server. Ratios are medians of", b.rounds)
	b.report.note("the rounds' ratios. Redis holds the answers in memory, in the clear, without names; Forebay checks a key and counts the call.")
}

// ratios is the median of a[i]/of[i].
func ratios(a, of []float64) float64 {
	var all []float64
	for i := range a {
		all = append(all, a[i]/of[i])
	}
	return median(all)
}
