//go:build !mutant_drop_after_accept

package backlog

const mutantDropAfterAccept = false // true drops a stored job when the queue is full
