package backlogtest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
)

// What is broken in Insert.
func brokenInserts() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"the payload is lost": {"Store/a_job_that_is_taken_in_comes_back_whole", inserting(func(ctx context.Context, m *memory, j *backlog.Job, _ []byte, since time.Time) (backlog.Job, error) {
			return m.Insert(ctx, j, nil, since)
		})},
		"a near ID is found": {"Store/what_was_not_taken_in_is_not_found", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, get: func(ctx context.Context, id backlog.ID) (backlog.Job, error) {
				for _, r := range m.Records() {
					if r.Job.ID>>22 == id>>22 {
						return r.Job, nil
					}
				}
				return m.Get(ctx, id)
			}}
		}},
		"the second of an ID wins": {"Store/an_ID_is_taken_once", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			found, err := m.Insert(ctx, j, payload, since)
			if errors.Is(err, backlog.ErrExists) && found == (backlog.Job{}) {
				return found, errors.Join(err, overwrite(ctx, m, *j))
			}
			return found, err
		})},
		"where the ID is taken, its job is returned": {"Store/an_ID_is_taken_once", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			found, err := m.Insert(ctx, j, payload, since)
			if errors.Is(err, backlog.ErrExists) && found == (backlog.Job{}) {
				found, _ = m.Get(ctx, j.ID)
			}
			return found, err
		})},
		"no job under a key is noticed": {"Store/under_an_idempotency_key_the_job_that_has_it_is_returned", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, _ time.Time) (backlog.Job, error) {
			return m.Insert(ctx, j, payload, far())
		})},
		"the job under a key is not returned": {"Store/under_an_idempotency_key_the_job_that_has_it_is_returned", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			_, err := m.Insert(ctx, j, payload, since)
			return backlog.Job{}, err
		})},
		"the ID comes before the key": {"Store/under_an_idempotency_key_the_job_that_has_it_is_returned", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			if _, err := m.Get(ctx, j.ID); err == nil {
				return backlog.Job{}, backlog.ErrExists
			}
			return m.Insert(ctx, j, payload, since)
		})},
		"since is ignored": {"Store/an_idempotency_key_counts_for_jobs_enqueued_after_since", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, _ time.Time) (backlog.Job, error) {
			return m.Insert(ctx, j, payload, time.Time{})
		})},
		"since itself counts": {"Store/an_idempotency_key_counts_for_jobs_enqueued_after_since", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			return m.Insert(ctx, j, payload, since.Add(-time.Microsecond))
		})},
		"no key is a key": {"Store/a_job_without_an_idempotency_key_is_like_no_other", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			for _, r := range m.Records() {
				if r.Job.Idempotency == j.Idempotency {
					return r.Job, backlog.ErrExists
				}
			}
			return m.Insert(ctx, j, payload, since)
		})},
		"keys outlast their jobs": {"Store/an_idempotency_key_is_free_when_its_job_is_gone", func(m *memory) backlog.Store {
			taken := map[[32]byte]backlog.Job{}
			return storeOf{MemoryBacklog: m, insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
				if old, ok := taken[j.Idempotency]; ok {
					return old, backlog.ErrExists
				}
				taken[j.Idempotency] = *j
				return m.Insert(ctx, j, payload, since)
			}}
		}},
		"keys are looked up first and taken later": {"Store/of_concurrent_jobs_under_one_key_one_is_taken_in", racing},
		"of one ID all are taken in": {"Store/of_concurrent_jobs_with_one_ID_one_is_taken_in", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			if _, err := m.Get(ctx, j.ID); err == nil {
				return backlog.Job{}, backlog.ErrExists
			}
			time.Sleep(time.Millisecond)
			_, err := m.Insert(ctx, j, payload, since)
			if errors.Is(err, backlog.ErrExists) {
				err = nil
			}
			return backlog.Job{}, err
		})},
	}
}

// What is broken in Apply.
func brokenChanges() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"zero members of a status keep what was": {"Store/a_change_replaces_the_status_and_nothing_else", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			if c.To.Worker == "" {
				c.To.Worker = now.Worker
			}
			return m.Apply(ctx, &c)
		})},
		"no fencing": {"Store/a_change_begins_from_a_state_and_an_attempt", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			c.Attempt = now.Attempt
			return m.Apply(ctx, &c)
		})},
		"older attempts only are fenced": {"Store/a_change_begins_from_a_state_and_an_attempt", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			c.Attempt = min(c.Attempt, now.Attempt)
			return m.Apply(ctx, &c)
		})},
		"from any state": {"Store/a_change_begins_from_a_state_and_an_attempt", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			c.From = now.State
			return m.Apply(ctx, &c)
		})},
		"a refused change stores its result": {"Store/a_change_begins_from_a_state_and_an_attempt", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			err := m.Apply(ctx, &c)
			if errors.Is(err, backlog.ErrConflict) {
				c.From, c.Attempt, c.LeaseUntil, c.To, c.DropPayload = now.State, now.Attempt, time.Time{}, now.Status, false
				return errors.Join(err, m.Apply(ctx, &c))
			}
			return err
		})},
		"the lease is ignored": {"Store/a_change_may_begin_from_a_lease", applying(func(ctx context.Context, m *memory, c backlog.Change, _ backlog.Job) error {
			c.LeaseUntil = time.Time{}
			return m.Apply(ctx, &c)
		})},
		"leases compare to the nanosecond": {"Store/a_change_may_begin_from_a_lease", applying(func(ctx context.Context, m *memory, c backlog.Change, now backlog.Job) error {
			if !c.LeaseUntil.IsZero() && !c.LeaseUntil.Equal(now.LeaseUntil) {
				return backlog.ErrConflict
			}
			return m.Apply(ctx, &c)
		})},
		"no job is a conflict": {"Store/a_change_of_a_job_that_is_not_there", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, apply: func(ctx context.Context, c *backlog.Change) error {
				err := m.Apply(ctx, c)
				if errors.Is(err, backlog.ErrNotFound) {
					return backlog.ErrConflict
				}
				return err
			}}
		}},
		"a change without a result erases the former one": {"Store/a_result_is_stored_with_its_change", applying(func(ctx context.Context, m *memory, c backlog.Change, _ backlog.Job) error {
			if c.Result == nil {
				c.Result = []byte{}
			}
			return m.Apply(ctx, &c)
		})},
		"the first result stays": {"Store/a_result_is_stored_with_its_change", applying(func(ctx context.Context, m *memory, c backlog.Change, _ backlog.Job) error {
			if _, result, _ := m.Read(ctx, c.ID, backlog.Result); result != nil {
				c.Result = nil
			}
			return m.Apply(ctx, &c)
		})},
		"a result takes the place of the payload": {"Store/a_result_is_stored_with_its_change", applying(func(ctx context.Context, m *memory, c backlog.Change, _ backlog.Job) error {
			c.DropPayload = c.DropPayload || c.Result != nil
			return m.Apply(ctx, &c)
		})},
		"no payload is dropped": {"Store/a_payload_is_dropped_with_its_change", applying(func(ctx context.Context, m *memory, c backlog.Change, _ backlog.Job) error {
			c.DropPayload = false
			return m.Apply(ctx, &c)
		})},
		"relaxed changes are made later":        {"Store/a_relaxed_change_is_seen_at_once", lazy},
		"two changes win":                       {"Store/of_concurrent_changes_one_wins", racing},
		"a job and its part are of two moments": {"Store/no_reader_sees_half_a_change", torn},
	}
}

// What is broken in List and Census.
func brokenLists() map[string]broken {
	filters := "Store/each_filter_selects,_alone_and_with_others"
	return map[string]broken{
		"in the order of their acceptance": {"Store/jobs_are_listed_in_the_order_of_their_IDs", choosing(func(_ backlog.Query, all []backlog.Job) []backlog.Job {
			slices.SortFunc(all, func(a, b backlog.Job) int { return a.Enqueued.Compare(b.Enqueued) })
			return all
		})},
		"the newest are not first": {"Store/jobs_are_listed_in_the_order_of_their_IDs", asking(func(q *backlog.Query) { q.Newest = false })},
		"the user is ignored":      {filters, asking(func(q *backlog.Query) { q.User = nil })},
		"no user is every user": {filters, asking(func(q *backlog.Query) {
			if q.User != nil && *q.User == "" {
				q.User = nil
			}
		})},
		"the custom ID is ignored": {filters, asking(func(q *backlog.Query) { q.CustomID = "" })},
		"due hooks are ignored":    {filters, asking(func(q *backlog.Query) { q.HooksDue = false })},
		"the last state only":      {filters, asking(func(q *backlog.Query) { q.States = q.States[max(len(q.States), 1)-1:] })},
		"a list of no states has no job": {filters, asking(func(q *backlog.Query) {
			if q.States != nil && len(q.States) == 0 {
				q.States = []backlog.State{0}
			}
		})},
		"the operation counts without the tenant only": {filters, asking(func(q *backlog.Query) {
			if q.Tenant != nil {
				q.Operation = nil
			}
		})},
		"tenants in any case": {"Store/filters_compare_texts_byte_by_byte", choosing(func(q backlog.Query, all []backlog.Job) []backlog.Job {
			return slices.DeleteFunc(all, func(j backlog.Job) bool {
				return q.Tenant != nil && !strings.EqualFold(*q.Tenant, j.Tenant) || q.User != nil && j.User != *q.User ||
					q.Operation != nil && j.Operation != *q.Operation || q.CustomID != "" && j.CustomID != q.CustomID
			})
		})},
		"the state at acceptance": {"Store/a_list_has_what_changes_have_made_of_the_jobs", asking(func(q *backlog.Query) {
			if len(q.States) == 1 && q.States[0] == backlog.Completed {
				q.States[0] = backlog.Queued
			}
		})},
		"the page begins with After": {"Store/pages_follow_one_another_in_both_directions", asking(func(q *backlog.Query) {
			if q.After > 0 && !q.Newest {
				q.After--
			}
		})},
		"After counts forward, whatever the direction": {"Store/pages_follow_one_another_in_both_directions", choosing(func(q backlog.Query, all []backlog.Job) []backlog.Job {
			all = slices.DeleteFunc(all, func(j backlog.Job) bool { return j.ID <= q.After })
			if q.Newest {
				slices.Reverse(all)
			}
			return all[:min(len(all), q.Limit)]
		})},
		"a page is cut before it is filtered": {"Store/pages_follow_one_another_in_both_directions", func(m *storetest.MemoryBacklog) backlog.Store {
			return storeOf{MemoryBacklog: m, list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
				page, err := m.List(ctx, backlog.Query{After: q.After, Newest: q.Newest, Limit: q.Limit})
				return slices.DeleteFunc(page, func(j backlog.Job) bool {
					return q.Tenant != nil && j.Tenant != *q.Tenant || len(q.States) > 0 && !slices.Contains(q.States, j.State)
				}), err
			}}
		}},
		"a page behind a job that is gone is empty": {"Store/pages_go_on_while_jobs_come_and_go", func(m *storetest.MemoryBacklog) backlog.Store {
			return storeOf{MemoryBacklog: m, list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
				if _, err := m.Get(ctx, q.After); q.After != 0 && err != nil {
					return nil, nil
				}
				return m.List(ctx, q)
			}}
		}},
		"no limit is every job": {"Store/a_page_is_bounded", asking(func(q *backlog.Query) {
			if q.Limit == 0 {
				q.Limit = 10_000
			}
		})},
		"a page of more than 10,000": {"Store/a_page_is_bounded", choosing(func(q backlog.Query, all []backlog.Job) []backlog.Job {
			all = slices.DeleteFunc(all, func(j backlog.Job) bool { return j.ID <= q.After })
			if q.Newest {
				slices.Reverse(all)
			}
			if q.Limit <= 0 {
				q.Limit = 100
			}
			return all[:min(len(all), q.Limit)]
		})},
		"the census is of yesterday": {"Store/the_census_counts_by_state", cachingCensus},
	}
}

// What is broken in Read and Purge.
func brokenContents() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"the payload for want of a result": {"Store/read_gives_a_job_with_one_of_its_parts", swapped},
		"at Keep itself a job is kept": {"Store/purge_removes_final_jobs_whose_Keep_has_passed", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			return m.Purge(ctx, now.Truncate(time.Microsecond).Add(-1), limit)
		})},
		"a requeued job is purged": {"Store/purge_removes_final_jobs_whose_Keep_has_passed", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			for _, r := range m.Records() {
				if r.Job.State == backlog.Queued && !r.Job.Keep.IsZero() {
					r.Job.State = backlog.Cancelled
					if err := overwrite(ctx, m, r.Job); err != nil {
						return backlog.Purged{}, false, err
					}
				}
			}
			return m.Purge(ctx, now, limit)
		})},
		"no Keep has passed": {"Store/purge_removes_final_jobs_whose_Keep_has_passed", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			for _, r := range m.Records() {
				if r.Job.State.Final() && r.Job.Keep.IsZero() {
					if _, err := m.Remove(ctx, r.Job.ID); err != nil {
						return backlog.Purged{}, false, err
					}
				}
			}
			return m.Purge(ctx, now, limit)
		})},
		"no ResultUntil has passed": {"Store/purge_drops_parts_whose_ResultUntil_has_passed", changed(func(j *backlog.Job) {
			if j.ResultUntil.IsZero() {
				j.ResultUntil = time.Unix(0, 0)
			}
		})},
		"parts that are gone are counted again": {"Store/purge_drops_parts_whose_ResultUntil_has_passed", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			p, more, err := m.Purge(ctx, now, limit)
			if !more {
				p.Results++
			}
			return p, more, err
		})},
		"purge ignores its limit": {"Store/purge_keeps_to_its_limit_and_says_when_there_is_more", purging(func(ctx context.Context, m *memory, now time.Time, _ int) (backlog.Purged, bool, error) {
			return m.Purge(ctx, now, 1000)
		})},
		"purge stops early": {"Store/purge_keeps_to_its_limit_and_says_when_there_is_more", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			p, _, err := m.Purge(ctx, now, limit)
			return p, false, err
		})},
	}
}

// What is broken in Remove, Damaged and the switches.
func brokenRemovals() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"queued jobs are removed": {"Store/remove_takes_final_jobs_and_no_others", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
				for _, id := range ids {
					if j, err := m.Get(ctx, id); err == nil && j.State == backlog.Queued {
						j.State = backlog.Cancelled
						if err := overwrite(ctx, m, j); err != nil {
							return 0, err
						}
					}
				}
				return m.Remove(ctx, ids...)
			}}
		}},
		"remove counts what it was asked for": {"Store/remove_takes_final_jobs_and_no_others", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
				_, err := m.Remove(ctx, ids...)
				return len(ids), err
			}}
		}},
		"remove takes 32,766 IDs": {"Store/remove_of_very_many_IDs", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
				return m.Remove(ctx, ids[:min(len(ids), 32_766)]...)
			}}
		}},
		"remove looks first and acts later": {"Store/what_several_remove_at_once_is_counted_once", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
				all, _ := everything(ctx, m)
				n := len(slices.DeleteFunc(all, func(j backlog.Job) bool { return !j.State.Final() || !slices.Contains(ids, j.ID) }))
				time.Sleep(time.Millisecond)
				_, err := m.Remove(ctx, ids...)
				return n, err
			}}
		}},
		"old jobs are reported as damaged": {"Store/nothing_is_damaged", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, damaged: func(context.Context, int) ([]backlog.Damage, error) {
				return []backlog.Damage{{ID: 1, Found: far(), Reason: "old"}}, nil
			}}
		}},
		"nothing is resumed": {"Store/operations_are_paused_and_resumed", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, setPaused: func(ctx context.Context, operation string, paused bool) error {
				if paused {
					return m.SetPaused(ctx, operation, true)
				}
				return nil
			}}
		}},
		"the default operation cannot be paused": {"Store/operations_are_paused_and_resumed", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, paused: func(ctx context.Context) ([]string, error) {
				all, err := m.Paused(ctx)
				return slices.DeleteFunc(all, func(o string) bool { return o == "" }), err
			}}
		}},
		"recovery resumes": {"Store/recovery_of_a_store_that_has_not_failed_does_nothing", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, recover: func(ctx context.Context) error { return m.SetPaused(ctx, "one", false) }}
		}},
		"removals are undone": {"Store/model", forgetful},
	}
}

// What is broken in values, contexts and concurrency.
func brokenValues() map[string]broken {
	times := "Store/times_are_kept_to_the_microsecond"
	return map[string]broken{
		"payloads are kept by reference": {"Store/no_reference_is_kept", retaining},
		"results are shared":             {"Store/what_is_returned_belongs_to_the_caller", sharing},
		"times to the millisecond":       {times, changed(func(j *backlog.Job) { j.NotBefore = j.NotBefore.Truncate(time.Millisecond) })},
		"times are rounded":              {times, changed(func(j *backlog.Job) { j.Deadline = j.Deadline.Round(time.Microsecond) })},
		"times are local":                {times, shown(func(j *backlog.Job) { j.Started = j.Started.In(time.FixedZone("here", 3600)) })},
		"no time is 1970": {times, changed(func(j *backlog.Job) {
			if j.Finished.IsZero() {
				j.Finished = time.Unix(0, 0)
			}
		})},
		"1970 is no time": {times, changed(func(j *backlog.Job) {
			if j.Hook.Due.Equal(time.Unix(0, 0)) {
				j.Hook.Due = time.Time{}
			}
		})},
		"texts end at NUL":          {"Store/odd_texts_come_back_as_they_are", changed(func(j *backlog.Job) { j.Message, _, _ = strings.Cut(j.Message, "\x00") })},
		"texts are made valid":      {"Store/odd_texts_come_back_as_they_are", changed(func(j *backlog.Job) { j.Worker = strings.ToValidUTF8(j.Worker, "\ufffd") })},
		"texts are trimmed":         {"Store/odd_texts_come_back_as_they_are", changed(func(j *backlog.Job) { j.Message = strings.TrimRight(j.Message, " ") })},
		"texts of 1,000 bytes":      {"Store/odd_texts_come_back_as_they_are", changed(func(j *backlog.Job) { j.Message = j.Message[:min(1000, len(j.Message))] })},
		"parts of 64 KiB":           {"Store/large_parts_come_back_as_they_are", bounded},
		"numbers of 32 bits":        {"Store/extreme_numbers_come_back_as_they_are", changed(func(j *backlog.Job) { j.Retries = int(int32(j.Retries)) })},
		"IDs as floating point":     {"Store/extreme_numbers_come_back_as_they_are", shown(func(j *backlog.Job) { j.ID = backlog.ID(float64(j.ID>>10)) << 10 })},
		"durations to milliseconds": {"Store/extreme_numbers_come_back_as_they_are", changed(func(j *backlog.Job) { j.Timeout = j.Timeout.Truncate(time.Millisecond) })},
		"an ended context finds nothing": {"Store/an_ended_context", func(m *storetest.MemoryBacklog) backlog.Store {
			return storeOf{MemoryBacklog: m, list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
				page, err := m.List(ctx, q)
				if ctx.Err() != nil {
					err = backlog.ErrDamaged
				}
				return page, err
			}}
		}},
		"half a job": {"Store/a_context_that_ends_on_the_way", halved},
		"a change is lost now and then": {"Store/concurrent_use", func(m *storetest.MemoryBacklog) backlog.Store {
			return storeOf{MemoryBacklog: m, apply: func(ctx context.Context, c *backlog.Change) error {
				if c.ID%7 == 3 && c.Relaxed && c.To.State == backlog.Processing {
					return nil
				}
				return m.Apply(ctx, c)
			}}
		}},
	}
}

// What is broken when a store is opened again.
func brokenPlaces() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"relaxed changes are lost": {"Durable/jobs_and_their_parts_are_found_again", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, close: func() error {
				m.PowerCut()
				return m.Close()
			}}
		}},
		"what is gone comes back": {"Durable/what_is_gone_stays_gone", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(context.Context, []backlog.ID) (int, error) { return 1, nil }}
		}},
		"keys are forgotten": {"Durable/an_idempotency_key_counts_after_reopening", func(m *memory) backlog.Store {
			since := time.Time{}
			if len(m.Records()) > 0 {
				since = far()
			}
			return storeOf{MemoryBacklog: m, insert: func(ctx context.Context, j *backlog.Job, payload []byte, _ time.Time) (backlog.Job, error) {
				return m.Insert(ctx, j, payload, since)
			}}
		}},
		"switches are forgotten": {"Durable/switches_are_found_again", func(m *memory) backlog.Store {
			paused, _ := m.Paused(context.Background())
			for _, o := range paused {
				_ = m.SetPaused(context.Background(), o, false)
			}
			return m
		}},
		"a closed store goes on": {"Durable/a_closed_store_does_nothing", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, close: func() error { return nil }}
		}},
		"a closed store is empty": {"Durable/a_closed_store_does_nothing", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, get: func(ctx context.Context, id backlog.ID) (backlog.Job, error) {
				j, err := m.Get(ctx, id)
				if errors.Is(err, storetest.ErrClosed) {
					err = backlog.ErrNotFound
				}
				return j, err
			}}
		}},
		"the last job of an end is lost": {"Durable/closing_while_it_is_used_loses_nothing", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, close: func() error {
				all := m.Records()
				for _, r := range all[max(0, len(all)-8):] {
					r.Job.State = backlog.Dead
					_ = overwrite(context.Background(), m, r.Job)
					_, _ = m.Remove(context.Background(), r.Job.ID)
				}
				return m.Close()
			}}
		}},
		"reopening loses relaxed changes": {"Durable/model", func(m *memory) backlog.Store {
			m.PowerCut()
			return m
		}},
	}
}

// What is broken about damaged jobs.
func brokenDamage() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"a damaged job is not found": {"Damaged/a_damaged_job_is_told_from_one_that_is_not_there", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, get: func(ctx context.Context, id backlog.ID) (backlog.Job, error) {
				j, err := m.Get(ctx, id)
				if errors.Is(err, backlog.ErrDamaged) {
					err = backlog.ErrNotFound
				}
				return j, err
			}}
		}},
		"a damaged job shortens its page": {"Damaged/a_list_leaves_it_out_and_goes_on_behind_it", choosing(func(q backlog.Query, all []backlog.Job) []backlog.Job {
			all = slices.DeleteFunc(all, func(j backlog.Job) bool { return q.After != 0 && (j.ID >= q.After == q.Newest || j.ID == q.After) })
			if q.Newest {
				slices.Reverse(all)
			}
			page := all[:min(q.Limit, len(all))]
			if len(page) > 1 && page[len(page)-1].ID-page[0].ID != backlog.ID(len(page)-1)<<22 && !q.Newest {
				page = page[:len(page)-1]
			}
			return page
		})},
		"damaged jobs are not counted": {"Damaged/it_is_counted_and_reported", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, census: func(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
				counts, err := m.Census(ctx, tenant)
				delete(counts, 0)
				return counts, err
			}}
		}},
		"damaged jobs are not reported": {"Damaged/it_is_counted_and_reported", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, damaged: func(context.Context, int) ([]backlog.Damage, error) { return nil, nil }}
		}},
		"damaged jobs are purged": {"Damaged/it_is_kept_until_it_is_removed", purging(func(ctx context.Context, m *memory, now time.Time, limit int) (backlog.Purged, bool, error) {
			for _, r := range m.Records() {
				if r.Damaged {
					if _, err := m.Remove(ctx, r.Job.ID); err != nil {
						return backlog.Purged{}, false, err
					}
				}
			}
			return m.Purge(ctx, now, limit)
		})},
		"damaged jobs are there for ever": {"Damaged/it_is_kept_until_it_is_removed", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
				return m.Remove(ctx, slices.DeleteFunc(slices.Clone(ids), func(id backlog.ID) bool {
					_, err := m.Get(ctx, id)
					return errors.Is(err, backlog.ErrDamaged)
				})...)
			}}
		}},
	}
}

// What is broken when the disk fails.
func brokenDisks() map[string]broken {
	type memory = storetest.MemoryBacklog
	return map[string]broken{
		"a store goes on after a failure": {"Failing/after_a_failure_nothing_is_written_until_it_is_recovered", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, apply: func(ctx context.Context, c *backlog.Change) error {
				err := m.Apply(ctx, c)
				m.Reopen()
				return err
			}}
		}},
		"switches are set after a failure": {"Failing/after_a_failure_nothing_is_written_until_it_is_recovered", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, setPaused: func(context.Context, string, bool) error { return nil }}
		}},
		"recovery loses the last job": {"Failing/what_was_acknowledged_outlasts_a_failure", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, recover: func(ctx context.Context) error {
				err := m.Recover(ctx)
				all := m.Records()
				for _, r := range all[max(0, len(all)-9):] { // 8 of them had no answer, perhaps
					r.Job.State = backlog.Dead
					_ = overwrite(ctx, m, r.Job)
					_, _ = m.Remove(ctx, r.Job.ID)
				}
				return err
			}}
		}},
		"a full disk stops everything": {"Failing/on_a_full_disk_changes_still_work", func(m *memory) backlog.Store {
			full := false
			return storeOf{
				MemoryBacklog: m,
				insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
					found, err := m.Insert(ctx, j, payload, since)
					full = errors.Is(err, backlog.ErrFull)
					return found, err
				},
				apply: func(ctx context.Context, c *backlog.Change) error {
					if full {
						return backlog.ErrFull
					}
					return m.Apply(ctx, c)
				},
			}
		}},
		"a full disk is a failure": {"Failing/on_a_full_disk_changes_still_work", inserting(func(ctx context.Context, m *memory, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			found, err := m.Insert(ctx, j, payload, since)
			if errors.Is(err, backlog.ErrFull) {
				m.FailStop()
			}
			return found, err
		})},
	}
}
