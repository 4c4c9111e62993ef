package sqlite_test

import (
	"errors"
	"testing"

	"github.com/forebay-ai/forebay/cache"
)

// TestFilter measures what the filter lets pass.
func TestFilter(t *testing.T) {
	c := open(t).Cache()
	room := c.Filtered()
	// As many as it is made for, less the one that would have it made anew.
	n := int(room) - 1
	fill(t, c, n)
	for i := range n {
		if !c.MayHave(keyOf(i)) {
			t.Fatalf("the filter does not know the key %d", i)
		}
	}
	passed := 0
	for i := range 100_000 {
		if c.MayHave(keyOf(-1 - i)) {
			passed++
		}
	}
	t.Logf("%d keys, %d bytes: %.2f%% of others pass", n, room*2, float64(passed)/1000)
	if passed > 600 {
		t.Errorf("%d of 100,000 keys that are not there pass", passed)
	}
}

// TestFilterIsMadeAnew writes more than the filter is made for.
func TestFilterIsMadeAnew(t *testing.T) {
	c := open(t).Cache()
	room := c.Filtered()
	fill(t, c, int(room)+1)
	for c.Filtered() == room { // it is made beside the test
	}
	for i := range int(room) + 1 {
		if !c.MayHave(keyOf(i)) {
			t.Fatalf("the new filter does not know the key %d", i)
		}
	}
}

// TestFilterForgetsNothing writes, replaces and deletes while filters are made: each
// record is found as soon as Write has returned.
func TestFilterForgetsNothing(t *testing.T) {
	c := open(t).Cache()
	c.Filtered()
	fill(t, c, 10_000)
	stop, stopped := make(chan struct{}), make(chan error)
	filters := 0
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := c.FilterAgain(t.Context()); err != nil {
				stopped <- err
				return
			}
			filters++
		}
	}()
	for n := 10_000; n < 14_000; n += 5 {
		must(t, c.Write(t.Context(), append(batch(n, n+5, 20), record(n-10_000, 20))))
		for _, i := range []int{n, n + 4, n - 10_000, n / 3} {
			if got, err := c.Get(t.Context(), keyOf(i)); err != nil || !same(got, i, 20) {
				t.Fatalf("record %d: %v", i, err)
			}
		}
	}
	close(stop)
	must(t, <-stopped)
	t.Logf("%d filters were made", filters)
}

// TestFilterAfterRestart opens a store that has records.
func TestFilterAfterRestart(t *testing.T) {
	dir := t.TempDir()
	s, err := openIn(t, dir)
	must(t, err)
	fill(t, s.Cache(), 10_000)
	must(t, s.Close())
	s, err = openIn(t, dir)
	must(t, err)
	defer s.Close()
	for range 2 { // while it is made, and then
		for i := range 10_000 {
			if got, err := s.Cache().Get(t.Context(), keyOf(i)); err != nil || !same(got, i, 20) {
				t.Fatalf("record %d: %v", i, err)
			}
		}
		s.Cache().Filtered()
	}
	if _, err := s.Cache().Get(t.Context(), keyOf(-1)); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
}
