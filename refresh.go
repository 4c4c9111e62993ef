package forebay

import (
	"context"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// maxRefreshes bounds the answers that are renewed at once behind stale ones. Those
// beyond it are renewed when they are asked for again.
const maxRefreshes = 32

// refreshes are the entries that are being renewed.
type refreshes struct {
	mu      sync.Mutex // guards running
	running map[cache.Key]struct{}
}

// start takes a place for k, or reports that it is being renewed or that there is no place.
func (r *refreshes) start(k cache.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, running := r.running[k]; running || len(r.running) >= maxRefreshes {
		return false
	}
	if r.running == nil {
		r.running = map[cache.Key]struct{}{}
	}
	r.running[k] = struct{}{}
	return true
}

func (r *refreshes) end(k cache.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, k)
}

// refreshBehind makes the call once more for the cache alone, at the lowest priority
// and without its caller, who gets the stale answer meanwhile. Close waits for it.
func (k *call) refreshBehind(ctx context.Context) {
	c := k.client
	if !c.refreshes.start(k.key) {
		return
	}
	if c.begin() != nil {
		c.refreshes.end(k.key)
		return
	}
	req := *k.req
	req.ID += "-refresh"
	req.Background, req.Priority, req.NoFallback, req.Arrived, req.Timeout = true, llm.Low, true, time.Time{}, 0
	req.Cache = llm.CacheDirectives{NoRead: true, TTL: k.req.Cache.TTL, Namespace: k.req.Cache.Namespace}
	go func() {
		defer c.end()
		defer c.refreshes.end(k.key)
		answer, err := c.run(context.WithoutCancel(ctx), &req, k.function, nil)
		if err == nil {
			_, err = llm.Collect(answer)
		}
		if err != nil {
			c.log.Debug("a stale answer was not renewed", "request_id", req.ID, "error_type", string(llm.KindOf(err)), "error", err)
		}
	}()
}
