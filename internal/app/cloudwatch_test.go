package app_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/internal/app"
)

// TestCloudWatch: a gateway that is told to publishes its metrics, also those of its last
// moments.
func TestCloudWatch(t *testing.T) {
	var mu sync.Mutex // guards sums
	sums := map[string]float64{}
	granite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			plain, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = plain
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
			return
		}
		form, err := url.ParseQuery(string(raw)) // the Query protocol, which endpoints of the file get
		if err != nil || form.Get("Action") != "PutMetricData" {
			t.Errorf("%v in %s", err, raw)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for n := 1; ; n++ {
			item := fmt.Sprintf("MetricData.member.%d.", n)
			name := form.Get(item + "MetricName")
			if name == "" {
				break
			}
			if form.Has(item + "Dimensions.member.1.Name") {
				name += " by"
			}
			if form.Has(item + "Values.member.1") {
				sums[name]++
			}
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PutMetricDataResponse>`)
	}))
	defer granite.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "an-invented-secret")
	upstream, _ := priced(t, 0)
	s := start(t, app.Options{File: watchedFile(t, upstream, "", `
metrics: {cloudwatch: {enabled: true, interval: 1s, region: eu-central-1, endpoint: "`+granite.URL+`"}}`)})
	if status, body, _ := s.call(askFor(1, "ada"), bearer(webSecret)...); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	eventually(t, "gauges are published", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return sums["QueueDepth"] > 0
	})
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"RequestCount", "RequestCount by", "ResponseTime", "TokenUsage", "Cost", "QueueDepth", "AlertingUp", "DroppedItems"} {
		if sums[name] == 0 {
			t.Errorf("%s was not published: %v", name, sums)
		}
	}
}
