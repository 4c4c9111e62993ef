package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/internal/runtimeapi"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// mostBytes is what the binary may have: a larger one takes longer to be fetched and
// started where Lambda has no environment that is warm.
const mostBytes = 25_000_000

// build makes the binary as it is deployed, for an architecture.
func build(t *testing.T, dir, arch string) string {
	t.Helper()
	out := filepath.Join(dir, "bootstrap-"+arch)
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// The binary is small enough, and does everything. A short run builds it for this machine only,
// and a long one (FOREBAY_LONG=1) for Lambda's other architecture too.
func TestBinary(t *testing.T) {
	dir := t.TempDir()
	arches := []string{runtime.GOARCH}
	if os.Getenv("FOREBAY_LONG") != "" && runtime.GOARCH != "arm64" {
		arches = append(arches, "arm64")
	}
	for _, arch := range arches {
		info, err := os.Stat(build(t, dir, arch))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", arch, info.Size())
		if info.Size() > mostBytes {
			t.Errorf("the binary for %s has %d bytes, over %d", arch, info.Size(), mostBytes)
		}
	}
	bootstrap := filepath.Join(dir, "bootstrap-"+runtime.GOARCH)
	t.Run("calls", func(t *testing.T) { testCalls(t, bootstrap) })
	t.Run("start", func(t *testing.T) { testStart(t, bootstrap) })
	t.Run("thaw", func(t *testing.T) { testThaw(t, bootstrap) })
	t.Run("lean", func(t *testing.T) { testLean(t, bootstrap) })
	t.Run("profile", func(t *testing.T) { testProfile(t, bootstrap) })
}

// function runs the binary against a runtime API until the test ends.
func function(t *testing.T, bootstrap string, environ ...string) (*runtimeapi.Server, func() string) {
	t.Helper()
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	cmd := exec.Command(bootstrap)
	cmd.Env = append(append(api.Environ(), "HOME="+t.TempDir()), environ...)
	cmd.Stderr, cmd.Stdout, cmd.Dir = &log, &log, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // Lambda ends functions so
		_ = cmd.Wait()
		if err := api.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return api, log.String
}

type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// model is a server of OpenAI's protocol. A prompt with "cut" gets half a stream, one
// with "slow" nothing for long, and one with "paced" no second word until seen is closed.
func model(t *testing.T, seen <-chan struct{}) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		switch {
		case strings.Contains(text, "slow"):
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		case strings.Contains(text, `"stream":true`):
			w.Header().Set("Content-Type", "text/event-stream")
			for _, word := range []string{"one ", "two ", "three "} {
				fmt.Fprintf(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", word)
				w.(http.Flusher).Flush()
				if strings.Contains(text, "paced") {
					select {
					case <-seen:
					case <-time.After(time.Minute):
					}
				}
			}
			if strings.Contains(text, "cut") {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// url is the event of a Function URL.
func url(path, body string) []byte {
	return fmt.Appendf(nil, `{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":"","headers":{"authorization":"Bearer secret-of-web","content-type":"application/json","host":"a.lambda-url.eu-central-1.on.aws"},
		"requestContext":{"domainName":"a.lambda-url.eu-central-1.on.aws","http":{"method":"POST","path":%q,"sourceIp":"192.0.2.1"},"stage":"$default"},"body":%q,"isBase64Encoded":false}`, path, path, body)
}

const chat = "/v1/chat/completions"

// TestMain stops the emulator that the tests have started.
func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// tables makes the tables of a function on an emulator of DynamoDB, and gives its address.
func tables(t *testing.T) string {
	t.Helper()
	endpoint := awstest.Dynalite(t)
	tables := dynamo.Config{Queue: "t-queue", Cache: "t-cache", Ledger: "t-ledger", Control: "t-control"}
	awstest.Tables(t, dynamodb.NewFromConfig(awstest.Config(endpoint)), dynamo.Schemas(tables))
	return endpoint
}

// configuration is the file of a function with a model, an operation and tables.
func configuration(t *testing.T, seen <-chan struct{}) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "forebay.yaml")
	text := fmt.Sprintf(`
keys: [{name: web, secret: secret-of-web, scopes: [call, jobs]}]
providers: {up: {type: openai, base_url: %q}}
models: {m: {targets: [{provider: up, model: m}]}}
operations: {vc-analysis: {model: m}}
retry: {max: 0}
store:
  master_key: "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
  dynamodb: {region: %s, endpoint: %q, queue: t-queue, cache: t-cache, ledger: t-ledger, control: t-control}
`, model(t, seen), awstest.Region, tables(t))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

func testCalls(t *testing.T, bootstrap string) {
	seen := make(chan struct{})
	api, log := function(t, bootstrap, "FOREBAY_CONFIG="+configuration(t, seen), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	do := func(e runtimeapi.Event) runtimeapi.Answer {
		t.Helper()
		a, err := api.Invoke(ctx, e)
		if err != nil {
			t.Fatalf("%v\n%s", err, log())
		}
		return a
	}

	a := do(runtimeapi.Event{Payload: []byte(`{"warmup":true}`)})
	if !strings.Contains(string(a.Body), `"cold":true`) {
		t.Errorf("the first ping: %s", a.Body)
	}

	// Whole, with the trace of the invocation; then the same from the cache.
	for _, status := range []string{"fwd=uri-miss", "forebay; hit"} {
		a = do(runtimeapi.Event{
			Payload: url(chat, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`),
			TraceID: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
		})
		head, body, ok := a.Prelude()
		if !ok || a.ContentType != "application/vnd.awslambda.http-integration-response" || !strings.Contains(head, `"statusCode":200`) ||
			!strings.Contains(head, "5759e988bd862e3fe1be46a994272793") || !strings.Contains(head, status) || !strings.Contains(body, "hello") {
			t.Errorf("whole (%s): %s %s", status, head, body)
		}
	}

	// A stream, in pieces: the first one is there before the model goes on.
	pieces := 0
	a = do(runtimeapi.Event{Payload: url(chat, `{"model":"m","stream":true,"messages":[{"role":"user","content":"paced"}]}`), OnPiece: func(piece []byte) {
		if pieces == 0 && bytes.Contains(piece, []byte("one ")) {
			pieces++
			close(seen)
		}
	}})
	if _, body, _ := a.Prelude(); pieces != 1 || !strings.HasSuffix(body, "data: [DONE]\n\n") || a.ErrorType != "" {
		t.Errorf("%d pieces, error %q: %s", pieces, a.ErrorType, body)
	}

	// A stream that breaks: an error event, and an error at the end.
	a = do(runtimeapi.Event{Payload: url(chat, `{"model":"m","stream":true,"messages":[{"role":"user","content":"cut"}]}`)})
	if _, body, _ := a.Prelude(); !strings.Contains(body, "provider_truncated") || a.ErrorType == "" || !strings.Contains(a.ErrorBody, "broke off") {
		t.Errorf("a broken stream: error %q %s: %s", a.ErrorType, a.ErrorBody, body)
	}

	// The invocation's time bounds the call, and the answer still goes out.
	a = do(runtimeapi.Event{Payload: url(chat, `{"model":"m","messages":[{"role":"user","content":"slow"}]}`), Timeout: 1500 * time.Millisecond})
	if head, body, _ := a.Prelude(); !strings.Contains(head, `"statusCode":504`) || !strings.Contains(body, "caller_deadline") {
		t.Errorf("out of time: %s %s", head, body)
	}

	// The specification's handler.
	a = do(runtimeapi.Event{Payload: []byte(`{"operation":"vc-analysis","payload":{"businessName":"Test"},"userId":"u"}`)})
	if text := string(a.Body); a.Failed || !strings.HasPrefix(text, `{"statusCode":200,`) || !strings.Contains(text, `\"success\":true`) || !strings.Contains(text, `00000000-0000-4000-8000-`) {
		t.Errorf("an operation: %s", text)
	}

	// A job is taken in, worked on, and its result is there.
	submit := bytes.Replace(url(chat, `{"model":"m","messages":[{"role":"user","content":"later"}]}`), []byte(`{"authorization"`), []byte(`{"prefer":"respond-async","authorization"`), 1)
	a = do(runtimeapi.Event{Payload: submit})
	head, body, _ := a.Prelude()
	id := regexp.MustCompile(`"id":"(job_[^"]+)"`).FindStringSubmatch(body)
	if !strings.Contains(head, `"statusCode":202`) || id == nil {
		t.Fatalf("a job: %s %s", head, body)
	}
	a = do(runtimeapi.Event{Payload: []byte(`{"forebay":{"work":true}}`)})
	if !strings.Contains(string(a.Body), `"claimed":1,"completed":1,"ended":0,"requeued":0`) {
		t.Errorf("work: %s", a.Body)
	}
	a = do(runtimeapi.Event{Payload: bytes.Replace(url("/v1/jobs/"+id[1]+"/result", ""), []byte(`"method":"POST"`), []byte(`"method":"GET"`), 1)})
	if head, body, _ = a.Prelude(); !strings.Contains(head, `"statusCode":200`) || !strings.Contains(body, "hello") {
		t.Errorf("the job's result: %s %s", head, body)
	}
	// One that is too slow is handed back in time.
	a = do(runtimeapi.Event{Payload: bytes.Replace(submit, []byte("later"), []byte("slow"), 1)})
	begun := time.Now()
	a = do(runtimeapi.Event{Payload: []byte(`{"forebay":{"work":true}}`), Timeout: 5 * time.Second})
	if took := time.Since(begun); !strings.Contains(string(a.Body), `"claimed":1,"completed":0,"ended":0,"requeued":1`) || took > 5*time.Second {
		t.Errorf("work without enough time: %s after %s", a.Body, took)
	}

	a = do(runtimeapi.Event{Payload: []byte(`{"Records":[{"eventSource":"aws:s3"}]}`)})
	if !a.Failed || !strings.Contains(string(a.Body), `"errorType":"caller_invalid_request"`) || !strings.Contains(string(a.Body), "Function URL") {
		t.Errorf("an event of S3: %s", a.Body)
	}
	if text := log(); !strings.Contains(text, `"init_ms"`) || strings.Contains(text, "panic") || strings.Contains(text, "secret-of-web") {
		t.Errorf("the log: %s", text)
	}
}

// A start that fails says why: in the log, and to Lambda.
func testStart(t *testing.T, bootstrap string) {
	api, log := function(t, bootstrap, "OPENAI_API_KEY=key", "MAX_QUEUE_SIZE=many", "FOREBAY_LAMBDA_STREAM=url")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text, err := api.InitFailure(ctx)
	if err != nil || !strings.Contains(text, "Forebay.Configuration") || !strings.Contains(text, "MAX_QUEUE_SIZE") {
		t.Errorf("%v: %s\n%s", err, text, log())
	}
}
