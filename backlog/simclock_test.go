package backlog_test

import (
	"testing"
	"time"
	"unsafe"
)

// at makes the time that time.Now would return on a machine whose monotonic clock shows
// mono and whose wall clock shows wall, which may have been set in between: package time
// has no way to make one. It has been laid out like this since Go 1.9.
func at(wall time.Time, mono time.Duration) time.Time {
	var t time.Time
	parts := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	const year1885 = -2682288000 // where seconds are counted from in wall
	parts.wall = 1<<63 | uint64(wall.Unix()-year1885)<<30 | uint64(wall.Nanosecond())
	parts.ext = int64(mono) + 1
	parts.loc = time.Local
	return t
}

// TestAt: the layout is still what it was.
func TestAt(t *testing.T) {
	epoch := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	a, b := at(epoch, time.Minute), at(epoch.Add(-time.Hour), 2*time.Minute)
	if !a.Equal(epoch) || !b.Equal(epoch.Add(-time.Hour)) {
		t.Fatalf("wall clocks show %s and %s", a, b)
	}
	if got := b.Sub(a); got != time.Minute {
		t.Errorf("monotonic clocks are %s apart, want 1m", got)
	}
	if got := b.Round(0).Sub(a.Round(0)); got != -time.Hour {
		t.Errorf("wall clocks are %s apart, want -1h", got)
	}
	if now := time.Now(); at(now, 0).Sub(at(now, time.Second)) != -time.Second || !at(now, 0).Round(0).Equal(now.Round(0)) {
		t.Error("now is another time")
	}
}
