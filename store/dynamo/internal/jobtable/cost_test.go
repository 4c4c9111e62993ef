package jobtable_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// small is a job as jobs.Submit makes it, with names of usual length.
func small(now time.Time, ids *backlog.IDs, bytes int) backlog.Job {
	return backlog.Job{
		ID: ids.Next(now),
		Spec: backlog.Spec{
			Tenant: "matbakh", User: "user-1234567", Key: "web", Operation: "vc-analysis", Endpoint: "/v1/chat/completions",
			Model: "eu.anthropic.claude-haiku-4-5-20251001-v1:0", Enqueued: now, Timeout: 45 * time.Second, Retention: 24 * time.Hour,
			Bytes: bytes, Digest: [32]byte{1, 2, 3},
		},
		Status: backlog.Status{State: backlog.Queued, Band: llm.Normal, Deadline: now.Add(45 * time.Second)},
	}
}

// life is what a job is taken through: claim, so many renewed leases, completion.
type life struct {
	renewals        int
	payload, result []byte
	step            func(name string) // after each; nil does nothing
}

// live takes a job through its life.
func live(t *testing.T, b backlog.Store, j *backlog.Job, l life) {
	t.Helper()
	done := func(name string, err error) {
		t.Helper()
		if must(t, err); l.step != nil {
			l.step(name)
		}
	}
	_, err := b.Insert(t.Context(), j, l.payload, time.Time{})
	done("insert", err)
	now := j.Enqueued
	c := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status}
	c.To.State, c.To.Attempt, c.To.Worker = backlog.Processing, 1, "ip-10-0-31-77.eu-central-1/4711/0123456789ab"
	c.To.Started, c.To.LeaseUntil = now.Add(time.Second), now.Add(16*time.Second)
	done("claim", b.Apply(t.Context(), &c))
	for range l.renewals {
		c.From, c.Attempt, c.LeaseUntil = backlog.Processing, 1, c.To.LeaseUntil
		c.To.LeaseUntil = c.To.LeaseUntil.Add(5 * time.Second)
		done("renew", b.Apply(t.Context(), &c))
	}
	c.From, c.Attempt, c.LeaseUntil = backlog.Processing, 1, time.Time{}
	c.To.State, c.To.LeaseUntil, c.To.Finished = backlog.Completed, time.Time{}, now.Add(9*time.Second)
	c.To.Keep, c.To.ResultUntil = now.Add(24*time.Hour), now.Add(24*time.Hour)
	c.Result, c.DropPayload = l.result, true
	done("complete", b.Apply(t.Context(), &c))
	j.Status = c.To
}

// indexWrites is what a change of an item costs in the indexes, by DynamoDB's rules: 1 unit for what comes, goes, or keeps
// its place with another value in it, 2 for another place. Entries have less than 1 KB. Dynalite does not count them.
func indexWrites(before, after calls.Item) (units float64) {
	for _, key := range []string{jobtable.AttrScore, jobtable.AttrWatch} {
		was, wasIn := calls.Number(before, key)
		is, isIn := calls.Number(after, key)
		attempt, _ := calls.Number(before, jobtable.AttrAttempt)
		now, _ := calls.Number(after, jobtable.AttrAttempt)
		switch {
		case wasIn != isIn:
			units++
		case wasIn && was != is:
			units += 2
		case wasIn && attempt != now:
			units++
		}
	}
	return units
}

// TestCost counts the write units of a job's life, by step and in all: of the table as Dynalite says, which counts it as DynamoDB
// does, and of the indexes by the rules.
func TestCost(t *testing.T) {
	c := client(t, nil)
	table := newTable(t, c)
	var ids backlog.IDs
	for _, test := range []struct {
		name            string
		payload, result int
		keyed           bool
		renewals        int
		steps           map[string]float64
		total           float64
	}{
		{"small", 250, 200, false, 0, map[string]float64{"insert": 2, "claim": 3, "complete": 2}, 7},
		{"small, with two renewals", 250, 200, false, 2, map[string]float64{"insert": 2, "claim": 3, "renew": 2, "complete": 2}, 9},
		{"small, with an idempotency key", 250, 200, true, 0, map[string]float64{"insert": 3, "claim": 3, "complete": 2}, 8},
		// The parts are written and dropped: 4 + 4, and the result's 2 stay.
		{"4,000 and 2,000 bytes", 4000, 1900, false, 0, map[string]float64{"insert": 6, "claim": 3, "complete": 8}, 17},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, conn := openAt(t, c, config(table))
			j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, test.payload)
			if test.keyed {
				j.Idempotency = [32]byte{1: 1}
			}
			steps, total := map[string]float64{}, 0.0
			var before calls.Item
			written := conn.Stats().Total().Writes
			live(t, b, &j, life{
				renewals: test.renewals, payload: bytes.Repeat([]byte("p"), test.payload), result: bytes.Repeat([]byte("r"), test.result),
				step: func(name string) {
					after := rawItem(t, c, table, j.ID)
					now := conn.Stats().Total().Writes
					used := now - written + indexWrites(before, after)
					steps[name] += used
					total += used
					before, written = after, now
				},
			})
			if diff := cmp.Diff(test.steps, steps); diff != "" || total != test.total {
				t.Errorf("%v write units in all; want %v (-want +got):\n%s", total, test.total, diff)
			}
			if size := calls.SizeOf(before); size > 1024 {
				t.Errorf("the control item has %d bytes; more than a unit", size)
			}
			got, err := b.Get(t.Context(), j.ID)
			if must(t, err); got != j {
				t.Errorf("the job is %+v; want %+v", got, j)
			}
		})
	}
}

// rawItem reads a job's control item, wherever it is.
func rawItem(t *testing.T, c *dynamodb.Client, table string, id backlog.ID) calls.Item {
	t.Helper()
	for n := range jobtable.MostShards {
		out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, ConsistentRead: aws.Bool(true), Key: calls.Item{
			jobtable.AttrShard: calls.Str(fmt.Sprint("jobs#", n)), jobtable.AttrID: calls.Str(id.String()),
		}})
		if must(t, err); len(out.Item) > 0 {
			return out.Item
		}
	}
	return nil
}
