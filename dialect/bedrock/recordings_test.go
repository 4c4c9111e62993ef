package bedrock_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

// shared is the folder with recorded vendor traffic, which is not part of the
// repository. Tests over it are skipped where it is absent.
func shared(t testing.TB) string {
	t.Helper()
	root := os.Getenv("FOREBAY_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "data", "wire")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded vendor traffic is not here; FOREBAY_SHARED names its folder")
	}
	return dir
}

func gunzip(t testing.TB, name string) io.Reader {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

type exchange struct {
	ID, Method, URI string
	Status          int
	Request         string         `json:"request_body"`
	Response        string         `json:"response_body"`
	ResponseBinary  []byte         `json:"response_body_b64"`
	Headers         map[string]any `json:"response_headers"`

	model, operation string
	header           http.Header
	body             []byte
}

// sets are the recordings that have exchanges with Bedrock's runtime.
var sets = []string{"langchain-aws", "openinference-bedrock", "openllmetry-anthropic", "openllmetry-bedrock", "otel-py-botocore"}

// exchanges reads every recorded exchange with a model on Bedrock.
func exchanges(t testing.TB) (all []exchange) {
	t.Helper()
	dir := shared(t)
	for _, set := range sets {
		lines := bufio.NewScanner(gunzip(t, filepath.Join(dir, set, "exchanges.jsonl.gz")))
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var x exchange
			if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
				t.Fatal(err)
			}
			_, path, ok := strings.Cut(x.URI, "amazonaws.com/model/")
			if !ok {
				continue
			}
			at := strings.LastIndexByte(path, '/')
			model, err := url.PathUnescape(path[:at])
			if err != nil {
				t.Fatal(err)
			}
			x.model, x.operation = model, path[at+1:]
			x.header = http.Header{}
			for name, value := range x.Headers {
				x.header.Set(name, fmt.Sprint(value))
			}
			if x.body = x.ResponseBinary; x.body == nil {
				x.body = []byte(x.Response)
			}
			all = append(all, x)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (x *exchange) invoke() bool { return strings.HasPrefix(x.operation, "invoke") }

func (x *exchange) request() *llm.Request {
	r := &llm.Request{
		ID: "req-1", Endpoint: llm.Chat, Model: x.model, Dialect: bedrock.Converse{},
		Stream: strings.HasSuffix(x.operation, "stream"), Body: []byte(x.Request),
	}
	if x.invoke() {
		r.Dialect = bedrock.Invoke{}
	}
	return r
}

// TestRecordedExchanges reads every recorded exchange: the request strictly and into its
// canonical form, the answer to its end.
func TestRecordedExchanges(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t) {
		req := x.request()
		if len(req.Body) > 0 { // one recording lost its request
			if err := checkRequest(req); err != nil {
				t.Errorf("%s: %v", x.ID, err)
			}
		}
		if x.Status != http.StatusOK {
			counts[x.operation+", error"]++
			e := bedrock.DecodeError(x.Status, x.header, x.body)
			if e.Kind != llm.ProviderRejected || e.Code != "ValidationException" || e.Message != "The provided model identifier is invalid." || e.Status != 400 {
				t.Errorf("%s: %#v", x.ID, e)
			}
			continue
		}
		counts[x.operation]++
		if err := checkAnswer(&x, req); err != nil {
			t.Errorf("%s: %v", x.ID, err)
		}
	}
	want := map[string]int{
		"converse": 37, "converse-stream": 35, "invoke": 82, "invoke-with-response-stream": 35,
		"converse, error": 1, "converse-stream, error": 1, "invoke, error": 1, "invoke-with-response-stream, error": 1,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("exchanges (-want +got):\n%s", diff)
	}
}

func checkRequest(req *llm.Request) error {
	var head bedrock.Head
	var err error
	if _, invoke := req.Dialect.(bedrock.Invoke); invoke {
		head, err = bedrock.ParseInvoke(req.Model, req.Body)
	} else {
		head, err = bedrock.ParseConverse(req.Body)
	}
	if err != nil {
		return err
	}
	if head.PromptBytes == 0 || head.PromptBytes > len(req.Body) {
		return fmt.Errorf("prompt of %d bytes in %d", head.PromptBytes, len(req.Body))
	}
	if most := req.Dialect.(llm.OutputBounder).MaxOutput(req); most != head.MaxTokens {
		return fmt.Errorf("MaxOutput %d, head %d", most, head.MaxTokens)
	}
	form, err := req.Dialect.Canonical(nil, req, false)
	if err != nil {
		return err
	}
	again, err := req.Dialect.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: form}, false)
	if err != nil || !bytes.Equal(form, again) {
		return fmt.Errorf("the form's form differs: %v\n%s\n%s", err, form, again)
	}
	return nil
}

func checkAnswer(x *exchange, req *llm.Request) error {
	a, err := read(req, x.body)
	if err != nil {
		return err
	}
	if !bytes.Equal(a.Body, x.body) {
		return fmt.Errorf("%d of %d bytes came through", len(a.Body), len(x.body))
	}
	if strings.TrimSpace(a.text) == "" && a.Finish != llm.FinishToolCalls && !strings.HasPrefix(x.model, "ai21.") {
		return fmt.Errorf("no text, finish %q", a.Finish)
	}
	if !a.useful {
		return fmt.Errorf("nothing useful")
	}
	header := bedrock.HeaderUsage(x.header)
	if a.Usage.IsZero() && header.IsZero() && !strings.Contains(string(x.body), "guardrailAction") {
		return fmt.Errorf("no usage")
	}
	// Guardrails cut the body's usage down; Anthropic's own count differs for tools, as
	// Bedrock adds nothing to it.
	if !a.Usage.IsZero() && !header.IsZero() && header.Input != a.Usage.Input {
		return fmt.Errorf("usage %v, header %v", a.Usage, header)
	}
	if !strings.HasPrefix(x.model, "ai21.") && a.Finish == llm.FinishNone && !strings.Contains(string(x.body), "uardrail") {
		return fmt.Errorf("no finish reason")
	}
	return nil
}

// answered is what was read of an answer.
type answered struct {
	llm.Response
	text   string
	events int
	useful bool
}

// read reads an answer as a provider does.
func read(req *llm.Request, body []byte) (a answered, err error) {
	_, invoke := req.Dialect.(bedrock.Invoke)
	if !req.Stream {
		c, err := bedrock.ReadWhole(req, body)
		if err != nil {
			return a, err
		}
		a.take(c, true)
		return a, nil
	}
	return readStream(bytes.NewReader(body), bedrock.ReaderOptions{Invoke: invoke, Model: req.Model})
}

func readStream(src io.Reader, o bedrock.ReaderOptions) (a answered, err error) {
	r := bedrock.NewReader(src, o)
	for n := 0; ; n++ {
		c, err := r.Next()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		a.take(c, n == 0)
	}
}

func (a *answered) take(c llm.Chunk, first bool) {
	a.Add(c, first)
	a.events += c.Events
	a.useful = a.useful || c.Useful
	if c.Text != nil {
		a.text += c.Text()
	}
}

// TestRecordedReencode takes every recorded stream apart and puts it together again: the
// bytes are the same.
func TestRecordedReencode(t *testing.T) {
	streams, messages := 0, 0
	for _, x := range exchanges(t) {
		if x.Status != http.StatusOK || !x.request().Stream {
			continue
		}
		var again []byte
		for rest := x.body; len(rest) > 0; messages++ {
			e, n, err := bedrock.NextEvent(rest)
			if err != nil || n == 0 {
				t.Fatalf("%s: message %d: %d, %v", x.ID, messages, n, err)
			}
			again = bedrock.AppendEvent(again, e.Type, e.Payload)
			rest = rest[n:]
		}
		if !bytes.Equal(again, x.body) {
			t.Errorf("%s: %d bytes became %d", x.ID, len(x.body), len(again))
		}
		streams++
	}
	t.Logf("%d streams of %d messages", streams, messages)
	if streams != 70 {
		t.Errorf("%d streams", streams)
	}
}

// TestRecordedReshape turns every recorded answer into the other form and back: what is
// said stays the same.
func TestRecordedReshape(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t) {
		if x.Status != http.StatusOK {
			continue
		}
		req := x.request()
		other := *req
		other.Stream = !req.Stream
		if !req.Dialect.Covers(&other, x.body, req.Stream) {
			counts[x.operation+", without counterpart: "+bedrock.Family(x.model)]++
			if out, err := req.Dialect.Reshape(&other, x.body, req.Stream); err == nil {
				t.Errorf("%s: not covered, and reshaped to %d bytes", x.ID, len(out))
			}
			continue
		}
		counts[x.operation]++
		if err := checkReshape(req, &other, x.body); err != nil {
			t.Errorf("%s: %v", x.ID, err)
		}
	}
	want := map[string]int{
		"converse": 37, "converse-stream": 35, "invoke": 56, "invoke-with-response-stream": 35,
		"invoke, without counterpart: ": 3, "invoke, without counterpart: ai21": 3,
		"invoke, without counterpart: anthropic": 3, // Claude 2's completions
		"invoke, without counterpart: cohere":    7, "invoke, without counterpart: meta": 8, "invoke, without counterpart: mistral": 2,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// checkReshape compares what is read of an answer, of its other form, and of what comes
// back from that.
func checkReshape(req, other *llm.Request, body []byte) error {
	there, err := req.Dialect.Reshape(other, body, req.Stream)
	if err != nil {
		return err
	}
	back, err := req.Dialect.Reshape(req, there, other.Stream)
	if err != nil {
		return fmt.Errorf("back: %w", err)
	}
	first, err := read(req, body)
	if err != nil {
		return err
	}
	second, err := read(other, there)
	if err != nil {
		return fmt.Errorf("there: %w", err)
	}
	third, err := read(req, back)
	if err != nil {
		return fmt.Errorf("back: %w", err)
	}
	if diff := cmp.Diff(meaning(first), meaning(second)); diff != "" {
		return fmt.Errorf("there (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(meaning(first), meaning(third)); diff != "" {
		return fmt.Errorf("back (-first +third):\n%s", diff)
	}
	whole, again := body, back
	if req.Stream { // streams are cut in other places; their whole forms are the same
		if whole, err = req.Dialect.Reshape(other, body, true); err != nil {
			return err
		}
		if again, err = req.Dialect.Reshape(other, back, true); err != nil {
			return err
		}
	}
	if diff := cmp.Diff(jsonOf(whole), jsonOf(again)); diff != "" {
		return fmt.Errorf("whole form (-want +got):\n%s", diff)
	}
	return nil
}

// meaning is what an answer comes to.
func meaning(a answered) map[string]any {
	return map[string]any{"text": a.text, "usage": a.Usage, "finish": a.Finish, "useful": a.useful}
}

func jsonOf(b []byte) (v any) {
	if err := json.Unmarshal(b, &v); err != nil {
		return err.Error()
	}
	return v
}

// TestRecordedTruncated cuts recorded streams at every byte, or without FOREBAY_LONG
// around the ends of messages and at every seventh: none of the parts is taken for an
// answer, wherever it was cut.
func TestRecordedTruncated(t *testing.T) {
	seen := map[string]bool{}
	cuts := 0
	for _, x := range exchanges(t) {
		req := x.request()
		kind := x.operation + bedrock.Family(x.model)
		if x.Status != http.StatusOK || !req.Stream || seen[kind] || len(x.body) > 8<<10 {
			continue
		}
		seen[kind] = true
		near := map[int]bool{}
		for at := 0; at < len(x.body); {
			_, n, err := bedrock.NextEvent(x.body[at:])
			if n == 0 || err != nil {
				t.Fatalf("%s: %d, %v", x.ID, n, err)
			}
			at += n
			near[at-1], near[at], near[at+1], near[at+12] = true, true, true, true
		}
		for cut := range len(x.body) {
			if os.Getenv("FOREBAY_LONG") == "" && cut%7 != 0 && !near[cut] {
				continue
			}
			cuts++
			a, err := read(req, x.body[:cut])
			if llm.KindOf(err) != llm.ProviderTruncated {
				t.Fatalf("%s cut at %d of %d: %v, finish %q", x.ID, cut, len(x.body), err, a.Finish)
			}
			if a.Finish != llm.FinishNone {
				t.Fatalf("%s cut at %d of %d: finish %q", x.ID, cut, len(x.body), a.Finish)
			}
		}
	}
	t.Logf("%d kinds of streams, %d cuts", len(seen), cuts)
	if len(seen) < 6 {
		t.Errorf("only %v", seen)
	}
}

// snapshots gives the files of a recorded archive whose names have the part in them.
func snapshots(t testing.TB, archive, part string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(gunzip(t, filepath.Join(shared(t), archive))); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !strings.Contains(h.Name, part) {
			continue
		}
		if files[filepath.Base(h.Name)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSDKSnapshots reads what the SDK's own tests write and read: an error of each type,
// and the requests and answers with every member that its model has.
func TestSDKSnapshots(t *testing.T) {
	kinds := map[string]llm.Kind{
		"AccessDeniedException": llm.ProviderRejected, "ConflictException": llm.ProviderRejected,
		"InternalServerException": llm.ProviderError, "ModelErrorException": llm.ProviderError,
		"ModelNotReadyException": llm.ProviderOverloaded, "ModelTimeoutException": llm.ProviderTimeout,
		"ResourceNotFoundException": llm.ProviderRejected, "ServiceQuotaExceededException": llm.ProviderQuotaExceeded,
		"ServiceUnavailableException": llm.ProviderOverloaded, "ThrottlingException": llm.ProviderRateLimited,
		"ValidationException": llm.ProviderRejected,
	}
	archive := filepath.Join("aws-bedrockruntime-snapshots", "snapshots.tar.gz")
	for name, text := range snapshots(t, archive, "response_snapshot") {
		status, body := splitSnapshot(t, text)
		if typed, ok := strings.CutSuffix(name, ".error.snap"); ok {
			e := bedrock.DecodeError(status, nil, body)
			if e.Kind != kinds[typed] || e.Code != typed || e.Status != status || e.Message != "__Message__" {
				t.Errorf("%s: %+v", name, e)
			}
			back, _ := bedrock.EncodeError(e)
			if back != typed || bedrock.Status(e) != status {
				t.Errorf("%s is told as %s with %d, and came with %d", name, back, bedrock.Status(e), status)
			}
			delete(kinds, typed)
		}
		req := &llm.Request{Endpoint: llm.Chat, Dialect: bedrock.Converse{}}
		switch name {
		case "Converse.response.snap":
			c, err := bedrock.ReadWhole(req, body)
			if err != nil || c.Usage != (llm.Usage{Input: 1, Output: 1, CacheRead: 1, CacheWrite: 1}) || c.Finish != llm.FinishStop {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
			stream := *req
			stream.Stream = true
			if err := checkReshape(req, &stream, body); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case "CountTokens.response.snap":
			if n, err := bedrock.DecodeTokenCount(body); n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
	}
	if len(kinds) > 0 {
		t.Errorf("not seen: %v", kinds)
	}
	requests := snapshots(t, archive, "request_snapshot")
	_, body, _ := bytes.Cut(requests["Converse.request.snap"], []byte("\n\nContent-Type: application/json\n\n"))
	if err := checkRequest(&llm.Request{Endpoint: llm.Chat, Dialect: bedrock.Converse{}, Body: body}); err != nil {
		t.Error(err)
	}
	_, body, _ = bytes.Cut(requests["CountTokens.request.snap"], []byte("\n\nContent-Type: application/json\n\n"))
	blob, _ := base64.StdEncoding.DecodeString("YmxvYg==")
	got, err := bedrock.CountTokensBody(&llm.Request{Dialect: bedrock.Invoke{}, Body: []byte(`{"a":1}`)})
	want := bytes.Replace(body, []byte("YmxvYg=="), []byte(base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))), 1)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v; the SDK writes %s for %s", got, err, body, blob)
	}
}

// splitSnapshot takes a response apart.
func splitSnapshot(t *testing.T, text []byte) (status int, body []byte) {
	t.Helper()
	head, body, ok := bytes.Cut(text, []byte("\n\n"))
	if _, err := fmt.Sscan(string(head), &status); err != nil || !ok {
		t.Fatalf("%q", text)
	}
	return status, body
}

func TestHeaderUsage(t *testing.T) {
	h := http.Header{}
	for name, value := range map[string]string{
		"X-Amzn-Bedrock-Input-Token-Count": "3", "X-Amzn-Bedrock-Output-Token-Count": "4",
		"X-Amzn-Bedrock-Cache-Read-Input-Token-Count": "5", "X-Amzn-Bedrock-Cache-Write-Input-Token-Count": "6",
	} {
		h.Set(name, value)
	}
	if u := bedrock.HeaderUsage(h); u != (llm.Usage{Input: 3, Output: 4, CacheRead: 5, CacheWrite: 6}) {
		t.Errorf("%+v", u)
	}
	h.Set("X-Amzn-Bedrock-Input-Token-Count", "-3")
	h.Set("X-Amzn-Bedrock-Output-Token-Count", "4 or so")
	h.Del("X-Amzn-Bedrock-Cache-Read-Input-Token-Count")
	if u := bedrock.HeaderUsage(h); u != (llm.Usage{CacheWrite: 6}) {
		t.Errorf("%+v", u)
	}
	if u := bedrock.HeaderUsage(nil); !u.IsZero() {
		t.Errorf("%+v", u)
	}
}
