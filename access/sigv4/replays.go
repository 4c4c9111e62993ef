package sigv4

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Repeats says what is done about a signature that was seen before.
type Repeats string

// What may be done about repeated signatures.
const (
	// RefuseRepeats refuses every request that was seen before, and takes those that
	// only look like one. A signature has the time to the second, so two calls that are
	// the same to the last byte have the same one if they are signed in the same second.
	// The SDKs tell calls and attempts apart by the headers amz-sdk-invocation-id and
	// amz-sdk-request. Those of Go and JavaScript sign them: there one signature is one
	// request. Boto3 adds them after signing: there the signature is taken again for two
	// seconds after it was first seen, with ids that were not seen with it. It is the
	// default.
	RefuseRepeats Repeats = "refuse"
	// RepeatsForSeconds takes a signature again for two seconds after it was first
	// seen, for clients that do not tell their calls apart.
	RepeatsForSeconds Repeats = "seconds"
	// AllowRepeats takes a signature as long as it is current, as AWS does.
	AllowRepeats Repeats = "allow"
)

// AllRepeats lists what Repeats may be.
func AllRepeats() []Repeats { return []Repeats{RefuseRepeats, RepeatsForSeconds, AllowRepeats} }

const (
	// repeatsFor is how long calls of one second may take to arrive after the first of
	// them: that second, and one for the way.
	repeatsFor = 2 * time.Second
	// maxRepeats bounds how often a signature is taken again within that.
	maxRepeats = 1000
	// DefaultRemembered is how many signatures are remembered by default: 3,000 a second
	// for the five minutes that they are good for. They take some 60 bytes each.
	DefaultRemembered = 1 << 20
)

// Replays remembers the signatures that were verified for as long as they could be
// sent again. It is for one process: another gateway does not know what this one has
// seen. It may be used concurrently.
//
// It never forgets a signature that is still good. Where it would have to, because more
// came than it can hold, it refuses older signatures altogether: under such a load
// clocks have to agree better.
type Replays struct {
	repeats Repeats
	max     int

	mu      sync.Mutex               // guards what follows
	minutes map[int64]map[stamp]seen // by the minute of signing
	held    int                      // in all of them
	horizon int64                    // signatures of earlier minutes are refused
}

// stamp stands for a signature, or for a signature with the ids of an attempt. 128 bits
// of what only holders of a secret can choose do not collide by chance.
type stamp [16]byte

type seen struct {
	first   int64 // when, in Unix nanoseconds
	repeats int
	ids     bool // it came with the ids of an attempt
}

// NewReplays makes a memory for at most remembered signatures; zero means
// DefaultRemembered. Empty repeats means RefuseRepeats.
func NewReplays(repeats Repeats, remembered int) *Replays {
	if repeats == "" {
		repeats = RefuseRepeats
	}
	if remembered <= 0 {
		remembered = DefaultRemembered
	}
	return &Replays{repeats: repeats, max: remembered, minutes: map[int64]map[stamp]seen{}}
}

// Admit takes a signature that was verified, once, or refuses it as seen before. The
// error is an *llm.Error with the Code InvalidSignatureException, or of kind
// policy_overloaded where there is no room even for the signatures of this minute.
func (r *Replays) Admit(s *Signature, now time.Time) error {
	if r.repeats == AllowRepeats {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := s.Date.Unix() / 60
	r.forgetLocked(now.Add(-MaxSkew).Unix()/60 - 1)
	if at < r.horizon {
		e := invalid("the signature is older than what this gateway remembers", "Sign again, with the right time.")
		e.Limit, e.Value = "remembered signatures", fmt.Sprint(r.max)
		return e
	}
	of, here := stampOf(s.value[:]), r.minutes[at]
	known, again := here[of]
	if again && !r.repeatableLocked(s, known, now) {
		e := invalid("the request was sent before: its signature has been used", "Sign each request anew; the SDKs do.")
		e.Limit, e.Value = "gateway.repeated_signatures", string(r.repeats)
		return e
	}
	if err := r.roomLocked(at); err != nil {
		return err
	}
	if !again {
		known.first, known.ids = now.UnixNano(), s.attempt.ids != ""
		r.putLocked(at, of, known)
	} else {
		known.repeats++
		here[of] = known
	}
	if !s.attempt.signed && s.attempt.ids != "" {
		r.putLocked(at, s.withAttempt(), seen{})
	}
	return nil
}

// repeatableLocked says whether a signature that is known may come again.
func (r *Replays) repeatableLocked(s *Signature, known seen, now time.Time) bool {
	if now.Sub(time.Unix(0, known.first)) > repeatsFor || known.repeats >= maxRepeats {
		return false
	}
	if r.repeats == RepeatsForSeconds {
		return true
	}
	if s.attempt.signed || s.attempt.ids == "" || !known.ids { // who sent none does not tell calls apart by them
		return false
	}
	_, same := r.minutes[s.Date.Unix()/60][s.withAttempt()]
	return !same
}

// roomLocked makes room for two more stamps in a minute, by giving up the oldest
// minutes before it.
func (r *Replays) roomLocked(at int64) error {
	for r.held+2 > r.max {
		oldest := at
		for m := range r.minutes {
			oldest = min(oldest, m)
		}
		if oldest == at {
			return &llm.Error{
				Kind: llm.PolicyOverloaded, Message: "more signed requests than can be told from replays",
				Limit: "remembered signatures", Value: fmt.Sprint(r.max), RetryAfter: time.Minute, Fix: "Send fewer requests, or use a bearer key.",
			}
		}
		r.forgetLocked(oldest + 1)
	}
	return nil
}

// forgetLocked gives up the minutes before one.
func (r *Replays) forgetLocked(before int64) {
	if before <= r.horizon {
		return
	}
	r.horizon = before
	for m, stamps := range r.minutes {
		if m < before {
			r.held -= len(stamps)
			delete(r.minutes, m)
		}
	}
}

func (r *Replays) putLocked(at int64, p stamp, s seen) {
	stamps := r.minutes[at]
	if stamps == nil {
		stamps = map[stamp]seen{}
		r.minutes[at] = stamps
	}
	before := len(stamps)
	stamps[p] = s
	r.held += len(stamps) - before
}

func stampOf(b []byte) (p stamp) {
	copy(p[:], b)
	return p
}

// withAttempt is the stamp of the signature with the ids of its attempt.
func (s *Signature) withAttempt() stamp {
	sum := sha256.Sum256(append(append([]byte("attempt\n"), s.value[:]...), s.attempt.ids...))
	return stampOf(sum[:])
}
