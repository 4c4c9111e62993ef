package cost

import "github.com/forebay-ai/forebay/llm"

// bytesPerToken is the common rule of thumb for English: OpenAI's help centre
// gives "1 token ~= 4 chars in English" ("What are tokens and how to count them?").
// Other languages and code give more tokens to the byte, so an estimate is marked
// as one wherever it is booked.
const bytesPerToken = 4

// Estimate guesses what a call used from the bytes of its prompt and of its
// answer's text, four to the token and rounded up. It is for answers whose
// provider reported no usage, such as a stream that was cut. Negative sizes count
// as zero.
func Estimate(promptBytes, outputBytes int) llm.Usage {
	return llm.Usage{Input: tokens(promptBytes), Output: tokens(outputBytes)}
}

func tokens(bytes int) int64 {
	if bytes <= 0 {
		return 0
	}
	return (int64(bytes)-1)/bytesPerToken + 1
}

// EstimateCall guesses what a call will cost before it is made, in micro-dollars, for a
// reservation that is settled afterwards: the prompt from its bytes, at the dearer of the
// prices of fresh and of cache-written tokens, because which it will be is not known, and
// an answer as long as it may become. maxOutput is in tokens; calls that set no bound on
// it need one here. Negative sizes count as zero.
func EstimateCall(p Price, promptBytes, maxOutput int) int64 {
	p.Input = max(p.Input, p.CacheWrite)
	return p.MicroUSD(llm.Usage{Input: tokens(promptBytes), Output: int64(maxOutput)})
}
