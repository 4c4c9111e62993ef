package awslambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// function makes a function around handler, with whatever set changes.
func function(t testing.TB, handler http.HandlerFunc, set func(*awslambda.Config)) *awslambda.Function {
	t.Helper()
	cfg := awslambda.Config{Handler: handler}
	if set != nil {
		set(&cfg)
	}
	f, err := awslambda.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// invoke reads an answer to its end.
func invoke(t testing.TB, f *awslambda.Function, event string) (string, error) {
	t.Helper()
	answer, err := f.Invoke(t.Context(), []byte(event))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(answer)
	if closed := answer.Close(); closed != nil {
		t.Error(closed)
	}
	return string(text), err
}

// streamed splits a streamed answer into its prelude and the body.
func streamed(t testing.TB, text string) (head map[string]any, body string) {
	t.Helper()
	prelude, body, ok := strings.Cut(text, "\x00\x00\x00\x00\x00\x00\x00\x00")
	if !ok {
		t.Fatalf("no prelude in %q", text)
	}
	if err := json.Unmarshal([]byte(prelude), &head); err != nil {
		t.Fatal(err)
	}
	return head, body
}

// url is the event of a Function URL.
func url(method, path, more string) string {
	return fmt.Sprintf(`{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":"","headers":{"host":"abc.lambda-url.eu-central-1.on.aws","content-type":"application/json","x-forwarded-proto":"https"},
		"requestContext":{"domainName":"abc.lambda-url.eu-central-1.on.aws","requestId":"r-1","stage":"$default","http":{"method":%q,"path":"/x","protocol":"HTTP/1.1","sourceIp":"192.0.2.7"}}%s}`, path, method, more)
}

func TestFunctionURL(t *testing.T) {
	f := function(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Length", "12")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Trailer", "X-Late")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s %s|%s|%d|%s|%v", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.RemoteAddr, body, r.ContentLength, r.Header.Get("Cookie"), r.TLS != nil)
	}, nil)
	event := strings.Replace(url("POST", "/bedrock/model/arn%3Aaws%3Abedrock%2Fx:0/converse", `,"cookies":["c1=x","c2=y"],"body":"eyJhIjoxfQ==","isBase64Encoded":true`),
		`"rawQueryString":""`, `"rawQueryString":"q=%20a&q=b"`, 1)
	text, err := invoke(t, f, event)
	if err != nil {
		t.Fatal(err)
	}
	head, body := streamed(t, text)
	want := map[string]any{"statusCode": 202.0, "headers": map[string]any{"Content-Type": "text/event-stream"}, "cookies": []any{"a=1", "b=2"}}
	if diff := cmp.Diff(want, head); diff != "" {
		t.Error(diff)
	}
	if want := `POST /bedrock/model/arn%3Aaws%3Abedrock%2Fx:0/converse q=%20a&q=b abc.lambda-url.eu-central-1.on.aws 192.0.2.7:0|{"a":1}|7|c1=x; c2=y|true`; body != want {
		t.Errorf("the handler saw\n%s, want\n%s", body, want)
	}
}

// The head is there with the first byte, each piece when it is written, and the end
// when the handler has returned.
func TestStreamComesInPieces(t *testing.T) {
	next := make(chan string)
	ended := make(chan struct{})
	f := function(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		for piece := range next {
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
		}
	}, nil)
	go func() { next <- "one" }()
	answer, err := f.Invoke(t.Context(), []byte(url("GET", "/", "")))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	read := func(until string) {
		t.Helper()
		b := make([]byte, 64)
		for !strings.HasSuffix(got.String(), until) {
			n, err := answer.Read(b)
			if err != nil {
				t.Fatalf("after %q: %v", got.String(), err)
			}
			got.Write(b[:n])
		}
	}
	read("one")
	next <- "two" // the handler waits for it: nothing else comes meanwhile
	read("two")
	close(next)
	if n, err := answer.Read(make([]byte, 8)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	if err := answer.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Close returned before the handler")
	}
}

// A stream that fails ends with an error, in a read of its own: the runtime's loop drops
// the bytes that come with an error.
func TestBrokenStream(t *testing.T) {
	for name, end := range map[string]any{"aborted": http.ErrAbortHandler, "panic": "of the handler"} {
		f := function(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic(end)
		}, nil)
		answer, err := f.Invoke(t.Context(), []byte(url("GET", "/", "")))
		if err != nil {
			t.Fatal(name, err)
		}
		var text []byte
		for {
			b := make([]byte, 1<<10)
			n, err := answer.Read(b)
			if text = append(text, b[:n]...); err == nil {
				continue
			}
			if err == io.EOF || n != 0 {
				t.Errorf("%s: the end is %v, with %d bytes", name, err, n)
			}
			break
		}
		_ = answer.Close()
		if _, body := streamed(t, string(text)); body != "half" {
			t.Errorf("%s: %q", name, body)
		}
	}
}

// One that fails before its head is an answer.
func TestBrokenBeforeTheHead(t *testing.T) {
	f := function(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil)
	text, err := invoke(t, f, url("GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	head, body := streamed(t, text)
	if head["statusCode"] != 502.0 || !strings.Contains(body, "provider_truncated") {
		t.Errorf("%v %s", head, body)
	}
}

// Who closes the answer early ends the handler.
func TestReaderLeaves(t *testing.T) {
	var failed error
	f := function(t, func(w http.ResponseWriter, r *http.Request) {
		for failed == nil {
			_, failed = io.WriteString(w, "more")
		}
		<-r.Context().Done()
	}, nil)
	answer, err := f.Invoke(t.Context(), []byte(url("GET", "/", "")))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Close(); err != nil || failed == nil {
		t.Errorf("%v; the handler's write: %v", err, failed)
	}
}

// document is a whole answer.
type document struct {
	StatusCode        int
	StatusDescription string
	Headers           map[string]string
	MultiValueHeaders map[string][]string
	Cookies           []string
	Body              string
	IsBase64Encoded   bool
}

func decode(t *testing.T, text string) (d document) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

func TestWholeAnswers(t *testing.T) {
	f := function(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Connection", "close")
		fmt.Fprintf(w, "%s %s?%s %s %s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.RemoteAddr, strings.Join(r.Header["X-Two"], "+"))
	}, nil)
	v2 := `{"version":"2.0","rawPath":"/prod/v1/a%2Fb","rawQueryString":"x=1","headers":{"accept":"text/plain"},"requestContext":{"stage":"prod","domainName":"x.execute-api.eu-central-1.amazonaws.com","http":{"method":"GET","sourceIp":"192.0.2.1"}}}`
	v1 := `{"resource":"/{proxy+}","path":"/v1/a b","httpMethod":"PUT","headers":null,"multiValueHeaders":{"accept":["application/vnd.amazon.eventstream"],"x-two":["1","2"]},"multiValueQueryStringParameters":{"q":["a&b","c"]},"requestContext":{"stage":"prod","identity":{"sourceIp":"2001:db8::1"}},"body":null}`
	elb := `{"httpMethod":"GET","path":"/v1/%41","queryStringParameters":{"q":"a%26b"},"headers":{"accept":"text/plain","x-forwarded-for":"192.0.2.66, 192.0.2.9"},"requestContext":{"elb":{"targetGroupArn":"arn"}},"body":"","isBase64Encoded":false}`
	elbs := `{"httpMethod":"GET","path":"/","multiValueQueryStringParameters":{},"multiValueHeaders":{"accept":["text/plain"]},"requestContext":{"elb":{"targetGroupArn":"arn"}},"body":"","isBase64Encoded":false}`
	cookies := []string{"a=1", "b=2"}
	for _, c := range []struct {
		name, event string
		want        document
	}{
		{"HTTP API", v2, document{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: cookies, Body: "GET /v1/a%2Fb?x=1 192.0.2.1:0 "}},
		{"REST API", v1, document{
			StatusCode: 200, MultiValueHeaders: map[string][]string{"Content-Type": {"application/vnd.amazon.eventstream"}, "Set-Cookie": cookies},
			Body: "UFVUIC92MS9hJTIwYj9xPWElMjZiJnE9YyBbMjAwMTpkYjg6OjFdOjAgMSsy", IsBase64Encoded: true,
		}},
		{"load balancer", elb, document{StatusCode: 200, StatusDescription: "200 OK", Headers: map[string]string{"Content-Type": "text/plain", "Set-Cookie": "a=1"}, Body: "GET /v1/%41?q=a%26b 192.0.2.9:0 "}},
		{"load balancer, multiple values", elbs, document{
			StatusCode: 200, StatusDescription: "200 OK", MultiValueHeaders: map[string][]string{"Content-Type": {"text/plain"}, "Set-Cookie": cookies}, Body: "GET /? :0 ",
		}},
	} {
		text, err := invoke(t, f, c.event)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if diff := cmp.Diff(c.want, decode(t, text)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// A whole answer is complete, or says that it is not.
func TestWholeAnswerThatIsNone(t *testing.T) {
	event := `{"version":"2.0","rawPath":"/","headers":{},"requestContext":{"http":{"method":"GET"}}}`
	broken := function(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "data: half\n\n")
		panic(http.ErrAbortHandler)
	}, nil)
	text, err := invoke(t, broken, event)
	if d := decode(t, text); err != nil || d.StatusCode != 502 || strings.Contains(d.Body, "half") {
		t.Errorf("%v: %+v", err, d)
	}
	var told error
	large := function(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := []byte(strings.Repeat(`"`, 1<<20))
		for range 8 {
			if _, told = w.Write(piece); told != nil {
				return
			}
		}
	}, nil)
	text, err = invoke(t, large, event)
	if d := decode(t, text); err != nil || d.StatusCode != 413 || !strings.Contains(d.Body, "6291556 bytes") || told == nil {
		t.Errorf("%v: %+v; the handler was told %v", err, d, told)
	}
	escaped := function(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(`"`, 4<<20)) }, nil)
	text, err = invoke(t, escaped, event)
	if d := decode(t, text); err != nil || d.StatusCode != 413 || len(text) > 2000 {
		t.Errorf("an answer that grows in JSON: %v: %d, %d bytes", err, d.StatusCode, len(text))
	}
}

func TestRESTStream(t *testing.T) {
	f := function(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-A", "1")
		w.Header().Add("X-A", "2")
		_, _ = io.WriteString(w, "pieces")
	}, func(c *awslambda.Config) { c.StreamREST = true })
	text, err := invoke(t, f, `{"path":"/","httpMethod":"GET","headers":{},"requestContext":{}}`)
	if err != nil {
		t.Fatal(err)
	}
	head, body := streamed(t, text)
	want := map[string]any{"statusCode": 200.0, "multiValueHeaders": map[string]any{"X-A": []any{"1", "2"}}}
	if diff := cmp.Diff(want, head); diff != "" || body != "pieces" {
		t.Error(body, diff)
	}
}

func TestOperation(t *testing.T) {
	var auth string
	f := function(t, func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprintf(w, `{"at":%q,"body":%s}`, r.URL.Path, body)
	}, func(c *awslambda.Config) { c.Key = "the-secret" })
	text, err := invoke(t, f, `{"operation":"vc-analysis","payload":{"b":1,"a":1e2},"userId":"u"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := document{
		StatusCode: 429, Headers: map[string]string{"Content-Type": "application/json"},
		Body: `{"at":"/v1/operations/vc-analysis","body":{"payload":{"b":1,"a":1e2},"userId":"u"}}`,
	}
	if diff := cmp.Diff(want, decode(t, text)); diff != "" || auth != "Bearer the-secret" {
		t.Error(auth, diff)
	}
	for _, event := range []string{`{"operation":"a/b","payload":1}`, `{"operation":3,"payload":1}`, `{"operation":"a"}`} {
		if _, err := invoke(t, f, event); llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%s: %v", event, err)
		}
	}
}

// Where a gateway lets everybody in, only callers whom AWS let pass get to it.
func TestNeedAuthorizer(t *testing.T) {
	f := function(t, func(http.ResponseWriter, *http.Request) {}, func(c *awslambda.Config) { c.NeedAuthorizer, c.BufferedURL = true, true })
	plain := url("GET", "/", "")
	for event, want := range map[string]int{
		plain: 403,
		strings.Replace(plain, `"stage"`, `"authorizer":{"iam":{"accessKey":"A"}},"stage"`, 1):                                200,
		strings.Replace(plain, `"stage"`, `"authorizer":{ },"stage"`, 1):                                                      403,
		strings.Replace(plain, `"stage"`, `"authorizer":null,"stage"`, 1):                                                     403,
		`{"path":"/","httpMethod":"GET","requestContext":{"identity":{"userArn":"arn:aws:iam::1:user/x"}}}`:                   200,
		`{"path":"/","httpMethod":"GET","requestContext":{"identity":{"userArn":null}}}`:                                      403,
		`{"path":"/","httpMethod":"GET","requestContext":{"elb":{"targetGroupArn":"arn"}},"headers":{"authorizer":"me too"}}`: 403,
	} {
		text, err := invoke(t, f, event)
		if d := decode(t, text); err != nil || d.StatusCode != want {
			t.Errorf("%s: %v, %d, want %d", event, err, d.StatusCode, want)
		}
	}
}

// An invocation's time bounds its call where the call may take longer.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var timeout string
		var left time.Duration
		f := function(t, func(_ http.ResponseWriter, r *http.Request) {
			timeout = r.Header.Get("X-Forebay-Timeout")
			end, _ := r.Context().Deadline()
			left = time.Until(end)
		}, func(c *awslambda.Config) {
			c.Deadline = func(operation string) time.Duration {
				return map[string]time.Duration{"": 45 * time.Second, "short": 3 * time.Second}[operation]
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for _, c := range []struct{ headers, path, want string }{
			{`{}`, "/v1/chat/completions", "9500ms"},
			{`{"x-forebay-operation":"short"}`, "/v1/chat/completions", ""},
			{`{}`, "/v1/operations/short", ""},
			{`{"x-forebay-timeout":"5s"}`, "/", "5s"},
			{`{"x-forebay-timeout":"5000"}`, "/", "5000"},
			{`{"x-forebay-timeout":"50s"}`, "/", "9500ms"},
			{`{"x-forebay-timeout":"soon"}`, "/", "soon"},
			{`{"prefer":"wait=3, respond-async"}`, "/", ""},
			{`{"prefer":"Respond-Async; q=1"}`, "/", ""},
			{`{"prefer":"respond-asynchronously"}`, "/", "9500ms"},
			{`{"prefer":"note=\"a, respond-async\""}`, "/", "9500ms"},
			{`{}`, "/v1/jobs", ""},
			{`{"x-forebay-timeout":"48h"}`, "/v1/jobs", "48h"},
			{`{}`, "/v1/jobsons", "9500ms"},
		} {
			answer, err := f.Invoke(ctx, []byte(strings.Replace(url("POST", c.path, ""), `{"host"`, strings.TrimSuffix(c.headers, "}")+map[bool]string{true: ","}[c.headers != "{}"]+`"host"`, 1)))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Close()
			if timeout != c.want || left != 9750*time.Millisecond {
				t.Errorf("%s %s: timeout %q, want %q; %s are left", c.path, c.headers, timeout, c.want, left)
			}
		}
	})
}

// A handler that does not obey its timeout is told before the invocation ends.
func TestDeadlineOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := function(t, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(http.StatusGatewayTimeout)
		}, func(c *awslambda.Config) { c.BufferedURL = true })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		answer, err := f.Invoke(ctx, []byte(url("GET", "/", "")))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer)
		if end, _ := ctx.Deadline(); decode(t, string(text)).StatusCode != 504 || time.Until(end) != 250*time.Millisecond {
			t.Errorf("%s before the end: %s", time.Until(end), text)
		}
		_ = answer.Close()
	})
}

func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flushed := 0
		f := function(t, func(http.ResponseWriter, *http.Request) { t.Error("a ping got to the handler") },
			func(c *awslambda.Config) {
				c.Flush = func(context.Context) error { flushed++; return nil }
				c.Work = func(context.Context) (awslambda.Jobs, error) {
					t.Error("a ping got to the worker")
					return awslambda.Jobs{}, nil
				}
			})
		cold := true
		for _, c := range []struct {
			event string
			hold  time.Duration
		}{
			{`{"warmup":true}`, 0},
			{`{"warmup":true,"concurrency":5,"hold_ms":75}`, 75 * time.Millisecond},
			{`{"warmup":true,"concurrency":5}`, 75 * time.Millisecond},
			{`{"warmup":true,"concurrency":"five","hold_ms":-1}`, 0},
			{`{"warmup":true,"hold_ms":86400000}`, time.Second},
			{`{"warmup":true,"hold_ms":99999999999999999}`, time.Second},
			{`{"warmer":true}`, 0},
			{`{"source":"serverless-plugin-warmup"}`, 0},
			{`{"source":"aws.events","detail-type":"Scheduled Event","detail":{"warmup":true,"hold_ms":20}}`, 20 * time.Millisecond},
			{`{"warmup":true,"operation":"x","payload":{}}`, 0},
		} {
			begun := time.Now()
			text, err := invoke(t, f, c.event)
			if err != nil || !strings.Contains(text, `"warmup":true`) || strings.Contains(text, `"cold":true`) != cold {
				t.Errorf("%s: %s, %v", c.event, text, err)
			}
			if took := time.Since(begun); took != c.hold {
				t.Errorf("%s was held for %s, want %s", c.event, took, c.hold)
			}
			cold = false
		}
		if flushed > 0 {
			t.Error("pings are measured")
		}
	})
}

func TestWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, flushed := 0, 0
		fail := error(nil)
		f := function(t, func(http.ResponseWriter, *http.Request) {}, func(c *awslambda.Config) {
			c.Flush = func(context.Context) error { flushed++; return errors.New("no room") }
			c.Work = func(ctx context.Context) (awslambda.Jobs, error) {
				calls++
				if end, ok := ctx.Deadline(); !ok || time.Until(end) != 9500*time.Millisecond {
					t.Errorf("the worker has %s", time.Until(end))
				}
				return awslambda.Jobs{Claimed: 3, Completed: 2, Ended: 1}, fail
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		record := func(name, image string) string {
			return fmt.Sprintf(`{"Records":[{"eventName":%q,"eventSource":"aws:dynamodb","dynamodb":{%s}}]}`, name, image)
		}
		for event, want := range map[string]int{
			`{"forebay":{"work":true}}`: 3,
			`{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}`:      3,
			`{"source":"aws.scheduler","detail-type":"Scheduled Event","detail":"{}"}`: 3,
			record("INSERT", `"NewImage":{"status":{"S":"queued"}}`):                   3,
			record("MODIFY", `"NewImage":{"status":{"S":"queued"}}`):                   3,
			record("INSERT", `"Keys":{"requestId":{"S":"x"}}`):                         3,
			record("MODIFY", `"NewImage":{"status":{"S":"completed"}}`):                0,
			record("INSERT", `"NewImage":{"payload":{"B":"AAEqQQ=="}}`):                0,
			record("REMOVE", `"OldImage":{"status":{"S":"queued"}}`):                   0,
		} {
			answer, err := f.Invoke(ctx, []byte(event))
			if err != nil {
				t.Fatal(event, err)
			}
			text, _ := io.ReadAll(answer)
			_ = answer.Close()
			if !strings.Contains(string(text), fmt.Sprintf(`"claimed":%d`, want)) || !strings.Contains(string(text), `"batchItemFailures":[]`) {
				t.Errorf("%s: %s", event, text)
			}
		}
		if calls != 6 || flushed != 9 {
			t.Errorf("%d times at work, %d times written", calls, flushed)
		}
		fail = errors.New("the store is gone")
		if _, err := f.Invoke(ctx, []byte(`{"forebay":{"work":true}}`)); err == nil || flushed != 10 {
			t.Errorf("a failure: %v, %d", err, flushed)
		}
		none := function(t, func(http.ResponseWriter, *http.Request) {}, nil)
		if _, err := none.Invoke(ctx, []byte(`{"forebay":{"work":true}}`)); llm.KindOf(err) != llm.ForebayUnavailable {
			t.Errorf("without a store: %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := awslambda.New(awslambda.Config{Margin: time.Minute}); err == nil || !strings.Contains(err.Error(), "Handler") || !strings.Contains(err.Error(), "Margin") {
		t.Errorf("both faults are to be told: %v", err)
	}
}
