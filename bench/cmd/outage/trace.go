package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"
)

// arrival is a call of the trace.
type arrival struct {
	at        time.Time
	generated int // tokens
}

// service is how long the upstream takes for it: 300 ms to the first token and 2 ms for
// each, which is a fast model of today.
func (a arrival) service() time.Duration {
	return 300*time.Millisecond + time.Duration(a.generated)*2*time.Millisecond
}

// readTrace reads the Azure LLM inference trace, plain or compressed.
func readTrace(path string) ([]arrival, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain := bufio.NewReader(f)
	var in io.Reader = plain
	if head, _ := plain.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		if in, err = gzip.NewReader(plain); err != nil {
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
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, arrival{at, n})
	}
	return all, nil
}

// realLoad is the first calls of the trace, as many as ask for the given share of the
// slots over length, at times that are stretched to it. Their bursts stay as they are. Half of
// the calls are streams; some callers leave early.
func realLoad(all []arrival, length time.Duration, share, leave float64, seed uint64) ([]request, error) {
	rng := rand.New(rand.NewPCG(seed, 3))
	var part []arrival
	for work, want := time.Duration(0), time.Duration(share*slots*float64(length)); work < want; {
		if len(part) == len(all) {
			return nil, fmt.Errorf("the trace holds %v of work only, %v are needed", work, want)
		}
		work += all[len(part)].service()
		part = all[:len(part)+1]
	}
	speed := float64(part[len(part)-1].at.Sub(part[0].at)) / float64(length)
	var load []request
	for _, a := range part {
		r := request{
			at: time.Duration(float64(a.at.Sub(part[0].at)) / speed), service: a.service(), deadline: realDeadline, stream: rng.IntN(2) == 0,
		}
		if rng.Float64() < leave {
			r.leaves = time.Duration((0.1 + 0.8*rng.Float64()) * float64(r.service))
		}
		load = append(load, r)
	}
	return load, nil
}

// poisson makes calls at random times at so many times the capacity of one target, of
// 50 to 150 ms each.
func poisson(length time.Duration, share float64, seed uint64) []request {
	const mean = 100 * time.Millisecond
	rng := rand.New(rand.NewPCG(seed, 4))
	var load []request
	for at := time.Duration(0); ; {
		at += time.Duration(rng.ExpFloat64() * float64(mean) / (share * slots))
		if at >= length {
			return load
		}
		load = append(load, request{at: at, service: mean/2 + time.Duration(rng.Int64N(int64(mean))), deadline: steadyDeadline, stream: rng.IntN(2) == 0})
	}
}

// quantile is that of d, which it sorts; zero for none.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(float64(len(d))*q), len(d)-1)]
}
