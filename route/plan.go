package route

import (
	"math"
	"time"
)

// class is how fit a target is; lower ones are tried first.
type class uint8

const (
	fit  class = iota
	full       // well, and takes no call at once
	heldBack
	regionDown
	waiting
	waitingDown // waits, and its region is down
	refusing
	unable // would refuse the request for good
)

// candidate is a target that may serve a request.
type candidate struct {
	key    uint64        // class, and behind it the wait of those that wait or refuse; lower is better
	score  float64       // the strategy's, between equal keys; lower is better
	first  time.Duration // State.FirstToken, for Fastest
	target int32
}

// keyBits are the bits of candidate.key below the class. A wait of 2^60 ns is 36 years.
const keyBits = 60

func (c *candidate) class() class { return class(c.key >> keyBits) }

// open says that a call made only to look would be served now. A full target is busy
// with calls that tell as much.
func (c *candidate) open() bool { return c.class() == fit }

func (c *candidate) before(o *candidate) bool {
	return c.key < o.key || c.key == o.key && c.score < o.score
}

// Exploration: the parts of the requests that Fastest gives to targets for the sake
// of knowing them. Targets that are not known share one in 16 until they have answered
// once. One in 128 goes to any of them: below a hundredth, so that a slow target does
// not make the 99th percentile its own.
const (
	lookUnknown = 16
	lookAny     = 128
)

// spread is by how much chance may raise the time of a target in Fastest. A mean of
// some ten recent first tokens is not known better than to a tenth or so, and what is
// as good as equal has to share the requests: everybody running to the one that
// happens to be ahead makes it the slowest.
const spread = 0.25

// fewTargets is the length up to which a plan needs only a small array, which is
// faster to clear.
const fewTargets = 8

// Plan appends to dst the indexes of the targets to try, best first, and returns it.
// The package comment has the rules. state is asked once for each target that may
// serve the request. The plan is empty where none may.
//
// It allocates nothing if dst has room for all targets, and takes no lock.
func (r *Router) Plan(dst []int, n Need, state func(i int) State) []int {
	if len(r.targets) <= fewTargets {
		var buf [fewTargets]candidate
		return r.plan(dst, buf[:0], &n, state)
	}
	var buf [MaxTargets]candidate
	return r.plan(dst, buf[:0], &n, state)
}

func (r *Router) plan(dst []int, all []candidate, n *Need, state func(i int) State) []int {
	for _, i := range r.order {
		if t := &r.targets[i]; !Allowed(n.Residency, t.Residency) || !t.holds(n) {
			continue
		}
		st := state(i)
		c := candidate{target: int32(i)}
		if !st.usual() {
			c.key = rank(&st, n.Draw, i)
		}
		switch r.strategy {
		case Weighted:
			c.score = race(n.Draw, i) * r.inverse[i]
		case Fastest:
			c.first = st.FirstToken
			c.score = slowdown(st.Busy) * (1 + spread*unit(n.Draw, saltSpread, i))
		}
		all = append(all, c)
	}
	if r.strategy == Fastest {
		bySpeed(all)
		explore(all, n.Draw)
	}
	sortCandidates(all)
	for k := range all {
		if c := all[k].class(); c >= refusing && c != all[0].class() {
			break
		}
		dst = append(dst, int(all[k].target))
	}
	return dst
}

// usual says that nothing is to be said against the target: by far the most common
// state, so the fast way past rank.
func (st *State) usual() bool {
	return !st.Unable && !st.Refuses && !st.RegionDown && st.Wait <= 0 && (st.Share == 1 || st.Share == 0) && !(st.Busy >= 1)
}

// rank is the key of target i in state st.
func rank(st *State, draw uint64, i int) uint64 {
	c := classify(st, draw, i)
	key := uint64(c) << keyBits
	if c >= waiting {
		key |= uint64(min(max(st.Wait, 0), 1<<keyBits-1))
	}
	return key
}

// classify says how fit a target in state st is. Waiting comes after a region that is
// down: there a call has a chance, at a target that asked for patience it has none.
func classify(st *State, draw uint64, i int) class {
	down := st.RegionDown && !st.Probe
	switch {
	case st.Unable:
		return unable
	case st.Refuses:
		return refusing
	case st.Wait > 0 && down:
		return waitingDown
	case st.Wait > 0:
		return waiting
	case down:
		return regionDown
	case st.Share > 0 && st.Share < 1 && unit(draw, saltShare, i) >= st.Share:
		return heldBack
	case st.Busy >= 1:
		return full
	}
	return fit
}

// race gives target i's time in a race in which a target of weight w runs for this
// time over w: the first of any set of runners is one of them with its part of the
// weights (exponential clocks; Efraimidis and Spirakis, "Weighted random sampling with a
// reservoir"). So shares hold among whichever targets are left, and the fallbacks
// follow by their weights too.
func race(draw uint64, i int) float64 {
	return -math.Log(1 - unit(draw, saltWeight, i))
}

// bySpeed turns the scores, which are factors so far, into expected times. One that is
// not known counts as slower than the slowest that is: the looks are there to know it.
func bySpeed(all []candidate) {
	var slowest time.Duration
	for _, c := range all {
		slowest = max(slowest, c.first)
	}
	slowest = min(max(slowest, 1), math.MaxInt64/2) // 1: none is known, and the factors alone decide
	for k := range all {
		first := all[k].first
		if first <= 0 {
			first = 2 * slowest
		}
		all[k].score *= float64(first)
	}
}

// explore puts one of the fit candidates in front, for a small part of the draws.
func explore(all []candidate, draw uint64) {
	bits := mix(draw + saltExplore)
	if bits%lookUnknown == 0 && look(all, bits/lookUnknown, true) {
		return
	}
	if bits%lookAny == 1 { // never one of the draws above
		look(all, bits/lookAny, false)
	}
}

// look puts one of the open candidates, or of those of them that are not known, in
// front, each with the same chance. It says whether there was one.
func look(all []candidate, bits uint64, unknown bool) bool {
	var may [MaxTargets]uint8
	n := 0
	for k := range all {
		if all[k].open() && (!unknown || all[k].first <= 0) {
			may[n] = uint8(k)
			n++
		}
	}
	if n == 0 {
		return false
	}
	all[may[bits%uint64(n)]].score = -1
	return true
}

// sortCandidates sorts by key and score; equals stay as they are. By insertion: plans
// are short, mostly in order already, and it allocates nothing.
func sortCandidates(all []candidate) {
	for k := 1; k < len(all); k++ {
		if !all[k].before(&all[k-1]) {
			continue
		}
		c, at := all[k], k
		for ; at > 0 && c.before(&all[at-1]); at-- {
			all[at] = all[at-1]
		}
		all[at] = c
	}
}

// What a draw is used for. Each use has bits of its own, so that one decision says
// nothing about another.
const (
	saltShare   = 0x9e3779b97f4a7c15
	saltWeight  = 0xd1b54a32d192ed03
	saltSpread  = 0x8cb92ba72f3d8dd7
	saltExplore = 0xaef17502108ef2d9
)

// unit is the number from 0 to below 1 that a draw gives target i for one use.
func unit(draw, salt uint64, i int) float64 {
	return float64(mix(draw+salt*uint64(i+1))>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the
// input changes every bit of the result with a chance of about a half.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
