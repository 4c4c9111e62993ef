package jobtable_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// TestBusyChange has changes of a job refused for want of capacity. The error says for certain that nothing was changed, and
// the parts of a result, which were written before, are written once, however often the end is tried.
func TestBusyChange(t *testing.T) {
	var refused atomic.Bool
	c := client(t, func(next http.RoundTripper) http.RoundTripper {
		return transport(func(r *http.Request) (*http.Response, error) {
			if !refused.Load() || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") {
				return next.RoundTrip(r)
			}
			return &http.Response{
				StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				Body: io.NopCloser(strings.NewReader(refusal)), Request: r,
			}, nil
		})
	})
	conn := calls.New(c, 50*time.Millisecond)
	b, err := jobtable.Open(t.Context(), config(newTable(t, c)), conn)
	must(t, err)
	var ids backlog.IDs
	j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 10)
	_, err = b.Insert(t.Context(), &j, []byte("0123456789"), time.Time{})
	must(t, err)
	claim := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status}
	claim.To.State, claim.To.Attempt, claim.To.Worker = backlog.Processing, 1, "w"
	refused.Store(true)
	if err := b.Apply(t.Context(), &claim); !errors.Is(err, backlog.ErrBusy) {
		t.Errorf("a claim: %v; want ErrBusy", err)
	}
	refused.Store(false)
	must(t, b.Apply(t.Context(), &claim))

	end := backlog.Change{ID: j.ID, From: backlog.Processing, Attempt: 1, To: claim.To, Result: bytes.Repeat([]byte("r"), 3000)}
	end.To.State = backlog.Completed
	refused.Store(true)
	for range 3 {
		if err := b.Apply(t.Context(), &end); !errors.Is(err, backlog.ErrBusy) {
			t.Errorf("an end: %v; want ErrBusy", err)
		}
	}
	if got, err := b.Get(t.Context(), j.ID); err != nil || got.State != backlog.Processing {
		t.Errorf("after changes that were refused the job is %v, %v", got.State, err)
	}
	refused.Store(false)
	must(t, b.Apply(t.Context(), &end))
	if _, result, err := b.Read(t.Context(), j.ID, backlog.Result); err != nil || !bytes.Equal(result, end.Result) {
		t.Errorf("the result has %d bytes, %v", len(result), err)
	}
	if u := conn.Stats()["queue.parts"]; u.Writes != 3 { // 3,000 bytes and their names
		t.Errorf("the result's parts cost %v write units; want the 3 of one write", u.Writes)
	}
	if err := b.Apply(t.Context(), &end); !errors.Is(err, backlog.ErrConflict) {
		t.Errorf("the end again: %v; want ErrConflict", err)
	}
	if _, result, err := b.Read(t.Context(), j.ID, backlog.Result); err != nil || !bytes.Equal(result, end.Result) {
		t.Errorf("after another try the result has %d bytes, %v", len(result), err)
	}
}
