package monitor

// The tiers that a hit may come from, as labels.
const (
	tierMemory = "memory"
	tierStore  = "store"
)

// collectCaches emits what all caches together say.
func (p *pull) collectCaches(e emitter, sources []Source) {
	var sum CacheSample
	asked := false
	for _, src := range sources {
		var s CacheSample
		if src.Cache != nil && p.monitor.ask(func() { s = src.Cache() }) {
			sum.add(s, p.monitor)
			asked = true
		}
	}
	if !asked {
		return
	}
	d := p.monitor.metrics.pulled
	e.gauge(d.entries, float64(sum.Entries))
	e.gauge(d.bytes, float64(sum.Bytes))
	e.counter(d.hits, float64(sum.Hits-sum.HitsOnDisk), tierMemory)
	e.counter(d.hits, float64(sum.HitsOnDisk), tierStore)
	rest := sum.Misses
	for reason, n := range sum.MissReasons {
		e.counter(d.misses, float64(n), reason)
		rest -= n
	}
	if rest > 0 { // counted between two readings
		e.counter(d.misses, float64(rest), labelOther)
	}
	e.counter(d.evictions, float64(sum.Evictions))
	e.counter(d.staleHits, float64(sum.StaleHits))
	e.counter(d.damaged, float64(sum.Damaged))
	e.counter(d.invalidations, float64(sum.Invalidations))
	for operation, saved := range sum.Saved {
		e.counter(d.savedTokens, float64(saved.Tokens), operation)
		e.counter(d.savedCost, float64(saved.CostMicroUSD)/1e6, operation)
	}
	p.collectStore(e, sum.Store)
}

func (p *pull) collectStore(e emitter, s *StoreSample) {
	if s == nil {
		return
	}
	d := p.monitor.metrics.pulled.store
	e.gauge(d.up, oneIf(s.Up))
	e.gauge(d.pending, float64(s.Pending))
	e.counter(d.written, float64(s.Written))
	e.counter(d.dropped, float64(s.Dropped))
	e.counter(d.unpacked, float64(s.BytesUnpacked))
	e.counter(d.packed, float64(s.BytesPacked))
}

// add adds what one cache says. Operations outside the closed set are "other".
func (s *CacheSample) add(c CacheSample, m *Monitor) {
	s.Entries += c.Entries
	s.Bytes += c.Bytes
	s.Hits += c.Hits
	s.Misses += c.Misses
	s.Evictions += c.Evictions
	s.HitsOnDisk += c.HitsOnDisk
	s.StaleHits += c.StaleHits
	s.Damaged += c.Damaged
	s.Invalidations += c.Invalidations
	if s.MissReasons == nil {
		s.MissReasons, s.Saved = map[string]int64{}, map[string]Saving{}
	}
	for reason, n := range c.MissReasons {
		s.MissReasons[reason] += n
	}
	for operation, saved := range c.Saved {
		label := m.words.operation.label(operation)
		sum := s.Saved[label]
		s.Saved[label] = Saving{sum.Tokens + saved.Tokens, sum.CostMicroUSD + saved.CostMicroUSD}
	}
	if c.Store != nil && s.Store == nil {
		s.Store = &StoreSample{Up: true}
	}
	if c.Store != nil {
		s.Store.Up = s.Store.Up && c.Store.Up
		s.Store.Pending += c.Store.Pending
		s.Store.Written += c.Store.Written
		s.Store.Dropped += c.Store.Dropped
		s.Store.BytesUnpacked += c.Store.BytesUnpacked
		s.Store.BytesPacked += c.Store.BytesPacked
	}
}
