package cloudwatch

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFullSpoolIsCheap: a spool is full when CloudWatch is down for long, and it is a
// request that closes a window: it must not move all that waits for each datum.
func TestFullSpoolIsCheap(t *testing.T) {
	const most, more = 200_000, 20_000
	s := spool{most: most}
	for range most {
		s.add(datum{})
	}
	s.take(mostData, time.Time{})
	begun := time.Now()
	for range more {
		s.add(datum{})
	}
	if s.dropped < more-mostData || len(s.waiting) != most {
		t.Fatalf("%d dropped, %d wait", s.dropped, len(s.waiting))
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("%d data took %v", more, took)
	}
}

// TestSpoolOrder: whatever is added, sent and given back, data leave in the order in which
// they came, the oldest that is not being sent is what is lost, and what was taken is never
// written over.
func TestSpoolOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spool{most: rapid.IntRange(1, 20).Draw(t, "most")}
		var next, left, sent int
		var flight []datum
		add := func(t *rapid.T) {
			s.add(datum{name: strconv.Itoa(next), at: time.Unix(1, 0)})
			next++
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": add,
			"take": func(t *rapid.T) {
				if flight == nil {
					flight = s.take(rapid.IntRange(1, 10).Draw(t, "n"), time.Time{})
				}
			},
			"done": func(t *rapid.T) {
				if flight == nil {
					return
				}
				n := rapid.IntRange(0, len(flight)).Draw(t, "sent")
				for _, d := range flight[:n] {
					at, err := strconv.Atoi(d.name)
					if err != nil || at < left {
						t.Fatalf("%q after %d", d.name, left-1)
					}
					left = at + 1
				}
				sent += n
				s.done(n)
				flight = nil
			},
			"": func(t *rapid.T) {
				if total := sent + int(s.dropped) + s.len(); total != next {
					t.Fatalf("%d sent, %d lost, %d wait; %d were added", sent, s.dropped, s.len(), next)
				}
				if len(s.waiting) > s.most {
					t.Fatalf("%d wait, of %d", len(s.waiting), s.most)
				}
			},
		})
	})
}
