package jobtable_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// TestMoto takes jobs through their lives on the other emulator, which tells the item of a failed condition and has a
// switch for removing what has expired. It is too slow for the suites.
func TestMoto(t *testing.T) {
	c := dynamodb.NewFromConfig(awstest.Config(awstest.Moto(t)))
	table := newTable(t, c)
	b, _ := openAt(t, c, config(table))
	var ids backlog.IDs
	now := time.Now().UTC().Truncate(time.Microsecond)
	j := small(now, &ids, 3000)
	j.Idempotency = [32]byte{3}
	payload, result := bytes.Repeat([]byte("p"), 3000), bytes.Repeat([]byte("r"), 900<<10)
	live(t, b, &j, life{renewals: 1, payload: payload, result: result})
	if _, got, err := b.Read(t.Context(), j.ID, backlog.Result); err != nil || !bytes.Equal(got, result) {
		t.Errorf("the result has %d bytes, %v; want %d", len(got), err, len(result))
	}
	again := small(now, &ids, 10)
	again.Idempotency = j.Idempotency
	if found, err := b.Insert(t.Context(), &again, payload, time.Time{}); !errors.Is(err, backlog.ErrExists) || found != j {
		t.Errorf("Insert under the same key: %v, %v", found.ID, err)
	}
	for _, c := range []struct {
		change backlog.Change
		want   error
	}{
		{backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status}, backlog.ErrConflict},
		{backlog.Change{ID: j.ID + 1, From: backlog.Queued, To: j.Status}, backlog.ErrNotFound},
	} {
		if err := b.Apply(t.Context(), &c.change); !errors.Is(err, c.want) {
			t.Errorf("Apply: %v; want %v", err, c.want)
		}
	}
	waiting := small(now, &ids, 10)
	_, err := b.Insert(t.Context(), &waiting, payload[:10], time.Time{})
	must(t, err)
	page, err := b.List(t.Context(), backlog.Query{States: []backlog.State{backlog.Queued}})
	if must(t, err); len(page) != 1 || page[0] != waiting {
		t.Errorf("%d queued jobs; want the one that waits", len(page))
	}
	sights, err := b.Sight(t.Context(), 10, true)
	if must(t, err); len(sights.Jobs) != 1 || !sights.Whole || sights.Jobs[0].ID != waiting.ID {
		t.Errorf("a look sees %+v", sights)
	}
	// An ID twice, as of a job that moved while it was looked at.
	both, err := b.Jobs(t.Context(), waiting.ID, j.ID, waiting.ID)
	if must(t, err); len(both) != 2 {
		t.Errorf("Jobs returns %d jobs; want 2", len(both))
	}
	if n, err := b.Remove(t.Context(), j.ID, waiting.ID); n != 1 || err != nil {
		t.Errorf("Remove = %d, %v; want the one that has ended", n, err)
	}
	_, err = b.Insert(t.Context(), &again, payload, time.Time{})
	must(t, err)

	// With the table's own expiry on, Purge leaves everything to it.
	attribute := jobtable.AttrTTL
	on := true
	_, err = c.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: &table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &on},
	})
	must(t, err)
	b, conn := openAt(t, c, config(table))
	if p, more, err := b.Purge(t.Context(), now.Add(1000*time.Hour), 10); err != nil || more || p != (backlog.Purged{}) {
		t.Errorf("Purge = %+v, %v, %v", p, more, err)
	}
	if u := conn.Stats()["queue.purge"]; u.Calls > 0 {
		t.Errorf("Purge made %d calls", u.Calls)
	}
}
