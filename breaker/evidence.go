package breaker

// How sure the rate rules are, in standard deviations.
//
// A quotient alone lies at low volume: of targets that fail one call in a hundred,
// every 500th or so shows 3 failures among its first 20 calls, more than 10 %, and
// at one call every 15 s each window is such a first 20. So the count of failures
// has to exceed what the allowed rate would give, by this many standard deviations
// of the binomial distribution.
//
// Three, over the window: 7 failures of 20 calls, 20 of 100, 129 of 1,000 at an
// allowed rate of 0.1. A target that fails 1 % of its calls reaches 7 of 20 with a
// probability of 8e-10.
//
// Five, over the last 64 calls, because that look back is taken at every call: 19
// of 64 at an allowed rate of 0.1. It needs about 40 calls to see that every
// second one fails.
const (
	sigmasOfWindow = 3
	sigmasOfRecent = 5
)

// exceeds says that hits out of n calls are more than a true rate of at most rate
// explains, by so many standard deviations.
func exceeds(hits, n int64, rate, sigmas float64) bool {
	over := float64(hits) - rate*float64(n)
	return over > 0 && over*over > sigmas*sigmas*rate*(1-rate)*float64(n)
}
