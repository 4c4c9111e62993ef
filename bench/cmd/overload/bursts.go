package main

import (
	"bufio"
	"compress/gzip"
	"container/heap"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// arrival is a call of the trace.
type arrival struct {
	at        time.Time
	generated int // tokens
}

// The bursts: the densest stretch of the trace, sped up until its busiest ten
// seconds ask for one and a half times the slots.
const (
	burstCalls    = 2000
	burstOver     = 1.5
	burstWindow   = 10 * time.Second
	burstDeadline = 15 * time.Second
)

func readTrace(path string) ([]arrival, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = bufio.NewReader(f)
	if head, _ := in.(*bufio.Reader).Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, err
		}
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, err
	}
	var all []arrival
	for _, row := range rows[1:] {
		at, err := time.Parse("2006-01-02 15:04:05.9999999", row[0])
		n, err2 := strconv.Atoi(row[2])
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		all = append(all, arrival{at, n})
	}
	if len(all) < burstCalls {
		return nil, fmt.Errorf("%s has %d calls only", path, len(all))
	}
	return all, nil
}

func (a arrival) service() time.Duration {
	return 300*time.Millisecond + time.Duration(a.generated)*2*time.Millisecond
}

// bursts is the load, with bands drawn from the seed: one call in ten is critical, and
// the others are normal or, where all bands are asked for, of the three below.
func bursts(all []arrival, seed uint64, allBands bool) []request {
	first := 0
	for i := range len(all) - burstCalls + 1 {
		if all[i+burstCalls-1].at.Sub(all[i].at) < all[first+burstCalls-1].at.Sub(all[first].at) {
			first = i
		}
	}
	part := all[first : first+burstCalls]
	peak := 0.0 // slots that the busiest window keeps busy at the recorded speed
	for i := range part {
		var work time.Duration
		for j := i; j < len(part) && part[j].at.Sub(part[i].at) < burstWindow; j++ {
			work += part[j].service()
		}
		peak = max(peak, float64(work)/float64(burstWindow))
	}
	speed := burstOver * slots / peak
	rng := rand.New(rand.NewPCG(seed, 2))
	var load []request
	for _, a := range part {
		r := request{
			at: time.Duration(float64(a.at.Sub(part[0].at)) / speed), service: a.service(), tenant: 1 + rng.IntN(10), deadline: burstDeadline,
		}
		switch p := rng.Float64(); {
		case p < 0.1:
			r.band = "critical"
		case !allBands:
			r.band = "normal"
		case p < 0.3:
			r.band = "high"
		case p < 0.8:
			r.band = "normal"
		default:
			r.band = "low"
		}
		r.class = r.band
		load = append(load, r)
	}
	return load
}

// times is a heap of when slots get free.
type times []time.Duration

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *times) Push(x any)        { *t = append(*t, x.(time.Duration)) }
func (t *times) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}

// firstCome is how many calls one queue with the slots, first come first served,
// answers in time.
func firstCome(load []request) int {
	free := make(times, slots)
	inTime := 0
	for _, r := range load {
		end := max(r.at, heap.Pop(&free).(time.Duration)) + r.service
		heap.Push(&free, end)
		if end-r.at <= r.deadline {
			inTime++
		}
	}
	return inTime
}

// replayBursts sends the bursts and compares with one queue.
func (b *bench) replayBursts(ctx context.Context, load []request) ([]table.Verdict, error) {
	all, used, err := b.run(ctx, load)
	if err != nil {
		return nil, err
	}
	s, c, others := tally(all, ""), tally(all, "critical"), tally(all, "normal")
	one, perCall := firstCome(load), float64(used.Calls)/float64(len(load))
	return []table.Verdict{
		{
			What: "bursts of real arrivals, answered in time", Seen: fmt.Sprintf("%d of %d (one queue, first come: %d)", s.InTime, s.Sent, one),
			Wanted: "as many as one queue", OK: s.InTime >= one,
		},
		{
			What: "the same, critical calls", Seen: fmt.Sprintf("%.1f %% in time, p99 %v (normal: %v)", 100*c.share(), ms(c.InTime99), ms(others.InTime99)),
			Wanted: "all, and sooner than others", OK: c.share() == 1 && c.InTime99 < others.InTime99,
		},
		{
			What: "the same, calls to the provider a request", Seen: fmt.Sprintf("%.3f", perCall), Wanted: "<= 1.02", OK: perCall <= 1.02,
		},
	}, nil
}
