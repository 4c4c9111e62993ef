package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
)

const someTopic = "arn:aws:sns:eu-central-1:123456789012:matbakh-bedrock-ai-performance-alerts-production"

// topic keeps what is published.
type topic struct{ got []*sns.PublishInput }

func (p *topic) Publish(_ context.Context, in *sns.PublishInput, with ...func(*sns.Options)) (*sns.PublishOutput, error) {
	var o sns.Options
	for _, f := range with {
		f(&o)
	}
	if o.Retryer == nil || o.Retryer.MaxAttempts() != 1 {
		return nil, errors.New("the SDK would retry too")
	}
	p.got = append(p.got, in)
	return &sns.PublishOutput{}, nil
}

func newSNS(t *testing.T, cfg notify.SNSConfig) *notify.SNS {
	t.Helper()
	if cfg.Topic == "" {
		cfg.Topic = someTopic
	}
	s, err := notify.NewSNS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func snsNotice() alarm.Notice {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return alarm.Notice{
		ID: "n-17", At: at, Severity: alarm.Critical, Title: "Too many calls fail – für alle", Source: "gateway-eu",
		Items: []alarm.Item{{
			Status:   alarm.Status{Name: "error-rate-critical", State: alarm.Firing, Since: at.Add(-time.Minute), Value: 0.12, HasValue: true, Reason: "12 % of 400 calls"},
			Severity: alarm.Critical, Message: "Far too many calls fail.", Do: "See the page Operations.", Runbook: "https://wiki.example.com/errors",
		}},
	}
}

// checkPublish holds a request against what SNS takes.
func checkPublish(in *sns.PublishInput) (map[string]string, error) {
	subject := *in.Subject
	if subject == "" || len(subject) > 100 || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r > '~' }) || subject[0] == ' ' {
		return nil, fmt.Errorf("subject %q", subject)
	}
	size := len(*in.Message)
	for name, a := range in.MessageAttributes {
		if *a.StringValue == "" || name == "" {
			return nil, fmt.Errorf("attribute %q is empty", name)
		}
		size += len(name) + len(*a.DataType) + len(*a.StringValue)
	}
	if size > 256<<10 || len(in.MessageAttributes) > 10 {
		return nil, fmt.Errorf("%d bytes, %d attributes", size, len(in.MessageAttributes))
	}
	texts := map[string]string{}
	if err := json.Unmarshal([]byte(*in.Message), &texts); err != nil || texts["default"] == "" {
		return nil, fmt.Errorf("message structure: %v", err)
	}
	return texts, nil
}

// TestSNSMessage: people get a text, programs JSON, filters attributes.
func TestSNSMessage(t *testing.T) {
	var p topic
	s := newSNS(t, notify.SNSConfig{Client: &p})
	if err := s.Notify(t.Context(), snsNotice()); err != nil {
		t.Fatal(err)
	}
	in := p.got[0]
	texts, err := checkPublish(in)
	if err != nil {
		t.Fatal(err)
	}
	if *in.Subject != "[CRITICAL] Too many calls fail ? f?r alle" || *in.MessageStructure != "json" || *in.TopicArn != someTopic || in.MessageGroupId != nil {
		t.Errorf("%q %+v", *in.Subject, in)
	}
	for _, word := range []string{"für alle", "12 % of 400 calls", "What to do: See the page Operations.", "https://wiki.example.com/errors"} {
		if !strings.Contains(texts["email"], word) || !strings.Contains(texts["default"], word) {
			t.Errorf("%q is not in the mail:\n%s", word, texts["email"])
		}
	}
	var event struct {
		Type, State, Severity, ID string
		DedupKey                  string `json:"dedup_key"`
		Items                     []struct {
			Name    string
			Value   float64
			Runbook string
		}
	}
	if err := json.Unmarshal([]byte(texts["sqs"]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != "forebay.alarm" || event.State != "firing" || event.Severity != "critical" || event.ID != "n-17" || len(event.Items) != 1 ||
		event.Items[0].Name != "error-rate-critical" || event.Items[0].Value != 0.12 || len(event.DedupKey) != 32 {
		t.Errorf("%+v", event)
	}
	for _, program := range []string{"http", "https", "lambda", "firehose"} {
		if texts[program] != texts["sqs"] {
			t.Errorf("%s gets %q", program, texts[program])
		}
	}
	for name, want := range map[string]string{"severity": "critical", "state": "firing", "source": "gateway-eu", "alarm": "error-rate-critical", "dedup_key": event.DedupKey} {
		if got := aws.ToString(in.MessageAttributes[name].StringValue); got != want {
			t.Errorf("attribute %s: %q, want %q", name, got, want)
		}
	}
}

// TestSNSDedup: what is about the same alarms has the same key and group, each notice an id
// of its own.
func TestSNSDedup(t *testing.T) {
	var p topic
	s := newSNS(t, notify.SNSConfig{Client: &p, Topic: someTopic + ".fifo"})
	firing, resolved, other := snsNotice(), snsNotice(), snsNotice()
	resolved.Resolved, resolved.ID = true, "n-18 with spaces"
	other.Items[0].Of = "bedrock-eu"
	for _, n := range []alarm.Notice{firing, firing, resolved, other} {
		if err := s.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	group := func(i int) string { return *p.got[i].MessageGroupId }
	id := func(i int) string { return *p.got[i].MessageDeduplicationId }
	if id(0) != id(1) || id(0) == id(2) || group(0) != group(2) || group(0) == group(3) || strings.Contains(id(2), " ") {
		t.Errorf("ids %q %q %q, groups %q %q %q", id(0), id(1), id(2), group(0), group(2), group(3))
	}
}

// TestSNSBounds: whatever a notice says, SNS takes it.
func TestSNSBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var p topic
		s := newSNS(t, notify.SNSConfig{Client: &p})
		word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", strings.Repeat(`"\`, 400), strings.Repeat("ü", 600), "\x00\r\n", strings.Repeat("<&>", 300)}))
		n := alarm.Notice{ID: word.Draw(rt, "id"), Title: word.Draw(rt, "title"), Source: word.Draw(rt, "source"), Severity: alarm.Critical}
		for range rapid.IntRange(0, 25).Draw(rt, "items") {
			text := word.Draw(rt, "text")
			n.Items = append(n.Items, alarm.Item{Status: alarm.Status{Name: text, Of: text, Reason: text}, Message: text, Do: text, Runbook: text})
		}
		if err := s.Notify(t.Context(), n); err != nil {
			rt.Fatal(err)
		}
		if _, err := checkPublish(p.got[0]); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestSNSErrors: what another try may end is tried again, what not is given up with a fix.
func TestSNSErrors(t *testing.T) {
	for _, test := range []struct {
		status      int
		code        string
		final       bool
		fix, header string
	}{
		{400, "Throttled", false, "", ""},
		{429, "Throttling", false, "", "7"},
		{500, "InternalError", false, "", ""},
		{503, "ServiceUnavailable", false, "", ""},
		{404, "NotFound", true, "no such topic", ""},
		{403, "AuthorizationError", true, "sns:Publish", ""},
		{403, "InvalidClientTokenId", true, "sns:Publish", ""},
		{400, "KMSAccessDenied", true, "kms:Decrypt", ""},
		{400, "InvalidParameter", true, "message itself", ""},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			if test.header != "" {
				w.Header().Set("Retry-After", test.header)
			}
			w.WriteHeader(test.status)
			fmt.Fprintf(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>`, test.code)
		}))
		cfg := awstest.Config(server.URL)
		cfg.RetryMaxAttempts = 5
		s := newSNS(t, notify.SNSConfig{Client: sns.NewFromConfig(cfg)})
		err := s.Notify(t.Context(), snsNotice())
		server.Close()
		refusal := llm.AsError(err)
		if err == nil || refusal.NoRetry != test.final || !strings.Contains(refusal.Fix, test.fix) || refusal.Status != test.status || asked != 1 ||
			test.header != "" && refusal.RetryAfter != 7*time.Second {
			t.Errorf("%s: %+v after %d requests", test.code, refusal, asked)
		}
	}
}

// TestSNSTimeout: a topic that does not answer is given up in time.
func TestSNSTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	s := newSNS(t, notify.SNSConfig{Client: sns.NewFromConfig(awstest.Config(server.URL)), Timeout: 50 * time.Millisecond})
	if err := s.Notify(t.Context(), snsNotice()); err == nil || llm.AsError(err).NoRetry {
		t.Errorf("%v", err)
	}
}

// TestSNSOnMoto: an emulator of SNS takes notices, and a subscriber gets them.
func TestSNSOnMoto(t *testing.T) {
	cfg := awstest.Config(awstest.Moto(t))
	client := sns.NewFromConfig(cfg)
	got := make(chan string, 10)
	subscriber := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	defer subscriber.Close()
	made, err := client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String(fmt.Sprint("alerts-", time.Now().UnixNano()))}) // subscribers of an earlier run are gone
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &subscriber.URL}); err != nil {
		t.Fatal(err)
	}
	d, err := notify.New(notify.Config{Notifiers: []alarm.Notifier{newSNS(t, notify.SNSConfig{Client: client, Topic: *made.TopicArn})}, Source: "gateway-eu"})
	if err != nil {
		t.Fatal(err)
	}
	if r := d.Test(t.Context(), "sns"); len(r) != 1 || !r[0].OK {
		t.Fatalf("%+v", r)
	}
	var notification struct{ Type, Message, Subject string }
	if err := json.Unmarshal([]byte(<-got), &notification); err != nil {
		t.Fatal(err)
	}
	if notification.Type != "Notification" || !strings.HasPrefix(notification.Subject, "[TEST] ") || !strings.Contains(notification.Message, "gateway-eu") {
		t.Errorf("%+v", notification)
	}
	missing := newSNS(t, notify.SNSConfig{Client: client, Topic: "arn:aws:sns:eu-central-1:123456789012:nobody"})
	if err := missing.Notify(t.Context(), snsNotice()); err == nil || !llm.AsError(err).NoRetry {
		t.Errorf("a topic that is not there: %v", err)
	}
}

// TestSNSFaults: every fault of a configuration is named.
func TestSNSFaults(t *testing.T) {
	err := notify.SNSConfig{Name: "With Spaces", Topic: "alerts", Timeout: -1}.Validate()
	for _, word := range []string{"name", "topic", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named in %v", word, err)
		}
	}
	if s, err := notify.NewSNS(notify.SNSConfig{Topic: someTopic}); err != nil || s.Name() != "sns" {
		t.Errorf("with AWS's own client: %v", err)
	}
	const before = "arn:aws:sns:eu-central-1:123456789012:"
	for name, ok := range map[string]bool{
		strings.Repeat("x", 256): true, strings.Repeat("x", 257): false, strings.Repeat("x", 251) + ".fifo": true, strings.Repeat("x", 252) + ".fifo": false,
		"a.b": false, "": false, "x\n": false,
	} {
		if got := notify.TopicRegion(before + name); (got != "") != ok {
			t.Errorf("%.10q… of %d characters: %q", name, len(name), got)
		}
	}
	if region := notify.TopicRegion("arn:aws-us-gov:sns:us-gov-west-1:123456789012:x.fifo"); region != "us-gov-west-1" {
		t.Errorf("region %q", region)
	}
}
