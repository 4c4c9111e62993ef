package dynamo_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// errLost is what a request fails with whose answer is lost.
var errLost = errors.New("the connection broke")

// weather is what happens to calls of DynamoDB. Its shares may be changed at any time.
type weather struct {
	http.RoundTripper

	mu                            sync.Mutex // guards what follows
	random                        *rand.Rand
	throttled, lost, cut          float64 // shares: refused for want of capacity; done, but not answered; neither
	down                          bool
	stall                         chan struct{} // where not nil, calls wait until it is closed, or until they are given up
	sawThrottled, sawLost, sawCut int
}

func (w *weather) set(throttled, lost, cut float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.throttled, w.lost, w.cut = throttled, lost, cut
}

func (w *weather) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func (w *weather) setStall(stall chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stall = stall
}

// fate says what happens to one call.
func (w *weather) fate() (throttled, lost, cut bool, stall chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	throttled, lost = w.random.Float64() < w.throttled, w.random.Float64() < w.lost
	cut = w.down || w.random.Float64() < w.cut
	if throttled {
		w.sawThrottled++
	} else if cut {
		w.sawCut++
	} else if lost {
		w.sawLost++
	}
	return throttled, lost, cut, w.stall
}

// RoundTrip makes a call, or not.
func (w *weather) RoundTrip(r *http.Request) (*http.Response, error) {
	throttled, lost, cut, stall := w.fate()
	if stall != nil {
		select {
		case <-stall:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	switch {
	case throttled:
		const body = `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down","throttlingReasons":[{"reason":"TableWriteKeyRangeThroughputExceeded","resource":"arn:aws:dynamodb:eu-central-1:1:table/t"}]}`
		return &http.Response{
			StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	case cut:
		return nil, errLost
	}
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil && lost {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errLost
	}
	return resp, err
}

// stormy makes tables that are reached through a weather, which is fair at first.
func stormy(t testing.TB) (dynamo.Config, *weather) {
	t.Helper()
	cfg := newTables(t)
	w := &weather{random: rand.New(rand.NewPCG(1, 2))}
	cfg.Client = client(awstest.Dynalite(t), func(plain http.RoundTripper) http.RoundTripper {
		w.RoundTripper = plain
		return w
	})
	cfg.Patience = 10 * time.Second
	return cfg, w
}

// again does something until it does not fail.
func again(t testing.TB, what string, do func(context.Context) error) {
	t.Helper()
	var err error
	for range 200 {
		if err = do(t.Context()); err == nil {
			return
		}
	}
	t.Fatalf("%s fails for ever: %v", what, err)
}
