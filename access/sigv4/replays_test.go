package sigv4_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/llm"
)

// ids are those of an attempt; they are signed or not.
type ids struct {
	id, attempt string
	signed      bool
}

// one is a signature, at a time and with ids.
func one(t testing.TB, at time.Time, of ids) *sigv4.Signature {
	t.Helper()
	out := outgoing(t)
	out.Header.Del("Amz-Sdk-Invocation-Id")
	out.Header.Del("Amz-Sdk-Request")
	set := func(h http.Header) {
		if of.id != "" {
			h.Set("Amz-Sdk-Invocation-Id", of.id)
			h.Set("Amz-Sdk-Request", of.attempt)
		}
	}
	if of.signed {
		set(out.Header)
	}
	r := sign(t, out, body, at, "eu-central-1")
	if !of.signed {
		set(r.Header)
	}
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestReplays(t *testing.T) {
	const yes, no = true, false
	type use struct {
		after       time.Duration // since the time of signing
		id, attempt string
		taken       bool
	}
	for _, c := range []struct {
		name    string
		repeats sigv4.Repeats
		signed  bool // the ids are
		uses    []use
	}{
		{"Go and JavaScript: an attempt is taken once", sigv4.RefuseRepeats, true, []use{
			{0, "a", "attempt=1", yes},
			{0, "a", "attempt=1", no},
			{time.Second, "a", "attempt=1", no},
			{0, "a", "attempt=2", yes},
			{0, "b", "attempt=1", yes},
			{4 * time.Minute, "b", "attempt=1", no},
		}},
		{"boto3: calls and attempts of one second", "", false, []use{
			{0, "a", "attempt=1", yes},
			{0, "a", "attempt=1", no},
			{500 * time.Millisecond, "a", "attempt=2", yes},
			{time.Second, "b", "attempt=1", yes},
			{time.Second, "b", "attempt=1", no},
			{2 * time.Second, "c", "attempt=1", yes},
			{2001 * time.Millisecond, "d", "attempt=1", no},
			{4 * time.Minute, "e", "attempt=1", no},
		}},
		{"no ids", sigv4.RefuseRepeats, false, []use{{0, "", "", yes}, {0, "", "", no}, {time.Minute, "", "", no}}},
		{"late, and then again", sigv4.RefuseRepeats, false, []use{{4 * time.Minute, "a", "1", yes}, {4*time.Minute + time.Second, "b", "1", yes}, {4*time.Minute + 3*time.Second, "c", "1", no}}},
		{"from the future", sigv4.RefuseRepeats, true, []use{{-5 * time.Minute, "a", "1", yes}, {0, "a", "1", no}, {5 * time.Minute, "a", "1", no}}},
		{"seconds", sigv4.RepeatsForSeconds, false, []use{{0, "", "", yes}, {time.Second, "", "", yes}, {2 * time.Second, "", "", yes}, {3 * time.Second, "", "", no}}},
		{"allow", sigv4.AllowRepeats, true, []use{{0, "a", "1", yes}, {time.Minute, "a", "1", yes}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sigv4.NewReplays(c.repeats, 0)
			for i, u := range c.uses {
				err := r.Admit(one(t, signedAt, ids{u.id, u.attempt, c.signed}), signedAt.Add(u.after))
				if (err == nil) != u.taken || err != nil && typeOf(err) != "InvalidSignatureException" {
					t.Errorf("use %d: %v", i, err)
				}
			}
		})
	}
}

// More signatures than are remembered do not let one through that was used before.
func TestReplaysBounded(t *testing.T) {
	const remembered = 100
	r := sigv4.NewReplays(sigv4.RefuseRepeats, remembered)
	used := one(t, signedAt, ids{"first", "1", true})
	if err := r.Admit(used, signedAt); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i := range 4 * remembered {
		at := signedAt.Add(time.Duration(i) * time.Second)
		if r.Admit(one(t, at, ids{fmt.Sprint(i), "1", true}), at) == nil {
			taken++
		}
		if i < int(sigv4.MaxSkew/time.Second) {
			if err := r.Admit(used, at); err == nil {
				t.Fatalf("taken again after %d others", i)
			}
		}
	}
	if taken != 4*remembered {
		t.Errorf("%d of %d were taken: there was room for those of a minute", taken, 4*remembered)
	}
	overfull := sigv4.NewReplays(sigv4.RefuseRepeats, 10)
	var last error
	for i := range 20 {
		last = overfull.Admit(one(t, signedAt, ids{fmt.Sprint(i), "1", true}), signedAt)
	}
	if llm.KindOf(last) != llm.PolicyOverloaded {
		t.Errorf("more in a second than are remembered: %v", last)
	}
}

// Whatever comes in whatever order, a request whose ids are signed is taken at most once
// while it is current.
func TestReplaysOnce(t *testing.T) {
	pool := make([]*sigv4.Signature, 40)
	for i := range pool {
		pool[i] = one(t, signedAt.Add(time.Duration(i*17)*time.Second), ids{fmt.Sprint(i), "1", true})
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := sigv4.NewReplays(sigv4.RefuseRepeats, rapid.IntRange(4, 60).Draw(rt, "remembered"))
		taken := map[int]bool{}
		now := signedAt
		for range rapid.IntRange(1, 200).Draw(rt, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "ms")) * time.Millisecond)
			i := rapid.IntRange(0, len(pool)-1).Draw(rt, "which")
			if pool[i].Current(now) != nil {
				continue
			}
			if r.Admit(pool[i], now) == nil {
				if taken[i] {
					rt.Fatalf("%d was taken twice", i)
				}
				taken[i] = true
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := sign(b, outgoing(b), body, signedAt, "eu-central-1")
	hash := sigv4.PayloadHash([]byte(body))
	b.ReportAllocs()
	for b.Loop() {
		s, err := sigv4.Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Verify(secret, r, hash, signedAt); err != nil {
			b.Fatal(err)
		}
	}
}
