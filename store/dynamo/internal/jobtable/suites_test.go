package jobtable_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
	"github.com/forebay-ai/forebay/store/storetest"
	"github.com/forebay-ai/forebay/store/storetest/backlogtest"
)

// tooLong says that a rule of a suite is left for when there is time, or for the run without faults: the emulator does some
// 500 writes a second, and these need 10,000 or more. A store in memory stands in, for which the suite has to pass as well.
func tooLong(t *testing.T) bool {
	if suite, rule, _ := strings.Cut(t.Name(), "/"); suite != "TestStore" {
		return rule == "a_page_is_bounded" || rule == "model"
	}
	return !soak() && strings.HasSuffix(t.Name(), "a_page_is_bounded")
}

func TestStore(t *testing.T) {
	c := client(t, nil)
	backlogtest.Store(t, func(t *testing.T) backlog.Store {
		if tooLong(t) {
			return storetest.NewBacklog()
		}
		return fresh(t, c)
	})
}

// places are tables, each in the place of a directory.
type places struct {
	client *dynamodb.Client
	tables map[string]string
	memory map[string]*storetest.MemoryBacklog
}

func newPlaces(t *testing.T) *places {
	return &places{client: client(t, nil), tables: map[string]string{}, memory: map[string]*storetest.MemoryBacklog{}}
}

func (p *places) open(t *testing.T, dir string) backlogtest.Lasting {
	if tooLong(t) {
		m := p.memory[dir]
		if m == nil {
			m = storetest.NewBacklog()
			p.memory[dir] = m
		}
		m.Reopen()
		return backlogtest.Lasting{Store: m, Close: m.Close}
	}
	if p.tables[dir] == "" {
		p.tables[dir] = newTable(t, p.client)
	}
	b, conn := openAt(t, p.client, config(p.tables[dir]))
	return backlogtest.Lasting{Store: b, Close: func() error {
		conn.Close()
		return nil
	}}
}

func TestDurable(t *testing.T) {
	backlogtest.Durable(t, newPlaces(t).open)
}

// TestDamaged has an item changed behind the store's back.
func TestDamaged(t *testing.T) {
	flip := func(name string) func(it calls.Item) {
		return func(it calls.Item) {
			b, _ := calls.Raw(it, name)
			b[len(b)/2] ^= 4
			it[name] = calls.Data(b)
		}
	}
	for name, change := range map[string]func(it calls.Item){
		"what was accepted":              flip("spec"),
		"the status":                     flip("record"),
		"the record is gone":             func(it calls.Item) { delete(it, "record") },
		"the state by which it is found": func(it calls.Item) { it["status"] = calls.Str("completed?") },
		"the attempt":                    func(it calls.Item) { it["attempt"] = calls.Num(77) },
		"the attempt is a text":          func(it calls.Item) { it["attempt"] = calls.Str("7") },
		"another job's record":           func(it calls.Item) { it["spec"] = it["record"] },
	} {
		if !long() && name != "the status" && name != "the attempt" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := newPlaces(t)
			backlogtest.Damaged(t, p.open, func(t *testing.T, dir string, id backlog.ID) {
				table := p.tables[dir]
				it := rawItem(t, p.client, table, id)
				change(it)
				_, err := p.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: it})
				must(t, err)
			})
		})
	}
}

// TestPartGone has a part of a payload removed behind the store's back.
func TestPartGone(t *testing.T) {
	c := client(t, nil)
	table := newTable(t, c)
	b, _ := openAt(t, c, config(table))
	var ids backlog.IDs
	j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 900<<10)
	_, err := b.Insert(t.Context(), &j, make([]byte, 900<<10), time.Time{})
	must(t, err)
	ref, _ := calls.Text(rawItem(t, c, table, j.ID), "payloadRef")
	key := calls.Item{jobtable.AttrShard: calls.Str("parts#" + j.ID.String()), jobtable.AttrID: calls.Str(ref + "#0001")}
	out, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: key, ReturnValues: "ALL_OLD"})
	if must(t, err); len(out.Attributes) == 0 {
		t.Fatalf("there is no second part under %q", ref)
	}
	_, _, err = b.Read(t.Context(), j.ID, backlog.Payload)
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Read of a payload without its middle: %v", err)
	}
}

// TestPartsFenced has workers end one attempt at once with results that have items of their own, and take in jobs under one ID:
// what the losers wrote and cleared away is not what the winner wrote.
func TestPartsFenced(t *testing.T) {
	b := fresh(t, client(t, nil))
	var ids backlog.IDs
	for range 5 {
		j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 3000)
		var winner, author atomic.Int32
		var all sync.WaitGroup
		content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 3000) }
		each := func(do func(i int) error, won *atomic.Int32, lost error) {
			for i := range 6 {
				all.Go(func() {
					switch err := do(i); {
					case err == nil:
						won.Store(int32(i))
					case !errors.Is(err, lost):
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		each(func(i int) error {
			mine := j
			_, err := b.Insert(t.Context(), &mine, content(i), time.Time{})
			return err
		}, &author, backlog.ErrExists)
		each(func(i int) error {
			c := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status, Result: content(i)}
			c.To.State = backlog.Completed
			return b.Apply(t.Context(), &c)
		}, &winner, backlog.ErrConflict)
		for part, by := range map[backlog.Part]*atomic.Int32{backlog.Payload: &author, backlog.Result: &winner} {
			if _, got, err := b.Read(t.Context(), j.ID, part); err != nil || !bytes.Equal(got, content(int(by.Load()))) {
				t.Errorf("part %d is %.5q, %v; want that of number %d", part, got, err, by.Load())
			}
		}
	}
}

// TestExpiry has jobs that nobody purged: they are not found when their time and the grace are over, and have the ttl by
// which the table removes them.
func TestExpiry(t *testing.T) {
	c := client(t, nil)
	table := newTable(t, c)
	cfg := config(table)
	cfg.Grace = time.Minute
	b, _ := openAt(t, c, cfg)
	var ids backlog.IDs
	now := time.Now().UTC().Truncate(time.Microsecond)
	ended := func(keep time.Duration) backlog.Job {
		j := small(now, &ids, 10)
		_, err := b.Insert(t.Context(), &j, []byte("0123456789"), time.Time{})
		must(t, err)
		change := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status, Result: []byte("result")}
		change.To.State, change.To.Keep, change.To.ResultUntil = backlog.Completed, now.Add(keep), now.Add(min(keep, -2*time.Minute))
		must(t, b.Apply(t.Context(), &change))
		j.Status = change.To
		return j
	}
	over, kept := ended(-2*time.Minute), ended(-30*time.Second)
	if _, err := b.Get(t.Context(), over.ID); err == nil {
		t.Error("a job is found whose time is over")
	}
	page, err := b.List(t.Context(), backlog.Query{})
	if must(t, err); len(page) != 1 || page[0] != kept {
		t.Errorf("the list is %v; want the job that is kept", page)
	}
	census, err := b.Census(t.Context(), nil)
	if must(t, err); census[backlog.Completed] != 1 {
		t.Errorf("the census is %v; want one job", census)
	}
	if _, result, err := b.Read(t.Context(), kept.ID, backlog.Result); err != nil || result != nil {
		t.Errorf("the result is %q, %v although its time is over", result, err)
	}
	ttl, _ := calls.Number(rawItem(t, c, table, kept.ID), jobtable.AttrTTL)
	if want := kept.Keep.Add(time.Minute).Unix(); ttl < want || ttl > want+1 {
		t.Errorf("the ttl is %d; want %d, in seconds", ttl, want)
	}
}

// TestShards has processes agree on how a table is spread.
func TestShards(t *testing.T) {
	c := client(t, nil)
	cfg := config(newTable(t, c))
	cfg.Shards = 3
	openAt(t, c, cfg)
	if _, err := jobtable.Open(t.Context(), config(cfg.Table), calls.New(c, time.Second)); err != nil {
		t.Errorf("Open without a number of shards: %v", err)
	}
	cfg.Shards = 5
	if _, err := jobtable.Open(t.Context(), cfg, calls.New(c, time.Second)); err == nil || !strings.Contains(err.Error(), "3 shards") {
		t.Errorf("Open with another number of shards: %v", err)
	}
}

// TestDeadWriter has a process die between the reservation of an idempotency key and the job: the next one takes the key over,
// and the dead one, when it comes back, finds that it has lost.
func TestDeadWriter(t *testing.T) {
	f, open := faulty(t, &faults{})
	b := open()
	var ids backlog.IDs
	now := time.Now().UTC().Truncate(time.Microsecond)
	first, second := small(now, &ids, 3), small(now, &ids, 3)
	first.Idempotency, second.Idempotency = [32]byte{9}, [32]byte{9}
	f.holdControl(first.ID)
	late := make(chan error, 1)
	go func() {
		found, err := b.Insert(t.Context(), &first, []byte("one"), time.Time{})
		if found != second {
			t.Errorf("the late one gets the job %v, %v; want that of the other", found.ID, err)
		}
		late <- err
	}()
	<-f.holding
	if found, err := b.Insert(t.Context(), &second, []byte("two"), time.Time{}); err != nil {
		t.Errorf("Insert under the key of a process that died: %v, %v", found.ID, err)
	}
	close(f.let)
	if err := <-late; err == nil {
		t.Error("two jobs are taken in under one key")
	}
	page, err := b.List(t.Context(), backlog.Query{})
	if must(t, err); len(page) != 1 || page[0] != second {
		t.Errorf("there are %d jobs; want the one that was acknowledged", len(page))
	}
}
