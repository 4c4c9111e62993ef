package intake_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/internal/intake"
)

// parts is a source that gives one part a read, and keeps how much memory it was offered.
type parts struct {
	sizes []int
	next  byte
	room  int
	total int
}

func (p *parts) Read(b []byte) (int, error) {
	p.room = len(b)
	if len(p.sizes) == 0 {
		return 0, io.EOF
	}
	n := min(p.sizes[0], len(b))
	if p.sizes[0] -= n; p.sizes[0] == 0 {
		p.sizes = p.sizes[1:]
	}
	for i := range n {
		b[i] = p.next
		p.next++
	}
	p.total += n
	return n, nil
}

// Whatever comes and whatever is taken of it: all bytes are handed out once and in order,
// and what was handed out never changes.
func TestAllBytesOnceAndForGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := &parts{sizes: rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 700), rapid.IntRange(1, 100_000)), 0, 12).Draw(t, "sizes")}
		b := intake.New(src)
		var taken [][]byte
		for b.Fill() {
			held := len(b.Held())
			// None, all, or some, as the events are cut.
			n := rapid.OneOf(rapid.Just(0), rapid.Just(held), rapid.IntRange(0, held)).Draw(t, "n")
			if n > 0 {
				taken = append(taken, b.Take(n))
			}
			if left := len(b.Held()); left != held-n {
				t.Fatalf("%d bytes are left of %d when %d were taken", left, held, n)
			}
		}
		all := append(bytes.Join(taken, nil), b.Held()...)
		if len(all) != src.total {
			t.Fatalf("%d bytes came, %d went", src.total, len(all))
		}
		for i, got := range all {
			if got != byte(i) {
				t.Fatalf("byte %d of %d is another one", i, len(all))
			}
		}
		if b.Ended() != io.EOF {
			t.Fatalf("ended with %v", b.Ended())
		}
	})
}

// events has src read to its end, each read an event.
func events(src io.Reader, after func(i, size int)) {
	b := intake.New(src)
	for i := 0; b.Fill(); i++ {
		if n := len(b.Held()); n > 0 {
			b.Take(n)
		}
		after(i, len(b.Held()))
	}
}

// A slow stream of small events waits with little memory, from the first on.
func TestSlowStreamsHoldLittle(t *testing.T) {
	src := &parts{sizes: []int{200, 250, 150, 240, 10, 255, 200}}
	events(src, func(i, _ int) {
		if src.room > intake.Small {
			t.Errorf("read %d had %d bytes", i, src.room)
		}
	})
}

// waits takes whole events of the given size only, and returns how much memory the reads
// had that stand for waiting: the first of each event.
func waits(src *parts, sizes []int) (rooms []int) {
	src.sizes = append([]int(nil), sizes...)
	b := intake.New(src)
	for _, size := range sizes {
		for first := true; len(b.Held()) < size; first = false {
			if !b.Fill() {
				return rooms
			}
			if first {
				rooms = append(rooms, src.room)
			}
		}
		b.Take(size)
	}
	return rooms
}

// After a large event, and after many that came at once, a stream holds little again; one
// whose events are somewhat larger keeps room for them.
func TestBuffersShrink(t *testing.T) {
	rooms := waits(&parts{}, []int{200, 300_000, 200, 200, 200})
	if last := rooms[len(rooms)-1]; last > intake.Small {
		t.Errorf("%v bytes of memory after a large event", rooms)
	}
	if rooms[2] > 2<<10 {
		t.Errorf("%d bytes of memory right after a large event", rooms[2])
	}
	rooms = waits(&parts{}, []int{700, 700, 700, 700})
	if rooms[3] < 700 || rooms[3] > 2<<10 {
		t.Errorf("%v bytes of memory for events of 700", rooms)
	}

	src := &parts{sizes: []int{100_000, 200, 200, 200, 200}}
	events(src, func(int, int) {})
	if src.room > intake.Small {
		t.Errorf("%d bytes of memory after a fast part", src.room)
	}
}

// A stream that is faster than its reader comes in few reads.
func TestFastStreamsAreReadInLargePieces(t *testing.T) {
	src, reads := &parts{sizes: []int{1 << 20}}, 0
	events(src, func(int, int) { reads++ })
	if reads > 40 {
		t.Errorf("%d reads for 1 MiB", reads)
	}
	src, reads = &parts{sizes: []int{5000}}, 0
	events(src, func(int, int) { reads++ })
	if reads > 3 { // the end is one
		t.Errorf("%d reads for a short stream", reads)
	}
}

// Large takes cost no copy: what was read into is handed out.
func TestLargeTakesAreNotCopied(t *testing.T) {
	src := &parts{sizes: []int{100_000}}
	b := intake.New(src)
	for len(b.Held()) < 100_000 {
		b.Fill()
	}
	at := &b.Held()[0]
	if taken := b.Take(99_990); &taken[0] != at {
		t.Error("99,990 bytes were copied")
	} else if cap(taken) != len(taken) {
		t.Error("whoever appends to what was taken writes over what is held")
	}
	if got := b.Held(); len(got) != 10 || got[0] != byte(99_990%256) {
		t.Errorf("held: %v", got)
	}
}

type never struct{}

func (never) Read([]byte) (int, error) { return 0, nil }

func TestEnds(t *testing.T) {
	b := intake.New(never{})
	if !b.Fill() || !errors.Is(b.Ended(), io.ErrNoProgress) || b.Fill() {
		t.Errorf("a source that never reads: %v", b.Ended())
	}
	b = intake.New(iotest.DataErrReader(bytes.NewReader([]byte("ab"))))
	if !b.Fill() || string(b.Held()) != "ab" || b.Ended() != io.EOF || b.Fill() {
		t.Errorf("the last bytes with the end: %q, %v", b.Held(), b.Ended())
	}
}
