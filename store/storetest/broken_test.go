package storetest_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/storetest"
)

// A broken store breaks one rule of its contract. The suites have to notice.
type broken struct {
	suite string // the suite that has to fail
	rule  string // and its subtest, as go test writes its name
	make  func(*storetest.Memory) any
}

func brokens() map[string]broken {
	all := brokenCaches()
	maps.Copy(all, brokenJournals())
	maps.Copy(all, brokenKeys())
	return all
}

func brokenCaches() map[string]broken {
	return map[string]broken{
		"a write is lost": {"Cache", "what_is_written_comes_back", func(m *storetest.Memory) any { return &lossy{Memory: m} }},
		"half a batch": {"CacheBatches", "a_batch_is_written_whole_or_not_at_all", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, write: func(ctx context.Context, all []cache.Record) error {
				for _, r := range all {
					if err := m.Write(ctx, []cache.Record{r}); err != nil {
						return err
					}
				}
				return nil
			}}
		}},
		"another's record": {"Cache", "what_was_not_written_is_not_found", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, get: func(ctx context.Context, k cache.Key) (cache.Record, error) {
				for _, r := range m.Records() {
					if bytes.Equal(r.Key[:31], k[:31]) {
						return r, nil
					}
				}
				return m.Get(ctx, k)
			}}
		}},
		"Expires to the microsecond": {"Cache", "what_is_written_comes_back", func(m *storetest.Memory) any {
			return changed(m, func(r *cache.Record) { r.Expires = r.Expires.Truncate(time.Microsecond) })
		}},
		"no Since": {"Cache", "what_is_written_comes_back", func(m *storetest.Memory) any {
			return changed(m, func(r *cache.Record) { r.Since = 0 })
		}},
		"two tags exchanged": {"Cache", "what_is_written_comes_back", func(m *storetest.Memory) any {
			return changed(m, func(r *cache.Record) { r.Tags[1], r.Tags[2] = r.Tags[2], r.Tags[1] })
		}},
		"a byte is missing": {"Cache", "what_is_written_comes_back", func(m *storetest.Memory) any {
			return changed(m, func(r *cache.Record) { r.Sealed = r.Sealed[:max(0, len(r.Sealed)-1)] })
		}},
		"the first of one key wins": {"Cache", "of_two_records_of_one_key_the_later_counts", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, write: func(ctx context.Context, all []cache.Record) error {
				all = slices.Clone(all)
				slices.Reverse(all)
				return m.Write(ctx, all)
			}}
		}},
		"delete ignores Before": {"Cache", "delete_removes_what_is_selected_and_nothing_else", func(m *storetest.Memory) any {
			return selecting(m, func(s *cache.Selection) { s.Before = 0 })
		}},
		"delete takes Before for at most": {"Cache", "delete_removes_what_is_selected_and_nothing_else", func(m *storetest.Memory) any {
			return selecting(m, func(s *cache.Selection) {
				if s.Before > 0 {
					s.Before++
				}
			})
		}},
		"delete ignores Dropped": {"Cache", "delete_removes_what_is_selected_and_nothing_else", func(m *storetest.Memory) any {
			return selecting(m, func(s *cache.Selection) { s.Dropped = time.Time{} })
		}},
		"delete ignores the user": {"Cache", "delete_removes_what_is_selected_and_nothing_else", func(m *storetest.Memory) any {
			return selecting(m, func(s *cache.Selection) { s.Match.Mask &^= 1 << cache.FieldUser })
		}},
		"delete ignores the key": {"Cache", "delete_removes_what_is_selected_and_nothing_else", func(m *storetest.Memory) any {
			return selecting(m, func(s *cache.Selection) { s.Match.Mask &^= 1 << cache.FieldKey })
		}},
		"delete ignores its limit": {"Cache", "delete_keeps_to_its_limit_and_says_when_there_is_more", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, delete: func(ctx context.Context, s cache.Selection, _ int) (int, bool, error) { return m.Delete(ctx, s, 1e9) }}
		}},
		"delete stops early": {"Cache", "delete_of_many", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, delete: func(ctx context.Context, s cache.Selection, n int) (int, bool, error) {
				deleted, _, err := m.Delete(ctx, s, n)
				return deleted, false, err
			}}
		}},
		"delete looks only ahead": {"Cache", "delete_reaches_what_was_written_meanwhile", func(m *storetest.Memory) any { return &walking{Memory: m} }},
		"half a record": {"Cache", "a_record_is_written_whole_or_not_at_all", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, write: func(ctx context.Context, all []cache.Record) error {
				for _, r := range all {
					half := r
					half.Sealed = half.Sealed[:len(half.Sealed)/2]
					if err := m.Write(ctx, []cache.Record{half}); err != nil {
						return err
					}
					if err := m.Write(ctx, []cache.Record{r}); err != nil {
						return err
					}
				}
				return nil
			}}
		}},
		"count of everything": {"Cache", "count", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, count: func(ctx context.Context, _ cache.Selection) (cache.Size, error) {
				return m.Count(ctx, cache.Selection{})
			}}
		}},
		"an ended context does not matter": {"Cache", "an_ended_context", func(m *storetest.Memory) any {
			return cacheOf{Memory: m, write: func(ctx context.Context, all []cache.Record) error {
				return m.Write(context.WithoutCancel(ctx), all)
			}}
		}},
		"writes are torn": {"Cache", "model", func(m *storetest.Memory) any { return &forgetful{Memory: m} }},
	}
}

func brokenJournals() map[string]broken {
	return map[string]broken{
		"forgets one too many": {"Journal", "what_is_forgotten_is_gone,_and_nothing_else", func(m *storetest.Memory) any {
			return journalOf{Memory: m, forget: func(ctx context.Context, upTo uint64) error { return m.Forget(ctx, upTo+1) }}
		}},
		"forgets one too few": {"Journal", "what_is_forgotten_is_gone,_and_nothing_else", func(m *storetest.Memory) any {
			return journalOf{Memory: m, forget: func(ctx context.Context, upTo uint64) error { return m.Forget(ctx, max(upTo, 1)-1) }}
		}},
		"numbers again after Forget": {"Journal", "no_number_is_given_twice", func(*storetest.Memory) any { return &reusing{Memory: storetest.NewMemory()} }},
		"gives what was asked from": {"Journal", "only_what_is_asked_for_comes_back", func(m *storetest.Memory) any {
			return journalOf{Memory: m, read: func(ctx context.Context, after uint64) ([]cache.Invalidation, uint64, error) {
				return m.Invalidations(ctx, max(after, 1)-1)
			}}
		}},
		"says last too early": {"Journal", "concurrent_use", func(m *storetest.Memory) any {
			return journalOf{Memory: m, read: func(ctx context.Context, after uint64) ([]cache.Invalidation, uint64, error) {
				all, _, err := m.Invalidations(ctx, after)
				time.Sleep(time.Millisecond)
				_, last, _ := m.Invalidations(ctx, after)
				return all, last, err
			}}
		}},
	}
}

func brokenKeys() map[string]broken {
	return map[string]broken{
		"shreds the tenant's own only": {"Keys", "shredding_a_tenant", func(m *storetest.Memory) any { return &shredding{Memory: m, own: true} }},
		"shreds the user of all":       {"Keys", "shredding_a_user", func(m *storetest.Memory) any { return &shredding{Memory: m, all: true} }},
		"keys are saved one by one": {"KeysTogether", "keys_are_saved_together_or_not_at_all", func(m *storetest.Memory) any {
			return keysOf{Memory: m, save: func(ctx context.Context, all []envelope.WrappedKey) error {
				for _, k := range all {
					if err := m.Save(ctx, k); err != nil {
						return err
					}
				}
				return nil
			}}
		}},
		"the newest is the last that was saved": {"Keys", "the_newest_key_of_an_owner", func(m *storetest.Memory) any { return &lastSaved{Memory: m} }},
		"masters compare as signed":             {"Keys", "keys_that_other_masters_wrap", func(m *storetest.Memory) any { return signed{m} }},
	}
}

// TestSuitesFail runs each suite on stores that break a rule of its contract, in
// another process, and expects the rule's subtest to fail: the first time, or where two
// goroutines have to meet for that, within five.
func TestSuitesFail(t *testing.T) {
	if os.Getenv("STORETEST_BROKEN") != "" {
		t.Skip("this is the other process")
	}
	for name, b := range brokens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+b.suite+"$/^"+regexp.QuoteMeta(b.rule)+"$", "-test.v", "-test.count=5", "-test.failfast",
				"-rapid.nofailfile", "-rapid.checks=1000", "-rapid.shrinktime=1ms", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "STORETEST_BROKEN="+name)
			out, err := cmd.CombinedOutput()
			if want := "--- FAIL: TestBroken/" + b.suite + "/" + b.rule; err == nil || !strings.Contains(string(out), want) {
				t.Errorf("the suite did not fail with %q (%v):\n%s", want, err, out)
			}
		})
	}
}

// TestBroken is the other process's part of TestSuitesFail.
func TestBroken(t *testing.T) {
	b, ok := brokens()[os.Getenv("STORETEST_BROKEN")]
	if !ok {
		return // this process checks stores that work
	}
	t.Run("Cache", func(t *testing.T) {
		storetest.Cache(t, func(*testing.T) cache.Store { return b.make(storetest.NewMemory()).(cache.Store) })
	})
	t.Run("Journal", func(t *testing.T) {
		storetest.Journal(t, func(*testing.T) cache.Journal { return b.make(storetest.NewMemory()).(cache.Journal) })
	})
	t.Run("CacheBatches", func(t *testing.T) {
		storetest.CacheBatches(t, func(*testing.T) cache.Store { return b.make(storetest.NewMemory()).(cache.Store) })
	})
	t.Run("KeysTogether", func(t *testing.T) {
		storetest.KeysTogether(t, func(*testing.T) envelope.KeyStore { return b.make(storetest.NewMemory()).(envelope.KeyStore) })
	})
	t.Run("Keys", func(t *testing.T) {
		storetest.Keys(t, func(*testing.T) envelope.KeyStore { return b.make(storetest.NewMemory()).(envelope.KeyStore) })
	})
}

// cacheOf is a Memory with some methods of cache.Store replaced.
type cacheOf struct {
	*storetest.Memory
	get    func(context.Context, cache.Key) (cache.Record, error)
	write  func(context.Context, []cache.Record) error
	delete func(context.Context, cache.Selection, int) (int, bool, error)
	count  func(context.Context, cache.Selection) (cache.Size, error)
}

func (c cacheOf) Get(ctx context.Context, k cache.Key) (cache.Record, error) {
	if c.get != nil {
		return c.get(ctx, k)
	}
	return c.Memory.Get(ctx, k)
}

func (c cacheOf) Write(ctx context.Context, all []cache.Record) error {
	if c.write != nil {
		return c.write(ctx, all)
	}
	return c.Memory.Write(ctx, all)
}

func (c cacheOf) Delete(ctx context.Context, s cache.Selection, n int) (int, bool, error) {
	if c.delete != nil {
		return c.delete(ctx, s, n)
	}
	return c.Memory.Delete(ctx, s, n)
}

func (c cacheOf) Count(ctx context.Context, s cache.Selection) (cache.Size, error) {
	if c.count != nil {
		return c.count(ctx, s)
	}
	return c.Memory.Count(ctx, s)
}

func changed(m *storetest.Memory, change func(*cache.Record)) cacheOf {
	return cacheOf{Memory: m, get: func(ctx context.Context, k cache.Key) (cache.Record, error) {
		r, err := m.Get(ctx, k)
		change(&r)
		return r, err
	}}
}

func selecting(m *storetest.Memory, change func(*cache.Selection)) cacheOf {
	return cacheOf{Memory: m, delete: func(ctx context.Context, s cache.Selection, n int) (int, bool, error) {
		change(&s)
		return m.Delete(ctx, s, n)
	}}
}

// lossy loses the 20th record.
type lossy struct {
	*storetest.Memory
	n int
}

func (l *lossy) Write(ctx context.Context, all []cache.Record) error {
	var kept []cache.Record
	for _, r := range all {
		if l.n++; l.n != 20 {
			kept = append(kept, r)
		}
	}
	return l.Memory.Write(ctx, kept)
}

// walking deletes ascending by key, and never looks back.
type walking struct {
	*storetest.Memory
	at map[cache.Selection]cache.Key
}

func (w *walking) Delete(ctx context.Context, s cache.Selection, limit int) (deleted int, more bool, err error) {
	if w.at == nil {
		w.at = map[cache.Selection]cache.Key{}
	}
	for _, r := range w.Records() {
		if at := w.at[s]; bytes.Compare(r.Key[:], at[:]) <= 0 {
			continue
		}
		if deleted == limit {
			return deleted, true, nil
		}
		one := s
		one.Match.Mask |= 1 << cache.FieldKey
		one.Match.Key = r.Key
		n, _, err := w.Memory.Delete(ctx, one, 1)
		if err != nil {
			return deleted, false, err
		}
		deleted += n
		w.at[s] = r.Key
	}
	delete(w.at, s)
	return deleted, false, nil
}

// forgetful undoes the write before the last deletion of three.
type forgetful struct {
	*storetest.Memory
	deletes int
}

func (f *forgetful) Delete(ctx context.Context, s cache.Selection, limit int) (int, bool, error) {
	n, more, err := f.Memory.Delete(ctx, s, limit)
	if f.deletes++; f.deletes%3 == 0 && n > 0 {
		if all := f.Records(); len(all) > 0 {
			_, _, err = f.Memory.Delete(ctx, cache.Selection{Match: cache.Match{Mask: 1 << cache.FieldKey, Key: all[0].Key}}, 1)
		}
	}
	return n, more, err
}

// journalOf is a Memory with some methods of cache.Journal replaced.
type journalOf struct {
	*storetest.Memory
	read   func(ctx context.Context, after uint64) ([]cache.Invalidation, uint64, error)
	forget func(ctx context.Context, upTo uint64) error
}

func (j journalOf) Invalidations(ctx context.Context, after uint64) ([]cache.Invalidation, uint64, error) {
	if j.read != nil {
		return j.read(ctx, after)
	}
	return j.Memory.Invalidations(ctx, after)
}

func (j journalOf) Forget(ctx context.Context, upTo uint64) error {
	if j.forget != nil {
		return j.forget(ctx, upTo)
	}
	return j.Memory.Forget(ctx, upTo)
}

// reusing begins with the number 1 again when all is forgotten.
type reusing struct{ *storetest.Memory }

func (r *reusing) Forget(ctx context.Context, upTo uint64) error {
	if err := r.Memory.Forget(ctx, upTo); err != nil {
		return err
	}
	if all, _, err := r.Memory.Invalidations(ctx, 0); err != nil || len(all) > 0 {
		return err
	}
	r.Memory = storetest.NewMemory()
	return nil
}

// keysOf is a Memory that saves in another way.
type keysOf struct {
	*storetest.Memory
	save func(context.Context, []envelope.WrappedKey) error
}

func (k keysOf) Save(ctx context.Context, all ...envelope.WrappedKey) error { return k.save(ctx, all) }

// shredding shreds too little of a tenant, or too much with a user.
type shredding struct {
	*storetest.Memory
	own, all bool
}

func (s *shredding) Shred(ctx context.Context, tenant, user uint64) ([]uint64, error) {
	keys, err := s.WrappedByOthers(ctx, 1<<60, 1000)
	if err != nil {
		return nil, err
	}
	var ids []uint64
	var kept []envelope.WrappedKey
	for _, k := range keys {
		switch {
		case s.own && k.Tenant == tenant && k.User == user, s.all && user != 0 && k.User == user:
			ids = append(ids, k.ID)
		case s.all && user == 0 && k.Tenant == tenant:
			ids = append(ids, k.ID)
		default:
			kept = append(kept, k)
		}
	}
	s.Memory = storetest.NewMemory()
	return ids, s.Save(ctx, kept...)
}

// lastSaved takes the key that was saved last for the newest.
type lastSaved struct {
	*storetest.Memory
	last map[[2]uint64]envelope.WrappedKey
}

func (l *lastSaved) Save(ctx context.Context, all ...envelope.WrappedKey) error {
	if l.last == nil {
		l.last = map[[2]uint64]envelope.WrappedKey{}
	}
	for _, k := range all {
		l.last[[2]uint64{k.Tenant, k.User}] = k
	}
	return l.Memory.Save(ctx, all...)
}

func (l *lastSaved) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	if k, ok := l.last[[2]uint64{tenant, user}]; ok {
		return k, ctx.Err()
	}
	return l.Memory.Newest(ctx, tenant, user)
}

// signed finds the keys of masters below only.
type signed struct{ *storetest.Memory }

func (s signed) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	all, err := s.Memory.WrappedByOthers(ctx, master, 1000)
	all = slices.DeleteFunc(all, func(k envelope.WrappedKey) bool { return k.Master > master })
	return all[:min(limit, len(all))], err
}
