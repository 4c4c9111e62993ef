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
