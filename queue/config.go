package queue

import (
	"errors"
	"fmt"
	"time"
)

// Config says who waits, how many, and for how long. The zero value is the
// default; Validate reports what is wrong with a value.
type Config struct {
	// Off refuses requests at once when no slot is free.
	Off bool
	// Max is how many requests wait at once at most, for one target. Zero means
	// 500 (MAX_QUEUE_SIZE).
	Max int
	// MaxBytes bounds the bodies of the requests that wait, in bytes. -1 means no
	// bound. Zero means 64 MiB.
	MaxBytes int64
	// QueueAt is the number of calls in progress from which requests wait although
	// slots are free: the slots above it are kept for critical requests. Zero means
	// that requests wait when no slot is free. It means nothing where Off is set.
	QueueAt int
	// Warn and Critical are the numbers of waiting requests from which Stats.Pressure
	// says so. Zero means 50 and 100, or Max if that is less.
	Warn, Critical int
	// MaxAge is how long a request waits at most, whatever its deadline. Zero means 60 s.
	MaxAge time.Duration
	// Target is the wait that a line may have in the long run. When the oldest request of
	// a band has waited longer all the time for an Interval, its line stands: then
	// the newest goes first of each tenant that waits longer than the target, such a
	// tenant finds room only while fewer wait than slots are in use, and those who
	// have waited twice the target leave when others come. Shorter bursts wait in
	// order of arrival, bounded by their deadlines. Claimed jobs (Entry.Durable) are
	// not affected. Zero means a quarter of the time that each request has, until its
	// deadline or for MaxAge, and that the interval runs only while requests are lost:
	// as long as all are answered in time, none is turned away for a shorter wait.
	// Negative means order of arrival at all times.
	Target time.Duration
	// Interval is how long that takes. Zero means twenty times the target, which is
	// five times the time that the requests have where Target is zero too. Negative
	// means order of arrival at all times.
	Interval time.Duration
	// Offsets say how much longer than a critical request the other bands wait
	// before they are its equals.
	Offsets Offsets
	// CriticalReserve is the share of slots handed out while critical requests wait
	// that goes to critical requests at least, from 0 to 1. Others with an older
	// claim share the rest. Zero means 0.8; negative means no reserve.
	CriticalReserve float64
	// Floor is the share of slots handed out that each band other than critical is
	// sure of while it waits, from 0 to 0.33. Zero means 0.05; negative means none.
	// Three floors and the reserve make at most 1. Reserve and floors hold for the
	// places in the line too: when it is full, no band has to give up its last ones.
	Floor float64
}

// Offsets are added to a request's time of arrival; the smallest sum goes first.
// Critical requests have none. Negative means none, and zero the default.
//
// The defaults keep two promises. A request that one band lets wait behind another
// is behind it for a bounded head start only: a normal one outranks a high one that
// came 10 s later. And low requests, whose offset is MaxAge's default, do not
// outrank a fresh critical request by age at all, nor a fresh normal one within the
// default deadline of 45 s: a flood of background work does not slow down people.
// That a low request starts nevertheless, or is refused in so many words, within
// MaxAge is what Floor is for.
type Offsets struct {
	High   time.Duration // zero means 5 s
	Normal time.Duration // zero means 15 s
	Low    time.Duration // zero means 60 s
}

// Validate reports everything that is wrong with the configuration: for each
// fault the configuration key, the value, and what to do.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, key string, value any, fix string) {
		if !ok {
			faults = append(faults, fmt.Errorf("queue.%s: %v is not possible; %s", key, value, fix))
		}
	}
	d := c.withDefaults()
	check(c.Max >= 0, "max", c.Max, "use a number of requests from 1, or queue.off: true for no waiting")
	check(c.MaxBytes >= -1, "max_bytes", c.MaxBytes, "use a number of bytes, or -1 for no bound")
	check(c.QueueAt >= 0, "queue_at", c.QueueAt, "use a number of calls in progress, or 0 for all slots")
	check(c.Warn >= 0, "warn", c.Warn, "use a number of waiting requests")
	check(c.Critical >= 0, "critical", c.Critical, "use a number of waiting requests")
	check(c.Warn <= d.Max, "warn", c.Warn, fmt.Sprintf("use at most queue.max (%d)", d.Max))
	check(c.Critical <= d.Max, "critical", c.Critical, fmt.Sprintf("use at most queue.max (%d)", d.Max))
	check(c.Warn < 0 || c.Critical < 0 || d.Warn <= d.Critical, "warn", d.Warn, fmt.Sprintf("use at most queue.critical (%d)", d.Critical))
	check(c.MaxAge >= 0, "max_age", c.MaxAge, "use a duration above 0, such as 60s")
	check(c.Target <= d.MaxAge, "target", c.Target, fmt.Sprintf("use at most queue.max_age (%s): nothing waits longer", d.MaxAge))
	check(c.Interval <= 0 || c.Interval >= c.Target, "interval", c.Interval, fmt.Sprintf("use at least queue.target (%s)", c.Target))
	check(c.CriticalReserve <= 1, "critical_reserve", c.CriticalReserve, "use a share from 0 to 1, or -1 for none")
	check(c.Floor <= 1.0/3, "floor", c.Floor, "use a share from 0 to 0.33, or -1 for none")
	if c.CriticalReserve <= 1 && c.Floor <= 1.0/3 {
		sum := d.CriticalReserve + 3*d.Floor
		check(sum <= 1+1e-9, "floor", d.Floor, fmt.Sprintf(
			"three floors and queue.critical_reserve (%g) make more than 1, lower one of them", d.CriticalReserve))
	}
	o := d.Offsets
	check(o.High <= o.Normal, "offsets.high", o.High, fmt.Sprintf("use at most queue.offsets.normal (%s)", o.Normal))
	check(o.Normal <= o.Low, "offsets.normal", o.Normal, fmt.Sprintf("use at most queue.offsets.low (%s)", o.Low))
	return errors.Join(faults...)
}

// withDefaults replaces zeros by what they mean and negatives by none. Values that
// Validate refuses become the defaults, so that a line made from them is safe.
func (c Config) withDefaults() Config {
	c.Max = orDefault(c.Max, 500)
	if c.MaxBytes == 0 || c.MaxBytes < -1 {
		c.MaxBytes = 64 << 20
	}
	c.QueueAt = max(c.QueueAt, 0)
	if c.Off {
		c.QueueAt = 0
	}
	c.Critical = orDefault(c.Critical, max(min(100, c.Max), c.Warn))
	c.Warn = orDefault(c.Warn, min(50, c.Critical))
	c.MaxAge = orDefault(c.MaxAge, 60*time.Second)
	if c.Target > c.MaxAge {
		c.Target = 0
	}
	if c.Interval > 0 && c.Interval < c.Target {
		c.Interval = 0
	}
	c.Offsets.High = orNone(c.Offsets.High, 5*time.Second)
	c.Offsets.Normal = orNone(c.Offsets.Normal, 15*time.Second)
	c.Offsets.Low = orNone(c.Offsets.Low, 60*time.Second)
	c.CriticalReserve = portion(c.CriticalReserve, 1, 0.8)
	c.Floor = portion(c.Floor, 1.0/3, 0.05)
	return c
}

func orDefault[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

func orNone(v, fallback time.Duration) time.Duration {
	if v == 0 {
		return fallback
	}
	return max(v, 0)
}

func portion(v, most, fallback float64) float64 {
	switch {
	case v < 0:
		return 0
	case v > 0 && v <= most:
		return v
	}
	return fallback // 0, too much, not a number
}
