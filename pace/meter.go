package pace

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// slots is into how many parts a window is divided: it moves on by one part at a time,
// so that it is up to 1/16 longer than Config.Window and never shorter.
const slots = 16

// Meter judges one stream. Its rule, in time spent waiting for the provider:
//
// The first useful token comes within FirstToken. From then on the last Window has, at
// any time, MinRate x Window characters, where the fullest sixteenth of it counts
// twice: as much may be on its way. And a credit of MinRate x Window characters,
// which every second costs MinRate and every character raises by one up to where it
// was, is never used up.
//
// So a steady stream faster than MinRate never fails, nor does one that pauses for
// less than Window after a burst. One that is clearly slower fails soon after the first
// Window, and one at half the rate within two, however its characters are divided
// into reads. A Meter is for one goroutine; NewMeter makes it.
type Meter struct {
	cfg    Config
	part   time.Duration      // of the window
	waited time.Duration      // until the first useful token; from it on, since then
	began  bool               // the first useful token has come
	credit float64            // characters
	now    int64              // the part that waited is in, counted from the first token
	window [slots + 1]float64 // characters in each part, the current one included
}

// NewMeter makes the meter of a stream that was just asked for. Values that
// Config.Validate refuses count as the nearest one that it accepts.
func NewMeter(c Config) Meter {
	c = c.withDefaults()
	return Meter{cfg: c, part: (c.Window + slots - 1) / slots}
}

// Waited books one read of the stream: the reader waited d for it, it brought so many
// characters, and whether they were useful. What the reader does between reads is not
// to be counted in. Negative values count as 0.
func (m *Meter) Waited(d time.Duration, chars int, useful bool) {
	d = max(d, 0)
	if m.waited > math.MaxInt64-d {
		d = math.MaxInt64 - m.waited
	}
	m.waited += d
	if !m.began {
		if !useful {
			return
		}
		m.began, m.waited, d = true, 0, 0
		m.credit = m.cfg.MinRate * m.cfg.Window.Seconds()
	}
	if m.cfg.MinRate < 0 {
		return
	}
	m.move()
	n := float64(max(chars, 0))
	m.window[m.now%(slots+1)] += n
	m.credit = min(max(m.credit-m.cfg.MinRate*d.Seconds(), 0)+n, m.cfg.MinRate*m.cfg.Window.Seconds())
}

// move empties the parts of the window that are over.
func (m *Meter) move() {
	to := int64(m.waited / m.part)
	for i := max(m.now+1, to-slots); i <= to; i++ {
		m.window[i%(slots+1)] = 0
	}
	m.now = to
}

// Left is how long the next read may take at most; false means that there is no bound.
func (m *Meter) Left() (time.Duration, bool) {
	if !m.began {
		if m.cfg.FirstToken < 0 {
			return 0, false
		}
		return max(m.cfg.FirstToken-m.waited, 0), true
	}
	if m.cfg.MinRate < 0 {
		return 0, false
	}
	left := time.Duration(m.credit / m.cfg.MinRate * float64(time.Second))
	return max(min(left, m.full()), 0), true
}

// full is how long the window has enough in it if nothing more comes. It looks at the
// parts from the newest to the oldest until they are enough: they are as
// long as the oldest of them is in the window.
func (m *Meter) full() time.Duration {
	need := m.cfg.MinRate * m.cfg.Window.Seconds()
	var chars, fullest float64
	part := m.now
	for ; part > m.now-slots-1 && part >= 0; part-- {
		n := m.window[part%(slots+1)]
		chars += n
		fullest = max(fullest, n)
		if chars+fullest >= need {
			break
		}
	}
	part = max(part, -1)
	return time.Duration(part+slots+1)*m.part - m.waited
}

// Fault is what to say of a stream whose read took longer than Left: an error of kind
// ProviderTimeout.
func (m *Meter) Fault() *llm.Error {
	if !m.began {
		return &llm.Error{
			Kind:    llm.ProviderTimeout,
			Message: fmt.Sprintf("the model sent no useful token within %v", m.cfg.FirstToken),
			Limit:   "first_token_timeout", Value: m.cfg.FirstToken.String(),
			Fix: "Send the request again; for models that think for long, raise first_token_timeout.",
		}
	}
	rate := strconv.FormatFloat(m.cfg.MinRate, 'g', -1, 64)
	return &llm.Error{
		Kind:    llm.ProviderTimeout,
		Message: fmt.Sprintf("the model sent less than %s characters a second over %v", rate, m.cfg.Window),
		Limit:   "min_throughput", Value: rate,
		Fix: "Send the request again; for models that pause for long, raise throughput_window or lower min_throughput.",
	}
}
