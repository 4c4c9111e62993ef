package monitor

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/llm"
)

// The label values that stand for something else than themselves.
const (
	labelOther   = "other"   // a value outside its closed set
	labelNone    = "none"    // no value
	labelDefault = "default" // no operation: the default one's configuration applies
)

// closedSet turns the values of one label into small numbers, so that a
// combination of labels is a few bytes to compare instead of a few strings.
// It never changes after it was made.
type closedSet struct {
	numbers map[string]uint32
	names   []string // by number; names[0] is labelOther
}

const otherNumber = 0

// newClosedSet makes a set of values in which the empty value is called absent.
func newClosedSet(absent string, values []string) closedSet {
	s := closedSet{numbers: make(map[string]uint32, len(values)+2), names: []string{labelOther}}
	s.numbers[labelOther] = otherNumber
	s.add(absent)
	s.numbers[""] = s.numbers[absent]
	for _, v := range values {
		s.add(v)
	}
	return s
}

func (s *closedSet) add(value string) {
	if _, known := s.numbers[value]; !known {
		s.numbers[value] = uint32(len(s.names))
		s.names = append(s.names, value)
	}
}

// number gives the number of value, that of "other" where it is unknown.
func (s *closedSet) number(value string) uint32 { return s.numbers[value] }

func (s *closedSet) name(number uint32) string { return s.names[number] }

// label gives the value itself if it is in the set, and else "other".
func (s *closedSet) label(value string) string { return s.names[s.numbers[value]] }

// vocabulary is every label's closed set.
type vocabulary struct {
	operation, model, provider, target          closedSet
	outcome, errorType, cache, fallback, reason closedSet
	function, budget                            closedSet
}

func newVocabulary(cfg Config) vocabulary {
	kinds := make([]string, 0, 40)
	for _, k := range llm.Kinds() {
		kinds = append(kinds, string(k))
	}
	slices.Sort(kinds)
	return vocabulary{
		operation: newClosedSet(labelDefault, cfg.Operations),
		model:     newClosedSet(labelNone, cfg.Models),
		provider:  newClosedSet(labelNone, cfg.Providers),
		target:    newClosedSet(labelNone, cfg.Targets),
		outcome:   newClosedSet(labelNone, []string{string(OK), string(Degraded), string(Refused), string(Error), string(Cancelled)}),
		errorType: newClosedSet(labelNone, kinds),
		cache:     newClosedSet(labelNone, []string{cacheHit, cacheStaleHit, cacheMiss, cacheStale, "collapsed", "bypass", "off"}),
		fallback:  newClosedSet(labelNone, []string{"cached", "similar", "template", "simplified", "error"}),
		reason:    newClosedSet(labelNone, cfg.RefusalReasons),
		function:  newClosedSet(labelNone, cfg.Functions),
		budget:    newClosedSet(labelNone, cfg.Budgets),
	}
}

// The cache's answers that Summary counts.
const (
	cacheHit      = "hit"
	cacheStaleHit = "stale_hit"
	cacheMiss     = "miss"
	cacheStale    = "stale"
)

// The directions of tokens, in the order of series.tokens.
const (
	tokensInput = iota
	tokensOutput
	tokensCacheRead
	tokensCacheWrite
	directionCount
)

var directionNames = [directionCount]string{"input", "output", "cache_read", "cache_write"}

// maxLabelBytes bounds one value of a label. Longer names are a mistake in
// configuration, and every scrape would carry them in every series.
const maxLabelBytes = 256

// checkValues refuses what Prometheus could not carry as the value of a label.
func checkValues(field string, values []string) []error {
	var faults []error
	for _, v := range values {
		switch {
		case !utf8.ValidString(v):
			faults = append(faults, fmt.Errorf("%s: %q is not valid UTF-8", field, v))
		case len(v) > maxLabelBytes:
			faults = append(faults, fmt.Errorf("%s: a name of %d bytes: at most %d", field, len(v), maxLabelBytes))
		}
	}
	return faults
}

// checkNamespace takes what may stand before the underscore of a metric's name.
func checkNamespace(name string) error {
	if !isName(name) {
		return fmt.Errorf("namespace: %q has to be of lower-case letters, digits and underscores, a letter first", name)
	}
	return nil
}
