package simulated

import (
	"math/rand/v2"
	"time"
)

// Outcome is how a call ended. The set is closed.
type Outcome string

// The outcomes.
const (
	Answered     Outcome = "answered"      // everything that was planned was sent, faults included
	OverCapacity Outcome = "over_capacity" // refused with 429
	Invalid      Outcome = "invalid"       // the request was at fault
	Cancelled    Outcome = "cancelled"     // the caller left before the end
)

// CallRecord is a line of the log of calls.
type CallRecord struct {
	// Number counts the calls since the start or the last reset, from 1.
	Number int64 `json:"number"`
	// RequestID is the caller's x-request-id; may be empty.
	RequestID string    `json:"request_id,omitempty"`
	Time      time.Time `json:"time"`
	Model     string    `json:"model"`
	// Path is the URL's path, or the endpoint of a call within the process.
	Path   string `json:"path"`
	Stream bool   `json:"stream"`
	// Status is 0 where no head was sent.
	Status  int     `json:"status"`
	Outcome Outcome `json:"outcome"`
	// Milliseconds is how long the call was in progress.
	Milliseconds float64 `json:"duration_ms"`
	// Chunks counts the events sent, 1 for a whole answer.
	Chunks int `json:"chunks"`
	// Faults are the ones that happened to the call.
	Faults []Fault `json:"faults,omitempty"`
}

// CallLog is the log of calls at one moment.
type CallLog struct {
	// Total counts calls since the start or the last reset; Outcomes counts those
	// that have ended, by outcome; Faulty counts those that a fault happened to.
	Total    int64             `json:"total"`
	Outcomes map[Outcome]int64 `json:"outcomes"`
	Faulty   int64             `json:"faulty"`
	// InFlight is how many are in progress, MostInFlight how many ever were at once.
	InFlight     int `json:"in_flight"`
	MostInFlight int `json:"most_in_flight"`
	// Calls are the latest ones that have ended, in the order of their ends.
	Calls []CallRecord `json:"calls"`
}

// FaultState is a fault as it is set.
type FaultState struct {
	Fault Fault `json:"fault"`
	// From and To are its bounds in time. Zero To means that it does not end.
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
	// Hits counts the calls that it has happened to.
	Hits int64 `json:"hits"`
}

// session is one call in progress.
type session struct {
	provider *Provider
	record   CallRecord // guarded by the provider's mutex once the call has begun
	ended    bool       // likewise
	faults   []Fault    // what happens to the call
	scale    float64
	full     bool // over the capacity: the call does not count as in flight
	invalid  bool // the request is at fault
}

// begin takes a place for a call and decides what happens to it.
func (p *Provider) begin(record CallRecord) *session {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total++
	record.Number, record.Time = p.total, now
	s := &session{provider: p, record: record, scale: p.scale}
	if p.capacity > 0 && p.inFlight >= p.capacity {
		s.full = true
		return s
	}
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	for i := range p.faults {
		f := &p.faults[i]
		if now.Before(f.From) || !f.To.IsZero() && !now.Before(f.To) || f.Fault.Model != "" && f.Fault.Model != record.Model {
			continue
		}
		f.drawn++
		if share := f.Fault.share(); share < 1 && p.chance(i, f.drawn) >= share {
			continue
		}
		f.Hits++
		s.faults = append(s.faults, f.Fault)
	}
	if len(s.faults) > 0 {
		p.faulty++
		s.record.Faults = s.faults
	}
	return s
}

// chance draws a number from 0 to below 1 for the n-th call that meets a fault:
// the same for the same seed, and independent from call to call, so that a
// repeated call has the chance that it would have with a real back end.
func (p *Provider) chance(fault int, n int64) float64 {
	source := rand.NewPCG(p.cfg.Seed^uint64(fault)<<56, uint64(n))
	source.Uint64() // the first number of neighbouring seeds is alike
	return float64(source.Uint64()>>11) / (1 << 53)
}

// end writes the line of the log. Only the first end counts.
func (s *session) end(outcome Outcome, status, chunks int) {
	now := time.Now()
	p := s.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	if !s.full {
		p.inFlight--
	}
	r := &s.record
	r.Outcome, r.Status, r.Chunks = outcome, status, chunks
	r.Milliseconds = float64(now.Sub(r.Time)) / float64(time.Millisecond)
	p.outcomes[outcome]++
	if len(p.log) < p.cfg.CallLog {
		p.log = append(p.log, *r)
		return
	}
	p.log[p.oldest] = *r
	p.oldest = (p.oldest + 1) % len(p.log)
}

// Calls returns the log.
func (p *Provider) Calls() CallLog {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := CallLog{
		Total: p.total, Faulty: p.faulty, InFlight: p.inFlight, MostInFlight: p.most,
		Outcomes: make(map[Outcome]int64, len(p.outcomes)),
		Calls:    make([]CallRecord, 0, len(p.log)),
	}
	for outcome, n := range p.outcomes {
		l.Outcomes[outcome] = n
	}
	l.Calls = append(append(l.Calls, p.log[p.oldest:]...), p.log[:p.oldest]...)
	return l
}

// ResetCalls empties the log and its counts. Calls in progress stay counted as
// such, and are logged when they end.
func (p *Provider) ResetCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.faulty, p.oldest, p.most = 0, 0, 0, p.inFlight
	p.log = p.log[:0]
	clear(p.outcomes)
}
