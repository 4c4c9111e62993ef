package simulated

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FaultKind says what goes wrong. The set is closed.
type FaultKind string

// The kinds, under the names that ParseFault reads. "Chunks" are events of a
// stream: the role, one for each word, the finish, the usage, the end mark.
const (
	// FaultStatus answers with Fault.Status and an error body, and with
	// Retry-After where Fault.RetryAfter says so.
	FaultStatus FaultKind = "status"
	// FaultLatency multiplies the drawn latencies by Fault.Factor.
	FaultLatency FaultKind = "latency"
	// FaultDelay adds Fault.Wait before the head.
	FaultDelay FaultKind = "delay"
	// FaultHang accepts the call and never gives a head.
	FaultHang FaultKind = "hang"
	// FaultStall is silent after Fault.After chunks, or half of a whole answer,
	// until the caller leaves.
	FaultStall FaultKind = "stall"
	// FaultTrickle waits Fault.Wait between the chunks, or the bytes of a whole answer.
	FaultTrickle FaultKind = "trickle"
	// FaultCut breaks the connection after Fault.After chunks, or half of a whole answer.
	FaultCut FaultKind = "cut"
	// FaultRefuse closes the connection without an answer.
	FaultRefuse FaultKind = "refuse"
	// FaultGarbage puts a chunk that is not JSON behind Fault.After chunks; of a
	// whole answer nothing is JSON.
	FaultGarbage FaultKind = "garbage"
	// FaultErrorEvent ends a stream with an error event after Fault.After chunks; a
	// whole answer is an error body with status 200.
	FaultErrorEvent FaultKind = "error_event"
	// FaultNoEnd leaves out the end mark and ends the connection cleanly; of a
	// whole answer the second half is missing.
	FaultNoEnd FaultKind = "no_end"
)

// kindList is for messages, in the order of the documentation.
const kindList = "status, latency, delay, hang, stall, trickle, cut, refuse, garbage, error_event, no_end"

// Fault is something that goes wrong with a share of the calls for a while. Its
// text form (ParseFault, String) is also its form in JSON.
type Fault struct {
	// Kind says what goes wrong.
	Kind FaultKind
	// Status is for FaultStatus: 400 to 599.
	Status int
	// RetryAfter goes with FaultStatus. Zero means that the answer does not say.
	RetryAfter time.Duration
	// Factor is for FaultLatency: 0 to 1,000,000.
	Factor float64
	// Wait is for FaultDelay and FaultTrickle: more than zero.
	Wait time.Duration
	// After counts chunks, for FaultStall, FaultCut, FaultGarbage and FaultErrorEvent.
	After int

	// Share is the part of the calls that it happens to, chosen by the seed and the
	// number of the call: more than 0, 1 at most. Zero means 1.
	Share float64
	// Model restricts it to calls for this model. Empty means all.
	Model string
	// From and To bound it in time, counted from when the fault was set. Zero To
	// means that it does not end.
	From, To time.Duration
	// Since and Until bound it in time absolutely, and replace From and To. Zero
	// means that they do not.
	Since, Until time.Time
}

// maxFactor keeps latencies within what durations can hold.
const maxFactor = 1e6

// Validate reports every fault of the fault at once.
func (f Fault) Validate() error {
	faults := []error{f.checkKind(), f.checkWindow()}
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.After < 0 {
		add("%s=%d: the chunks before it cannot be fewer than 0", f.Kind, f.After)
	}
	if f.RetryAfter < 0 {
		add("retry_after=%v: not below zero", f.RetryAfter)
	}
	if !(f.Share >= 0 && f.Share <= 1) {
		add("share=%v: above 0, 1 at most", f.Share)
	}
	if strings.ContainsAny(f.Model, ",\n") || strings.TrimSpace(f.Model) != f.Model {
		add("model=%q: without comma, line break and space around it", f.Model)
	}
	return errors.Join(faults...)
}

// checkKind checks what the kind alone needs.
func (f Fault) checkKind() error {
	switch f.Kind {
	case FaultStatus:
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("status=%d: from 400 to 599", f.Status)
		}
	case FaultLatency:
		if !(f.Factor >= 0 && f.Factor <= maxFactor) { // NaN is neither
			return fmt.Errorf("latency=%v: a factor from 0 to 1000000", f.Factor)
		}
	case FaultDelay, FaultTrickle:
		if f.Wait <= 0 {
			return fmt.Errorf("%s=%v: a duration above zero", f.Kind, f.Wait)
		}
	case FaultHang, FaultStall, FaultCut, FaultRefuse, FaultGarbage, FaultErrorEvent, FaultNoEnd:
	default:
		return fmt.Errorf("unknown kind %q: one of %s", f.Kind, kindList)
	}
	return nil
}

func (f Fault) checkWindow() error {
	switch {
	case f.From < 0 || f.To < 0:
		return fmt.Errorf("from=%v, to=%v: not below zero", f.From, f.To)
	case f.To > 0 && f.To <= f.From && f.Since.IsZero() && f.Until.IsZero():
		return fmt.Errorf("from=%v, to=%v: it ends before it begins", f.From, f.To)
	case !f.Until.IsZero() && !f.Until.After(f.Since):
		return fmt.Errorf("from=%s, to=%s: it ends before it begins", f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339))
	}
	return nil
}

// String writes the fault as ParseFault reads it.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	switch f.Kind {
	case FaultStatus:
		fmt.Fprintf(&b, "=%d", f.Status)
	case FaultLatency:
		fmt.Fprintf(&b, "=%s", number(f.Factor))
	case FaultDelay, FaultTrickle:
		fmt.Fprintf(&b, "=%v", f.Wait)
	case FaultStall, FaultCut, FaultGarbage, FaultErrorEvent:
		fmt.Fprintf(&b, "=%d", f.After)
	case FaultHang, FaultRefuse, FaultNoEnd:
	}
	if f.Share != 0 && f.Share != 1 {
		fmt.Fprintf(&b, ",share=%s", number(f.Share))
	}
	if f.Model != "" {
		fmt.Fprintf(&b, ",model=%s", f.Model)
	}
	writeBound(&b, "from", f.From, f.Since)
	writeBound(&b, "to", f.To, f.Until)
	if f.RetryAfter > 0 {
		fmt.Fprintf(&b, ",retry_after=%v", f.RetryAfter)
	}
	return b.String()
}

func writeBound(b *strings.Builder, key string, offset time.Duration, at time.Time) {
	switch {
	case !at.IsZero():
		fmt.Fprintf(b, ",%s=%s", key, at.Format(time.RFC3339Nano))
	case offset > 0:
		fmt.Fprintf(b, ",%s=%v", key, offset)
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// MarshalText writes the fault as ParseFault reads it.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFault.
func (f *Fault) UnmarshalText(text []byte) error {
	parsed, err := ParseFault(string(text))
	if err == nil {
		*f = parsed
	}
	return err
}

// window resolves the bounds in time against the time at which the fault was set.
func (f Fault) window(set time.Time) (from, to time.Time) {
	from, to = f.Since, f.Until
	if from.IsZero() {
		from = set.Add(f.From)
	}
	if to.IsZero() && f.To > 0 {
		to = set.Add(f.To)
	}
	return from, to
}

// share is the part of calls with the zero value resolved.
func (f Fault) share() float64 {
	if f.Share == 0 {
		return 1
	}
	return f.Share
}
