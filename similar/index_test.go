package similar_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/similar"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func key(n int) (k [32]byte) {
	binary.BigEndian.PutUint64(k[:], uint64(n))
	return k
}

func number(k [32]byte) int { return int(binary.BigEndian.Uint64(k[:])) }

func group(n int) similar.Group { return similar.Group(key(n)) }

func TestFind(t *testing.T) {
	x := similar.New(similar.Config{})
	x.Add(group(1), key(1), "How do I reset the password of my app?", now.Add(time.Hour))
	x.Add(group(1), key(2), "How do I reset the PIN of my card?", now.Add(time.Hour))
	x.Add(group(2), key(3), "How can I reset the password of my app?", now.Add(time.Hour))
	const asked = "How can I reset the password of my app?"
	for _, c := range []struct {
		name      string
		group     similar.Group
		text      string
		threshold float64
		now       time.Time
		want      [32]byte // none where zero
	}{
		{"like another", group(1), asked, 0, now, key(1)},
		{"the same", group(2), asked, 1, now, key(3)},
		{"of another group", group(3), asked, 0, now, [32]byte{}},
		{"below the threshold", group(1), asked, 0.99, now, [32]byte{}},
		{"expired", group(1), asked, 0, now.Add(time.Hour), [32]byte{}},
		{"not quite expired", group(1), asked, 0, now.Add(time.Hour - 1), key(1)},
		{"like, but refused", group(1), "How do I reset the PIN of your card?", 0, now, [32]byte{}},
		{"unlike, but below every threshold", group(1), "Where is it?", 1e-9, now, [32]byte{}},
		{"nothing", group(1), " ", 0, now, [32]byte{}},
		{"too long", group(2), asked + strings.Repeat(" ", 4<<10), 0, now, [32]byte{}},
		{"no number", group(2), asked, math.NaN(), now, [32]byte{}},
		{"above every score", group(2), asked, 1.1, now, [32]byte{}},
	} {
		m, ok := x.Find(c.group, c.text, c.threshold, c.now)
		if ok != (c.want != [32]byte{}) || m.Key != c.want {
			t.Errorf("%s: found %v %x, want %x", c.name, ok, m.Key[:8], c.want[:8])
		}
		if ok && (m.Score < c.threshold || m.Score > 1) {
			t.Errorf("%s: score %v", c.name, m.Score)
		}
	}
}

func TestFindTakesTheBest(t *testing.T) {
	x := similar.New(similar.Config{})
	// More texts that score well and are refused than one that agrees.
	for i := range 10 {
		x.Add(group(1), key(i+1), fmt.Sprintf("What is the fee for transfer number %d of my account at the bank?", i), time.Time{})
	}
	x.Add(group(1), key(20), "Good afternoon, what is the fee for transfer number 99 of my account at the bank? Thanks a lot!", time.Time{})
	x.Add(group(1), key(21), "What's the fee for transfer number 99 of my account at the bank?", time.Time{})
	x.Add(group(1), key(22), "What's the fee for transfer number 99 of my account at the bank?", time.Time{})
	m, ok := x.Find(group(1), "What is the fee for transfer number 99 of my account at the bank?", 0.5, now)
	if !ok || m.Key != key(22) {
		t.Errorf("found %v %x, want the later of the two best", ok, m.Key[:8])
	}
}

// TestFindFindsWhatAgrees checks that the short cuts of a search leave nothing out.
func TestFindFindsWhatAgrees(t *testing.T) {
	for i, p := range alike {
		x := similar.New(similar.Config{})
		for j, other := range alike {
			if j != i {
				x.Add(group(1), key(100+j), other[0], time.Time{})
			}
		}
		x.Add(group(1), key(1), p[0], time.Time{})
		if m, ok := x.Find(group(1), p[1], 0.3, now); !ok {
			t.Errorf("%q does not find %q", p[1], p[0])
		} else if ok, _ := similar.Agree(p[1], alike[max(0, number(m.Key)-100)][0]); m.Key != key(1) && !ok {
			t.Errorf("%q finds %x, which it does not agree with", p[1], m.Key[:8])
		}
	}
}

func TestAddReplacesAndRemoves(t *testing.T) {
	x := similar.New(similar.Config{MaxTextBytes: 100})
	x.Add(group(1), key(1), "Where is my card now?", time.Time{})
	x.Add(group(2), key(1), "Where is my card now?", time.Time{})
	if _, ok := x.Find(group(1), "Where is my card now?", 0, now); ok || x.Len() != 1 {
		t.Errorf("a key is in two groups; %d texts", x.Len())
	}
	x.Remove(key(2))
	x.Add(group(2), key(1), strings.Repeat("long ", 100), time.Time{})
	if x.Len() != 0 || x.Bytes() != 0 {
		t.Errorf("a text outlasts its successor, which is too long: %d texts, %d bytes", x.Len(), x.Bytes())
	}
	x.Add(group(2), key(1), " ", time.Time{})
	x.Add(group(2), key(1), "Where is my card now?", time.Time{})
	x.Remove(key(1))
	if x.Len() != 0 || x.Bytes() != 0 {
		t.Errorf("removed, but %d texts, %d bytes", x.Len(), x.Bytes())
	}
	x.Add(group(2), key(1), "Where is my card now?", time.Time{})
	x.Clear()
	if _, ok := x.Find(group(2), "Where is my card now?", 0, now); ok || x.Len() != 0 || x.Bytes() != 0 {
		t.Errorf("cleared, but %d texts, %d bytes, found %v", x.Len(), x.Bytes(), ok)
	}
}

// TestBounds plays random operations on an index and on a plain list.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := similar.Config{
			MaxTexts:    rapid.IntRange(1, 8).Draw(t, "max texts"),
			MaxPerGroup: rapid.IntRange(1, 4).Draw(t, "max per group"),
			MaxBytes:    rapid.Int64Range(500, 8000).Draw(t, "max bytes"),
		}
		x := similar.New(c)
		type entry struct{ group, key int }
		var model []entry // the oldest first
		drop := func(which func(entry) bool) {
			for i, e := range model {
				if which(e) {
					model = append(model[:i:i], model[i+1:]...)
					return
				}
			}
		}
		bytes := 0 // whether the bound of bytes could have come in
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			g, k := rapid.IntRange(0, 3).Draw(t, "group"), rapid.IntRange(0, 12).Draw(t, "key")
			drop(func(e entry) bool { return e.key == k })
			if rapid.Bool().Draw(t, "remove") {
				x.Remove(key(k))
				continue
			}
			x.Add(group(g), key(k), fmt.Sprint("text ", k), time.Time{})
			model = append(model, entry{g, k})
			inGroup := 0
			for _, e := range model {
				if e.group == g {
					inGroup++
				}
			}
			if inGroup > c.MaxPerGroup {
				drop(func(e entry) bool { return e.group == g })
			}
			if len(model) > c.MaxTexts {
				drop(func(entry) bool { return true })
			}
			bytes = max(bytes, len(model)*1000)
			if x.Len() > c.MaxTexts || x.Bytes() > c.MaxBytes || x.Bytes() < 0 {
				t.Fatalf("%d texts, %d bytes exceed %+v", x.Len(), x.Bytes(), c)
			}
		}
		if int64(bytes) > c.MaxBytes {
			return // which texts went is a matter of sizes
		}
		if x.Len() != len(model) {
			t.Fatalf("%d texts, want %d", x.Len(), len(model))
		}
		for _, e := range model {
			if m, ok := x.Find(group(e.group), fmt.Sprint("text ", e.key), 1, now); !ok || m.Key != key(e.key) {
				t.Fatalf("text %d of group %d: found %v %x", e.key, e.group, ok, m.Key[:8])
			}
		}
	})
}

func TestConcurrency(t *testing.T) {
	x := similar.New(similar.Config{MaxTexts: 50, MaxPerGroup: 20})
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 300 {
				n := (i*7 + w) % 60
				text := fmt.Sprintf("What is the fee for transfer number %d of my account?", n)
				switch i % 5 {
				case 0, 1:
					x.Add(group(n%4), key(n), text, now.Add(time.Minute))
				case 4:
					x.Remove(key(n))
				default:
					if m, ok := x.Find(group(n%4), text, 0, now); ok && m.Key != key(n) {
						t.Errorf("found %x for text %d", m.Key[:8], n)
					}
				}
				if i%100 == 99 && w == 0 {
					x.Clear()
				}
			}
		})
	}
	workers.Wait()
	if x.Len() > 50 {
		t.Errorf("%d texts, want 50 at most", x.Len())
	}
}

// constant is a measure of a fixed score.
type constant float64

func (c constant) Prepare(text string) similar.Prepared { return c }
func (c constant) Size() int64                          { return 8 }
func (c constant) Score(_, _ similar.Prepared, _ float64) float64 {
	return float64(c)
}

func TestAnotherMeasureIsUpAgainstAgree(t *testing.T) {
	texts := [2]string{"How do I find the way to the sea?", "How do I find the path to the sea?"}
	find := func(c similar.Config, text string) bool {
		x := similar.New(c)
		x.Add(group(1), key(1), texts[0], time.Time{})
		_, ok := x.Find(group(1), text, 0.9, now)
		return ok
	}
	if find(similar.Config{Measure: constant(1)}, texts[1]) {
		t.Error("a measure alone made a match of different words")
	}
	if !find(similar.Config{Measure: constant(1), WordsMayDiffer: true}, texts[1]) {
		t.Error("no match of different words where they may differ")
	}
	for _, text := range []string{
		"How do I not find the way to the sea?", "How do I find the way to the 2 seas?", "How do you find the way to the sea?",
		"How do I find the sea to the way?", "How do I find the way from the sea?", "Where do I find the way to the sea?",
	} {
		if find(similar.Config{Measure: constant(1), WordsMayDiffer: true}, text) {
			t.Errorf("%q matches %q where words may differ", text, texts[0])
		}
	}
	if find(similar.Config{Measure: constant(math.NaN())}, texts[0]) {
		t.Error("a score that is no number made a match")
	}
}
