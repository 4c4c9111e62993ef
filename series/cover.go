package series

import (
	"math/bits"
	"sync"
)

const (
	hour        = 3600
	bitmapBytes = hour / finest / 8 // a bit for each step of 10 s
)

// cover remembers when a set was running: in this process from start on, in those before
// it as their blocks tell. A Counter that was not raised meanwhile is 0; otherwise nothing
// is known of it.
type cover struct {
	start int64

	mu     sync.Mutex // guards what follows
	hours  map[int64]*[bitmapBytes]byte
	marked int64 // until when this process has been marked; 0 at first
}

func (c *cover) init(start int64) {
	c.start = start
	c.hours = make(map[int64]*[bitmapBytes]byte)
}

// mark notes that this process runs until now and returns the hours that changed.
func (c *cover) mark(now int64) map[int64][bitmapBytes]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := grids()[tiers-1].keep
	from := floor(max(c.start, min(c.marked, now), now-keep), finest)
	c.marked = now
	changed := make(map[int64][bitmapBytes]byte)
	for h := floor(from, hour); h <= now; h += hour {
		m := c.hourLocked(h)
		for at := max(h, from); at < min(h+hour, now+1); at += finest {
			m[(at-h)/finest/8] |= 1 << ((at - h) / finest % 8)
		}
		changed[h] = *m
	}
	for h := range c.hours {
		if h < now-keep-hour || len(c.hours) > int(keep/hour)*2 {
			delete(c.hours, h)
		}
	}
	return changed
}

func (c *cover) hourLocked(h int64) *[bitmapBytes]byte {
	m := c.hours[h]
	if m == nil {
		m = new([bitmapBytes]byte)
		c.hours[h] = m
	}
	return m
}

// restore adds an hour of an earlier process.
func (c *cover) restore(h int64, bitmap *[bitmapBytes]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.hourLocked(h)
	for i, b := range bitmap {
		m[i] |= b
	}
}

// seconds returns for how much of [from, to) a set was running.
func (c *cover) seconds(from, to float64) float64 {
	own := max(0, to-max(from, float64(c.start)))
	c.mu.Lock()
	defer c.mu.Unlock()
	// What this process has marked itself lies after its start.
	until := min(int64(to), floor(c.start, finest))
	n := 0
	for h := floor(int64(from), hour); h < until; h += hour {
		m := c.hours[h]
		if m == nil {
			continue
		}
		if h >= int64(from) && h+hour <= until {
			for _, b := range m {
				n += bits.OnesCount8(b)
			}
			continue
		}
		for i := range int64(hour / finest) {
			if at := h + i*finest; at >= int64(from) && at < until && m[i/8]&(1<<(i%8)) != 0 {
				n++
			}
		}
	}
	return own + float64(n*finest)
}

// unmark lets the hours from h on be marked again.
func (c *cover) unmark(h int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marked = min(c.marked, h)
}
