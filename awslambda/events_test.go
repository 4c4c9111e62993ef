package awslambda_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/llm"
)

// samples are the sample events of the Go runtime's own tests, by name.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(shared, "data", "lambda", "aws-lambda-go-event-samples.tar.gz"))
	if err != nil {
		t.Skip("the sample events are not here (set FOREBAY_SHARED to the folder that holds data/lambda/aws-lambda-go-event-samples.tar.gz)")
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if all[path.Base(h.Name)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// ours are the samples that a function takes; it refuses every other one, and says what
// it takes.
var ours = map[string]string{
	"lambda-urls-request.json":                          "handler",
	"apigw-v2-request-iam.json":                         "handler",
	"apigw-v2-request-jwt-authorizer.json":              "handler",
	"apigw-v2-request-lambda-authorizer.json":           "handler",
	"apigw-v2-request-no-authorizer.json":               "handler",
	"apigw-request.json":                                "handler",
	"apigw-restapi-openapi-request.json":                "handler",
	"alb-lambda-target-request-headers-only.json":       "handler",
	"alb-lambda-target-request-multivalue-headers.json": "handler",
	"dynamodb-event.json":                               "nothing", // items of other tables
	"dynamodb-time-window-event.json":                   "nothing",
}

func TestSampleEvents(t *testing.T) {
	all := samples(t)
	if len(all) < 100 {
		t.Fatalf("only %d samples", len(all))
	}
	done := ""
	f := function(t, func(w http.ResponseWriter, _ *http.Request) { done = "handler"; _, _ = io.WriteString(w, "ok") },
		func(c *awslambda.Config) { c.StreamREST = true })
	for name, event := range all {
		done = "nothing"
		_, err := invoke(t, f, string(event))
		want, taken := ours[name]
		switch {
		case taken && (err != nil || done != want):
			t.Errorf("%s: %v, done by %s", name, err, done)
		case !taken && (llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(llm.AsError(err).Text(), "Function URL") || done != "nothing"):
			t.Errorf("%s is not refused as it should be: %v", name, err)
		}
	}
	for name := range ours {
		if all[name] == nil {
			t.Errorf("there is no sample %s", name)
		}
	}
}

func TestUnknownEvents(t *testing.T) {
	f := function(t, func(http.ResponseWriter, *http.Request) { t.Error("got to the handler") }, nil)
	for event, say := range map[string]string{
		``: "not well formed", `{`: "not well formed", `null`: "no JSON object", `[]`: "no JSON object", `"x"`: "no JSON object",
		`{"a":1,"a":2}`:     "not well formed",
		"{\"a\":\"\xff\"}":  "not well formed",
		`{}`:                "does not take events of this shape",
		`{"warmup":"true"}`: "does not take events of this shape",
		`{"forebay":{}}`:    "does not take events of this shape",
		`{"source":"aws.s3","detail-type":"Object Created"}`:                    "does not take events of aws.s3 of this shape",
		`{"Records":[{"eventSource":"aws:sqs"}]}`:                               "events of aws:sqs",
		`{"Records":[{"eventSource":"aws:dynamodb"},{"eventSource":"aws:s3"}]}`: "events of aws:dynamodb",
		`{"Records":[]}`:       "of this shape",
		`{"requestContext":1}`: "of this shape",
	} {
		_, err := invoke(t, f, event)
		text := llm.AsError(err).Text()
		if llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(text, say) {
			t.Errorf("%s: %v", event, err)
		}
		for _, shape := range awslambda.Shapes() {
			if !strings.Contains(text, string(shape)) {
				t.Errorf("%s: the error does not name %s", event, shape)
			}
		}
	}
}

func TestTraceParent(t *testing.T) {
	for id, want := range map[string]string{
		"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1":                 "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
		"Parent=53995c3f42cd8ad8; Sampled=0; Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a:0": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00",
		"Root=1-5759e988-bd862e3fe1be46a994272793":                                                   "",
		"Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8":                           "",
		"Root=1-5759e988-BD862e3fe1be46a994272793;Parent=53995c3f42cd8ad8":                           "",
		"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000":                           "",
		"": "",
	} {
		if got := awslambda.TraceParent(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	var seen []string
	f := function(t, func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.Header.Get("Traceparent")) }, nil)
	t.Setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	own := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, event := range []string{url("GET", "/", ""), strings.Replace(url("GET", "/", ""), `{"host"`, `{"traceparent":"`+own+`","host"`, 1)} {
		if _, err := invoke(t, f, event); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01", own}; !slices.Equal(seen, want) {
		t.Errorf("the handler saw %q", seen)
	}
}

// Whatever comes is answered or refused, never both, and never a crash.
func FuzzInvoke(f *testing.F) {
	for _, event := range []string{
		`{"warmup":true}`, `{"operation":"a","payload":{}}`, url("GET", "/%zz", ""), `{"Records":[{"eventSource":"aws:dynamodb"}]}`,
		`{"path":"/?#","httpMethod":"GET","requestContext":{"elb":{}},"queryStringParameters":{"a":"%"}}`,
	} {
		f.Add([]byte(event))
	}
	fn := function(f, func(w http.ResponseWriter, r *http.Request) {
		if r.URL == nil || r.Method == "" || r.Body == nil || r.ContentLength < 0 || r.RequestURI == "" {
			panic("a request that net/http would not make")
		}
		_, _ = io.Copy(w, r.Body)
	}, func(c *awslambda.Config) { c.StreamREST = true })
	f.Fuzz(func(t *testing.T, event []byte) {
		if strings.Contains(string(event), "hold_ms") || strings.Contains(string(event), "concurrency") {
			return // pings are held
		}
		answer, err := fn.Invoke(t.Context(), event)
		if (answer == nil) == (err == nil) {
			t.Fatalf("%v and %v", answer, err)
		}
		if err != nil {
			if llm.AsError(err).Kind == llm.ForebayInternal {
				t.Fatal(err)
			}
			return
		}
		if _, err := io.ReadAll(answer); err != nil {
			t.Fatal(err)
		}
		_ = answer.Close()
	})
}
