package similar

import (
	"slices"
	"time"
)

// mostChecks bounds how many candidates of one search are read as Agree reads them,
// which costs some microseconds for each.
const mostChecks = 16

// candidate is a text that scored the threshold or more.
type candidate struct {
	*entry
	score float64
}

// Find returns the text of group that is most like text: that scores threshold or
// more, that Agree accepts, and that expires after now. A threshold of 0 or below
// means DefaultThreshold. Of texts that score the same, the one that was added last
// counts. A match is a proposal: the caller looks up its key, and where there is no
// answer any more, removes it and may search again.
func (x *Index) Find(group Group, text string, threshold float64, now time.Time) (Match, bool) {
	if len(text) > x.config.MaxTextBytes || !x.has(group) {
		return Match{}, false
	}
	if threshold <= 0 {
		threshold = DefaultThreshold
	}
	asked := read(text)
	entries := x.live(group, asked.essence(x.seed), now)
	if len(entries) == 0 {
		return Match{}, false
	}
	wanted := x.config.Measure.Prepare(text)
	if wanted == nil {
		return Match{}, false
	}
	for _, c := range x.best(entries, wanted, threshold) {
		other := read(c.text)
		if d := asked.differs(&other); d == None || d == Words && x.config.WordsMayDiffer {
			return Match{Key: c.key, Score: c.score}, true
		}
	}
	return Match{}, false
}

func (x *Index) has(group Group) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.groups[group] != nil
}

// live returns the texts of group that are not expired and may agree with one of this
// essence. Mostly there are none, and the search ends here.
func (x *Index) live(group Group, essence uint64, now time.Time) []*entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	g := x.groups[group]
	if g == nil {
		return nil
	}
	var entries []*entry
	for _, e := range g.entries {
		if (e.essence == essence || x.config.WordsMayDiffer) && (e.expires.IsZero() || now.Before(e.expires)) {
			entries = append(entries, e)
		}
	}
	return entries
}

// best returns the entries with the highest scores, the highest first.
func (x *Index) best(entries []*entry, wanted Prepared, threshold float64) []candidate {
	var best []candidate
	for _, e := range entries {
		floor := threshold
		if len(best) == mostChecks {
			floor = max(floor, best[mostChecks-1].score)
		}
		// Not "<": a score that is no number is no match.
		if score := x.config.Measure.Score(wanted, e.prepared, floor); score >= floor {
			best = insert(best, candidate{e, score})
		}
	}
	return best
}

// insert puts c where it belongs among the best, which stay mostChecks at most.
func insert(best []candidate, c candidate) []candidate {
	at, _ := slices.BinarySearchFunc(best, c, func(have, c candidate) int {
		if have.score > c.score || have.score == c.score && have.number > c.number {
			return -1
		}
		return 1
	})
	if at == mostChecks {
		return best
	}
	if len(best) == mostChecks {
		best = best[:mostChecks-1]
	}
	return slices.Insert(best, at, c)
}
