//go:build mutant_drop_after_accept

package backlog

const mutantDropAfterAccept = true // drops a stored job when the queue is full
