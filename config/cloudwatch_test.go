package config_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// TestCloudWatch: what a file says about CloudWatch arrives.
func TestCloudWatch(t *testing.T) {
	f := read(t, config.Sources{Upstreams: upstream()})
	w, err := f.Watch()
	if err != nil || w.CloudWatch.Enabled || w.CloudWatch.Sink.Namespace != names.Namespace || !slices.Equal(w.CloudWatch.Sink.By, names.DefaultBy()) || w.CloudWatch.Sink.Interval != time.Minute {
		t.Errorf("%+v %v", w.CloudWatch, err)
	}
	f = read(t, config.Sources{Upstreams: upstream(), Path: "forebay.yaml", Content: []byte(`
metrics:
  cloudwatch: {enabled: true, emf: stdout, namespace: Mine/AI, dimensions: {Stage: prod}, by: [Operation, Model], max_series: 7, interval: 10s, region: ap-south-1}
`)})
	w, err = f.Watch()
	c := w.CloudWatch
	if err != nil || !c.Enabled || !c.EMF || c.Sink.Namespace != "Mine/AI" || c.Sink.Dimensions["Stage"] != "prod" || !slices.Equal(c.Sink.By, []names.Dimension{names.Operation, names.Model}) ||
		c.Sink.MaxSeries != 7 || c.Sink.Interval != 10*time.Second || c.AWS.Region != "ap-south-1" {
		t.Errorf("%+v %v", c, err)
	}
}

// TestCloudWatchEndpoint: an endpoint of the file gets the protocol that emulators speak.
func TestCloudWatchEndpoint(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got <- r.PostForm.Get("Action") + " " + r.PostForm.Get("Namespace") + " " + r.PostForm.Get("MetricData.member.1.Unit")
		_, _ = io.WriteString(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PutMetricDataResponse>`)
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "testing")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testing")
	f := read(t, config.Sources{Upstreams: upstream(), Path: "forebay.yaml", Content: []byte(
		"metrics: {cloudwatch: {enabled: true, region: eu-central-1, endpoint: '" + server.URL + "', by: []}}")})
	w, err := f.Watch()
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.CloudWatch.Open(t.Context(), cloudwatch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Function("x", "5xx", time.Second) // by nothing: nowhere
	s.Call(&monitor.Call{Operation: "chat", Outcome: monitor.OK, Cache: "off"})
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if by := w.CloudWatch.Sink.By; by == nil || len(by) != 0 {
		t.Errorf("by: %v, want an empty list, which is not the default", by)
	}
	if g := <-got; g != "PutMetricData Forebay Count" {
		t.Errorf("%q", g)
	}
}

// TestTopic: the specification's topic is a notifier, beside those of the type sns.
func TestTopic(t *testing.T) {
	const arn = "arn:aws:sns:eu-central-1:123456789012:matbakh-bedrock-ai-performance-alerts-production"
	f := read(t, config.Sources{
		Upstreams: upstream(), Path: "forebay.yaml", Content: []byte("alarms: {notifiers: {pager: {type: sns, topic: '" + arn + ".fifo'}}}"),
	}, "BEDROCK_ALERT_TOPIC_ARN="+arn)
	all, err := f.Notifiers(slog.New(slog.DiscardHandler))
	if err != nil || len(all) != 2 || all[0].Name() != "pager" || all[1].Name() != "topic" {
		t.Errorf("%v %v", all, err)
	}
	_, err = config.Read(config.Sources{
		Upstreams: upstream(), Environ: []string{}, Path: "forebay.yaml",
		Content: []byte("alarms: {topic: alerts, notifiers: {pager: {type: sns}}}\nmetrics: {cloudwatch: {namespace: AWS/X}}"),
	})
	for _, word := range []string{"alarms.topic", "alarms.notifiers.pager", "metrics.cloudwatch: namespace"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named in %v", word, err)
		}
	}
}
