package queue

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"pgregory.net/rapid"
)

// The order is not exported, so its tests stand inside the package.

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func waiting(p llm.Priority, tenant string, at time.Duration) *item {
	return &item{band: p.Index(), tenant: tenant, at: epoch.Add(at), bytes: 1}
}

// claimed is a durable item.
func claimed(p llm.Priority, tenant string, at time.Duration) *item {
	it := waiting(p, tenant, at)
	it.durable = true
	return it
}

// served takes everybody out in order and returns the tenants.
func served(o *order) string {
	var got []string
	for it := o.choose(false); it != nil; it = o.choose(false) {
		o.take(it)
		got = append(got, it.tenant)
	}
	return strings.Join(got, " ")
}

// TestOrder is one table: who waits, and in which order they are served.
func TestOrder(t *testing.T) {
	const s = time.Second
	plain := Config{CriticalReserve: -1, Floor: -1}
	for _, c := range []struct {
		name  string
		cfg   Config
		items []*item
		want  string
	}{
		{name: "first in, first out", items: []*item{
			waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", s), waiting(llm.Normal, "a", 2*s),
		}, want: "a a a"},
		{name: "bands", items: []*item{
			waiting(llm.Low, "low", 0), waiting(llm.Normal, "normal", 0), waiting(llm.High, "high", 0), waiting(llm.Critical, "critical", 0),
		}, want: "critical high normal low"},
		{name: "a normal request outranks a high one that came 10 s later, not one that came earlier", cfg: plain, items: []*item{
			waiting(llm.Normal, "normal", 0), waiting(llm.High, "high", 10*s-1), waiting(llm.High, "late", 10*s+1),
		}, want: "high normal late"},
		{name: "equal scores: the higher band", cfg: plain, items: []*item{
			waiting(llm.Normal, "normal", 0), waiting(llm.High, "high", 10*s),
		}, want: "high normal"},
		{name: "own offsets", cfg: Config{CriticalReserve: -1, Floor: -1, Offsets: Offsets{High: -1, Normal: -1, Low: s}}, items: []*item{
			waiting(llm.Low, "low", 0), waiting(llm.Normal, "normal", s/2), waiting(llm.Critical, "critical", 2*s),
		}, want: "normal low critical"},
		{name: "old requests of others do not pass fresh critical ones", items: []*item{
			waiting(llm.Normal, "old", 0), waiting(llm.Normal, "old", 0),
			waiting(llm.Critical, "c", 50*s), waiting(llm.Critical, "c", 50*s),
		}, want: "c c old old"},
		{name: "but get the share that is not reserved", items: []*item{
			waiting(llm.Normal, "old", 0), waiting(llm.Normal, "old", 0),
			waiting(llm.Critical, "c", 50*s), waiting(llm.Critical, "c", 50*s), waiting(llm.Critical, "c", 50*s),
			waiting(llm.Critical, "c", 50*s), waiting(llm.Critical, "c", 50*s), waiting(llm.Critical, "c", 50*s),
		}, want: "c c c c old c c old"},
		{name: "tenants take turns", items: []*item{
			waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", 0),
			waiting(llm.Normal, "b", s), waiting(llm.Normal, "b", s), waiting(llm.Normal, "c", s),
		}, want: "a b c a b a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrder(c.cfg.withDefaults())
			for _, it := range c.items {
				o.push(it)
			}
			if got := served(&o); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if o.waiting != 0 || o.bytes != 0 {
				t.Errorf("%d waiting with %d bytes at the end", o.waiting, o.bytes)
			}
		})
	}
}

// TestFloor: under endless fresh critical load every other band gets one slot in twenty.
func TestFloor(t *testing.T) {
	o := newOrder(Config{}.withDefaults())
	for range 100 {
		for _, p := range []llm.Priority{llm.Low, llm.Normal, llm.High} {
			o.push(waiting(p, "x", 0))
		}
	}
	var got [4]int
	for range 400 {
		o.push(waiting(llm.Critical, "c", -time.Hour)) // older than all: by score alone nobody else would come
		it := o.choose(false)
		o.take(it)
		got[it.band]++
	}
	if min(got[0], got[1], got[2]) < 19 || got[critical] < 340 {
		t.Errorf("of 400 slots %v went to the bands, want 5 %% each and 85 %% for critical", got)
	}
}

// TestOneTenantsFloodDelaysNobody: the first request of another tenant is next but one.
func TestOneTenantsFloodDelaysNobody(t *testing.T) {
	o := newOrder(Config{}.withDefaults())
	for i := range 100 {
		o.push(waiting(llm.Normal, "noisy", time.Duration(i)))
	}
	o.take(o.choose(false))
	quiet := waiting(llm.Normal, "quiet", 101)
	o.push(quiet)
	if n := o.ahead(quiet.band, 1, quiet.at, true); n != 1 {
		t.Errorf("%d ahead, want 1", n)
	}
	o.take(o.choose(false))
	if it := o.choose(false); it != quiet {
		t.Errorf("next is %+v", it)
	}
}

// TestVictim is one table: who waits, and who has to leave for the last of them.
func TestVictim(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		items []*item // the last one asks
		want  int     // index, -1 for nobody
		// sureLow is how many places the low band is sure of; normal and high have none, critical two.
		sureLow int
	}{
		{name: "newest of the lowest band", want: 1, items: []*item{
			waiting(llm.Low, "a", 0), waiting(llm.Low, "a", s), waiting(llm.Normal, "a", 2*s), waiting(llm.High, "a", 3*s),
		}},
		{name: "of the tenant with most", want: 1, items: []*item{
			waiting(llm.Low, "a", 0), waiting(llm.Low, "a", s), waiting(llm.Low, "b", 2*s), waiting(llm.Normal, "c", 3*s),
		}},
		{name: "of equals the newest", want: 1, items: []*item{
			waiting(llm.Low, "a", 0), waiting(llm.Low, "b", s), waiting(llm.Normal, "c", 3*s),
		}},
		{name: "nobody of the own tenant and band", want: -1, items: []*item{
			waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", s), waiting(llm.Normal, "a", s),
		}},
		{name: "nobody of a higher band", want: -1, items: []*item{
			waiting(llm.High, "a", 0), waiting(llm.High, "a", s), waiting(llm.Normal, "b", s),
		}},
		{name: "another tenant with more", want: 1, items: []*item{
			waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", s), waiting(llm.Normal, "b", s),
		}},
		{name: "nobody of those that a band is sure of", want: -1, sureLow: 2, items: []*item{
			waiting(llm.Low, "a", 0), waiting(llm.Low, "a", s), waiting(llm.Critical, "a", s),
		}},
		{name: "a band that lacks its sure places takes them from above", want: 2, sureLow: 1, items: []*item{
			waiting(llm.Critical, "a", 0), waiting(llm.Critical, "a", 0), waiting(llm.Critical, "a", s), waiting(llm.Low, "a", s),
		}},
		{name: "but not those that the bands above are sure of", want: -1, sureLow: 1, items: []*item{
			waiting(llm.Critical, "a", 0), waiting(llm.Critical, "a", s), waiting(llm.Low, "a", s),
		}},
		{name: "nobody where shares are equal", want: -1, items: []*item{
			waiting(llm.Normal, "a", 0), waiting(llm.Normal, "a", s), waiting(llm.Normal, "b", s), waiting(llm.Normal, "b", s),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrder(Config{Max: 10, Floor: -1, CriticalReserve: 0.2}.withDefaults())
			o.sure[llm.Low.Index()] = c.sureLow
			for _, it := range c.items {
				o.push(it)
			}
			got := o.victim(c.items[len(c.items)-1])
			if c.want < 0 && got != nil || c.want >= 0 && got != c.items[c.want] {
				t.Errorf("got %+v, want item %d", got, c.want)
			}
		})
	}
}

// checker runs the order beside a plain list and checks what it answers.
type checker struct {
	t     *rapid.T
	o     order
	cfg   Config
	now   time.Duration
	items []*item // those that wait, in order of arrival
	// passed counts the slots that went elsewhere since a band began to wait.
	passed [4]int
	// turns counts the services of other tenants of its band that a request saw
	// while it was the first of its own.
	turns map[*item]map[string]int
}

func (c *checker) drop(it *item) {
	c.items = slices.DeleteFunc(c.items, func(i *item) bool { return i == it })
	if c.first(func(i *item) bool { return i.band == it.band }) == nil {
		c.passed[it.band] = 0
	}
}

func (c *checker) first(match func(*item) bool) *item {
	for _, it := range c.items {
		if match(it) {
			return it
		}
	}
	return nil
}

func (c *checker) take() {
	it := c.o.choose(false)
	if it == nil {
		if len(c.items) > 0 {
			c.t.Fatalf("%d wait and nobody is next", len(c.items))
		}
		return
	}
	if c.first(func(i *item) bool { return i.band == it.band && i.tenant == it.tenant }) != it {
		c.t.Fatal("not the first of its tenant and band")
	}
	if c.cfg.Floor < 0 && c.cfg.CriticalReserve < 0 {
		c.checkScore(it)
	}
	c.checkTurns(it)
	c.o.take(it)
	c.drop(it)
	for b := range c.passed {
		if c.passed[b]++; b == it.band || c.first(func(i *item) bool { return i.band == b }) == nil {
			c.passed[b] = 0
		}
		// 20 slots at 5 %, and two others that may be due as well.
		if c.cfg.Floor == 0 && c.passed[b] > 22 {
			c.t.Fatalf("band %d waited for %d slots", b, c.passed[b])
		}
	}
}

// checkScore: without shares the oldest claim of all bands is served.
func (c *checker) checkScore(it *item) {
	score := func(i *item) time.Time { return i.at.Add(c.o.bands[i.band].offset) }
	oldest := c.first(func(i *item) bool { return i.band == it.band })
	for _, other := range c.items {
		if score(other).Before(score(oldest)) {
			c.t.Fatalf("band %d served, band %d has the older claim", it.band, other.band)
		}
	}
}

// checkTurns: no tenant is served twice while the first request of another waits.
func (c *checker) checkTurns(it *item) {
	for _, other := range c.items {
		mine := c.first(func(i *item) bool { return i.band == other.band && i.tenant == other.tenant })
		if other != mine || other.band != it.band || other.tenant == it.tenant {
			continue
		}
		if c.turns[other] == nil {
			c.turns[other] = map[string]int{}
		}
		if c.turns[other][it.tenant]++; c.turns[other][it.tenant] > 1 {
			c.t.Fatalf("%s was served twice while the first request of %s waited", it.tenant, other.tenant)
		}
	}
}

// TestOrderModel runs random operations beside the plain list.
func TestOrderModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := rapid.SampledFrom([]Config{{}, {Floor: -1, CriticalReserve: -1}, {CriticalReserve: 0.5}}).Draw(t, "cfg")
		c := &checker{t: t, cfg: cfg, o: newOrder(cfg.withDefaults()), turns: map[*item]map[string]int{}}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 400 {
			switch k := r.IntN(10); {
			case k < 5 && len(c.items) < 24:
				c.now += time.Duration(r.IntN(3000)) * time.Millisecond
				it := waiting(llm.Priorities[r.IntN(4)], string(rune('a'+r.IntN(3))), c.now)
				c.o.push(it)
				c.items = append(c.items, it)
			case k < 6 && len(c.items) > 0:
				it := c.items[r.IntN(len(c.items))]
				c.o.remove(it)
				c.drop(it)
			default:
				c.take()
			}
			if c.o.waiting != len(c.items) || c.o.bytes != int64(len(c.items)) {
				t.Fatalf("%d waiting with %d bytes, want %d", c.o.waiting, c.o.bytes, len(c.items))
			}
		}
	})
}

// TestAheadIsRight: what ahead says comes about true if nobody else arrives.
func TestAheadIsRight(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const cases = 2000
	off, worst := 0, 0
	for range cases {
		o := newOrder(Config{CriticalReserve: -1, Floor: -1}.withDefaults())
		var last *item
		at := time.Duration(0)
		for range 1 + r.IntN(60) {
			at += time.Duration(r.IntN(3000)) * time.Millisecond
			last = waiting(llm.Priorities[r.IntN(4)], string(rune('a'+r.IntN(3))), at)
			o.push(last)
		}
		want := o.ahead(last.band, o.rank(last), last.at, true)
		got := 0
		for it := o.choose(false); it != last; it = o.choose(false) {
			o.take(it)
			got++
		}
		diff := max(got-want, want-got)
		off += diff
		worst = max(worst, diff)
	}
	t.Logf("wrong by %.2f places on average, by %d at worst", float64(off)/cases, worst)
	if off > cases*3/2 || worst > 20 {
		t.Error("too far off")
	}
}
