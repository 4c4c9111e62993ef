package replay

import (
	"math/rand/v2"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

const (
	// bytesPerToken is the usual rule of thumb for English text.
	bytesPerToken = 4
	// blockTokens is the size of the blocks that hash_ids name (the Mooncake
	// trace's description: one id a 512 tokens).
	blockTokens = 512
)

// plan decides what each call of a run says. It holds no state: call i is the
// same whenever it is asked for, so that nothing has to be kept of calls made.
type plan struct {
	cfg      *Config
	arrivals []Arrival
	model    []byte     // quoted for JSON
	upTo     [4]float64 // by band: the upper end of its share, cumulated to 1
}

// call is one request of a run.
type call struct {
	origin   int // whose prompt it says: its own index, or that of an earlier call
	arrival  Arrival
	stream   bool
	priority llm.Priority
	user     string
}

func newPlan(cfg *Config, arrivals []Arrival) *plan {
	p := &plan{cfg: cfg, arrivals: arrivals}
	p.model, _ = jsontext.AppendQuote(nil, cfg.Model) // validate refused a model that is not UTF-8
	sum, total := 0.0, 0.0
	for _, w := range cfg.Priorities {
		total += w
	}
	last := 0
	for i, band := range llm.Priorities {
		if share := cfg.Priorities[band]; share > 0 {
			sum += share
			last = i
		}
		p.upTo[i] = sum / total
	}
	p.upTo[last] = 1 // rounding can leave it a hair below, and what is above has no share
	return p
}

// What draw decides. Each purpose has its own sequence: another share of streams
// leaves priorities and repeats as they were.
const (
	drawRepeat = iota + 1
	drawEarlier
	drawStream
	drawPriority
	drawUser
)

// draw gives a number in [0,1) that depends on seed, call and purpose only.
func (p *plan) draw(i int, purpose uint64) float64 {
	x := mix(p.cfg.Seed ^ mix(uint64(i)<<3|purpose))
	return float64(x>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64: every bit of x moves every bit of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// call gives call i. A repeat takes prompt, sizes and user of an earlier call,
// because answers are shared within a user at most; it keeps its own time,
// priority and form.
func (p *plan) call(i int) call {
	origin := i
	for origin > 0 && p.draw(origin, drawRepeat) < p.cfg.Repeat {
		origin = int(p.draw(origin, drawEarlier) * float64(origin))
	}
	c := call{
		origin:   origin,
		arrival:  p.arrivals[origin],
		stream:   p.draw(i, drawStream) < p.cfg.Stream,
		priority: p.band(p.draw(i, drawPriority)),
	}
	if p.cfg.Users > 0 {
		c.user = "user-" + strconv.Itoa(int(p.draw(origin, drawUser)*float64(p.cfg.Users)))
	}
	return c
}

func (p *plan) band(x float64) llm.Priority {
	for i, end := range p.upTo {
		if x < end {
			return llm.Priorities[i]
		}
	}
	return llm.Critical // not reached: x is below 1
}

// appendBody appends the call's chat completion request. Sizes of zero are
// raised to one token: an empty prompt asks for nothing.
func (p *plan) appendBody(dst []byte, c call) []byte {
	dst = append(dst, `{"model":`...)
	dst = append(dst, p.model...)
	dst = append(dst, `,"messages":[{"role":"user","content":"`...)
	dst = p.appendPrompt(dst, c)
	dst = append(dst, `"}],"max_tokens":`...)
	dst = strconv.AppendInt(dst, int64(max(1, c.arrival.OutputTokens)), 10)
	if c.stream {
		// Without include_usage a stream would not say how many tokens it used.
		dst = append(dst, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	return append(dst, '}')
}

// appendPrompt appends plain words, 4 bytes a token: the blocks that the trace
// names, and for what they do not cover words that no other origin has.
func (p *plan) appendPrompt(dst []byte, c call) []byte {
	left := max(1, c.arrival.PromptTokens)
	for _, block := range c.arrival.Blocks {
		n := min(left, blockTokens)
		dst = appendWords(dst, rand.NewPCG(p.cfg.Seed, uint64(block)), n)
		left -= n
	}
	if left > 0 {
		n := min(left, 2)
		dst = p.appendNumber(dst, c.origin, n)
		dst = appendWords(dst, rand.NewPCG(^p.cfg.Seed, uint64(c.origin)), left-n)
	}
	dst[len(dst)-1] = '.'
	return dst
}

// appendNumber writes the origin as n words of three letters, so that even
// prompts of two tokens differ (26^6 of them). The seed shifts the numbers: a run
// with another seed meets an unprepared cache.
func (p *plan) appendNumber(dst []byte, origin, n int) []byte {
	x := uint64(origin) + p.cfg.Seed
	for range n {
		for range bytesPerToken - 1 {
			dst = append(dst, 'a'+byte(x%26))
			x /= 26
		}
		dst = append(dst, ' ')
	}
	return dst
}

// words holds 64 words of three letters: 6 bits pick one, and with the space
// behind it a word is a token's 4 bytes.
const words = "actaddageagoaidaimairallandantanyaptarcarkarmartaskatebadbagbanbar" +
	"batbaybedbegbetbidbigbitboxboybudbusbuybyecabcancapcarcatcowcrycup" +
	"cutdamdaydewdiedigdimdogdotdrydueeareateggendeye" +
	"fanfarfatfew"

func appendWords(dst []byte, src rand.Source, n int) []byte {
	var bits uint64
	for i := range n {
		if i%10 == 0 {
			bits = src.Uint64()
		}
		at := bits & 63 * 3
		dst = append(append(dst, words[at:at+3]...), ' ')
		bits >>= 6
	}
	return dst
}
