package jobs

import (
	"fmt"

	"github.com/forebay-ai/forebay/backlog"
)

// Dump shows what a queue is doing, for tests that fail.
func Dump(q *Queue) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return fmt.Sprintf("working %v failed %v draining %v inflight %d idle %v runs %d alarm %v urgent %d todo %d appliers %d doubts %d misses %d",
		q.working, q.failed, q.draining, q.inflight, q.idle != nil, len(q.runs), q.alarm, len(q.urgent), len(q.todo), q.appliers, len(q.doubts), q.misses)
}

// Topics counts the jobs whose progress is kept in memory.
func Topics(q *Queue) int {
	q.hub.mu.Lock()
	defer q.hub.mu.Unlock()
	return len(q.hub.topics)
}

// Publish tells readers of a state, at any time.
func Publish(q *Queue, j *backlog.Job) { q.hub.publish(j) }
