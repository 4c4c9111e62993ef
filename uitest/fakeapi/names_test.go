package fakeapi_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/requestlog"
)

// TestTypesOfThePagesHaveTheAPIsNames compares the names in the pages' types with those of
// the Go types, both ways: a name that was changed on one side alone is shown as nothing.
func TestTypesOfThePagesHaveTheAPIsNames(t *testing.T) {
	known := map[string]bool{}
	for _, v := range []any{
		console.Overview{},
		console.OperationList{},
		console.SeriesAnswer{},
		console.MetricEntry{},
		console.RequestList{},
		console.Live{},
		console.TransitionList{},
		console.AlarmList{},
		console.AlarmHistory{},
		console.NewSilence{},
		console.AlarmTest{},
		console.CostReport{},
		console.BudgetList{},
		console.Usage{},
		console.ConfigList{},
		console.Session{},
		alarm.Event{},
		requestlog.Entry{},
		health.Health{},
		gateway.CacheState{},
		gateway.Invalidation{},
		gateway.Invalidated{},
		gateway.TargetList{},
		forebay.TargetStatus{},
		gateway.BreakerChange{},
		gateway.JobList{},
		jobs.Stats{},
	} {
		names(reflect.TypeOf(v), known, map[reflect.Type]bool{})
	}
	text, err := os.ReadFile("../../dashboard/ui/types.ts")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)//.*$|/\*\*.*\*/`).ReplaceAllString(string(text), "")
	written := map[string]bool{}
	for _, m := range regexp.MustCompile(`([A-Za-z0-9_]+)\??: `).FindAllStringSubmatch(code, -1) {
		written[m[1]] = true
		if !known[m[1]] {
			t.Errorf("types.ts has %s, and the API has not", m[1])
		}
	}
	for name := range known {
		if !written[name] {
			t.Errorf("the API has %s, and types.ts has not", name)
		}
	}
}

// names adds the names that JSON has for a type.
func names(x reflect.Type, into map[string]bool, seen map[reflect.Type]bool) {
	switch x.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		names(x.Elem(), into, seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[x] || x.PkgPath() == "time" {
		return
	}
	seen[x] = true
	for i := range x.NumField() {
		f := x.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || tag == "-":
			continue
		case tag != "":
			into[tag] = true
		case !f.Anonymous:
			into[f.Name] = true
		}
		names(f.Type, into, seen)
	}
}
