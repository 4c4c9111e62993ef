package lambdaapp

import "strconv"

const (
	// roomyPercent lets the heap grow to five times of what is in use before it is collected,
	// and to 16 MB at the least: the start and the first calls need no collection, and later
	// ones fewer. The limit is what keeps it within the function's memory.
	roomyPercent = 400
	// mostShare of the function's memory, as a percentage, is the runtime's limit: the
	// rest is for the binary's own pages and what the kernel keeps for connections.
	mostShare = 75
	// leastMemory is the least that Lambda gives a function, in MB.
	leastMemory = 128
)

// Memory is how the garbage collector is to be set for a function: its percentage (GOGC),
// and the limit in bytes that makes it work more before the function's memory is used
// up, -1 where the limit stays as it is. Where GOGC or GOMEMLIMIT is set, and where it is
// not known how much memory there is, percent is usual and the limit stays.
func Memory(lookup func(name string) string, usual int) (percent int, limit int64) {
	size, err := strconv.ParseInt(lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if lookup("GOGC") != "" || lookup("GOMEMLIMIT") != "" || err != nil || size < leastMemory {
		return usual, -1
	}
	return roomyPercent, size << 20 / 100 * mostShare
}
