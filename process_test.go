package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

type visit struct {
	Business string `json:"business"`
	City     string `json:"city"`
}

type score struct {
	Score int      `json:"score"`
	Tips  []string `json:"tips"`
}

func TestProcess(t *testing.T) {
	c := newClient(t, nil, llmtest.Script())
	calls := 0
	analyse := func(_ context.Context, v visit) (score, error) {
		calls++
		return score{Score: len(v.Business), Tips: []string{v.City}}, nil
	}
	task := forebay.Task[visit]{ID: "req-123", Operation: "vc-analysis", User: "user-456", Payload: visit{"Test Restaurant", "Munich"}}
	for i, want := range []forebay.CacheStatus{forebay.CacheMiss, forebay.CacheHit} {
		res, err := forebay.Process(t.Context(), c, task, analyse)
		if err != nil {
			t.Fatal(err)
		}
		if res.Value.Score != 15 || res.Value.Tips[0] != "Munich" || res.Meta.Cache.Status != want {
			t.Errorf("call %d: %+v", i, res)
		}
	}
	if calls != 1 {
		t.Errorf("the function ran %d times", calls)
	}
	other := task
	other.User = "user-457"
	if res, err := forebay.Process(t.Context(), c, other, analyse); err != nil || res.Meta.Cache.Status != forebay.CacheMiss {
		t.Errorf("another user: %+v %v", res.Meta.Cache, err)
	}
}

func TestProcessFailsAndFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nil, llmtest.Script())
		broken := func(context.Context, visit) (score, error) { return score{}, errors.New("out of order") }
		_, err := forebay.Process(t.Context(), c, forebay.Task[visit]{ID: "a"}, broken)
		wantKind(t, err, llm.ProviderError)
		res, err := forebay.Process(t.Context(), c, forebay.Task[visit]{ID: "b", Operation: "vc-analysis"}, broken)
		if err != nil || res.Text == "" || res.Meta.Fallback != degrade.Template {
			t.Errorf("%+v %v", res, err)
		}
		_, err = forebay.Process(t.Context(), c, forebay.Task[visit]{ID: "c"}, func(context.Context, visit) (score, error) { panic("boom") })
		wantKind(t, err, llm.ForebayInternal)
		_, err = forebay.Process(t.Context(), c, forebay.Task[visit]{Timeout: time.Second},
			func(ctx context.Context, _ visit) (score, error) { <-ctx.Done(); return score{}, ctx.Err() })
		wantKind(t, err, llm.CallerDeadline)
		_, err = forebay.Process(t.Context(), c, forebay.Task[chan int]{}, func(context.Context, chan int) (int, error) { return 0, nil })
		wantKind(t, err, llm.CallerInvalidRequest)
	})
}

func ExampleProcess() {
	client, err := forebay.New(forebay.Config{
		Operations: map[string]forebay.Operation{"vc-analysis": {Cache: forebay.CachePolicy{Scope: []cache.Dimension{cache.Tenant, cache.User}}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(context.Background())
	task := forebay.Task[string]{ID: "req-123", Operation: "vc-analysis", User: "user-456", Priority: llm.High, Payload: "Test Restaurant"}
	for range 2 {
		res, err := forebay.Process(context.Background(), client, task, func(_ context.Context, name string) (int, error) {
			return len(name), nil
		})
		fmt.Println(res.Value, res.Meta.Cache.Status, err)
	}
	// Output:
	// 15 miss <nil>
	// 15 hit <nil>
}
