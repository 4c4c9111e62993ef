package fakeapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/uitest/fakeapi"
)

func open(t *testing.T, cfg fakeapi.Config) *fakeapi.Server {
	t.Helper()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cfg.Open, cfg.Seed, cfg.Now = true, 1, func() time.Time { return now }
	s, err := fakeapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s *fakeapi.Server, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// TestAnswersHaveTheShapeOfTheAPI reads what is made up into the types of what is real:
// a member that those do not have is an error.
func TestAnswersHaveTheShapeOfTheAPI(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		s := open(t, fakeapi.Config{Quiet: quiet})
		for path, into := range map[string]any{
			"/v1/me": &console.Session{}, "/v1/me/usage": &console.Usage{}, "/v1/overview?window=15m": &console.Overview{}, "/v1/operations?by=target": &console.OperationList{},
			"/v1/series?q=p95:duration&q=rate:requests&by=operation&window=1h": &console.SeriesAnswer{}, "/v1/series/metrics": &console.MetricList{}, "/v1/requests?limit=7": &console.RequestList{},
			"/v1/breakers/history?window=1h": &console.TransitionList{}, "/v1/alarms": &console.AlarmList{}, "/v1/alarms/history": &console.AlarmHistory{},
			"/v1/cost?by=user,model": &console.CostReport{}, "/v1/cost?by=day&currency=INR": &console.CostReport{}, "/v1/cost?by=month": &console.CostReport{}, "/v1/budgets": &console.BudgetList{}, "/v1/config": &console.ConfigList{},
			"/v1/health": &health.Health{}, "/v1/cache": &gateway.CacheState{}, "/v1/targets": &gateway.TargetList{}, "/v1/jobs": &gateway.JobList{}, "/v1/jobs/stats": &jobs.Stats{},
		} {
			read(t, path, ask(s, http.MethodGet, path, ""), into)
		}
	}
	s := open(t, fakeapi.Config{})
	read(t, "a request", ask(s, http.MethodGet, "/v1/requests/999999", ""), &requestlog.Entry{})
	read(t, "a silence", operator(http.MethodPost, "/v1/alarms/silences", `{"alarm":"*","for":"2h"}`), &alarm.Silence{})
	read(t, "a count", ask(s, http.MethodPost, "/v1/cache/invalidate", `{"operation":"quiz","dry_run":true}`), &gateway.Invalidated{})
}

func read(t *testing.T, what string, w *httptest.ResponseRecorder, into any) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d %s", what, w.Code, w.Body)
		return
	}
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestTheSameSeedGivesTheSameData(t *testing.T) {
	a, b := open(t, fakeapi.Config{}), open(t, fakeapi.Config{})
	for _, path := range []string{"/v1/requests?limit=100", "/v1/overview", "/v1/series?q=p95:duration&window=6h"} {
		if x, y := ask(a, http.MethodGet, path, "").Body.String(), ask(b, http.MethodGet, path, "").Body.String(); x != y {
			t.Errorf("%s differs", path)
		}
	}
}

func TestPagesOfTheLogJoin(t *testing.T) {
	s := open(t, fakeapi.Config{Requests: 300})
	var last int64 = 1 << 60
	path, seen := "/v1/requests?limit=100", 0
	for path != "" {
		var page console.RequestList
		read(t, path, ask(s, http.MethodGet, path, ""), &page)
		for _, e := range page.Data {
			if e.Seq >= last {
				t.Fatalf("%d after %d", e.Seq, last)
			}
			last = e.Seq
			seen++
		}
		path = ""
		if page.Next != 0 {
			path = "/v1/requests?limit=100&before=" + strconv.FormatInt(page.Next, 10)
		}
	}
	if seen != 300 {
		t.Errorf("%d entries of 300", seen)
	}
}

// operator asks with the operator's key.
func operator(method, path, body string) *httptest.ResponseRecorder {
	s, err := fakeapi.New(fakeapi.Config{})
	w := httptest.NewRecorder()
	if err != nil {
		return w
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+fakeapi.OperatorKey)
	s.ServeHTTP(w, r)
	return w
}
