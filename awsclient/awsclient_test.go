package awsclient_test

import (
	"context"
	"encoding/pem"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/awsclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a server that answers every call like an empty DynamoDB.
type service struct {
	*httptest.Server
	calls atomic.Int64
	paths sync.Map
}

func newService(t *testing.T, overTLS bool, answer func(w http.ResponseWriter, r *http.Request) bool) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // as AWS does: an answer before that ends the connection
		s.calls.Add(1)
		s.paths.Store(r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Amz-Target"), true)
		if answer != nil && answer(w, r) {
			return
		}
		const tables = `{"TableNames":[]}`
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(tables))), 10))
		_, _ = io.WriteString(w, tables)
	}))
	if overTLS {
		s.EnableHTTP2 = false
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// options are those of a test: nothing of this machine's environment counts.
func options(t *testing.T, endpoint string) awsclient.Options {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	return awsclient.Options{Region: "eu-central-1", Endpoint: endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
}

func load(t *testing.T, o awsclient.Options) *awsclient.Set {
	t.Helper()
	cfg, err := awsclient.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	set := awsclient.New(cfg, awsclient.Clients{})
	t.Cleanup(set.Close)
	return set
}

func call(t *testing.T, set *awsclient.Set) {
	t.Helper()
	if _, err := set.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
		t.Error(err)
	}
}

// TestReuse: calls one after the other go over one connection, at most as many as there are
// at a time stay open, and all of that is counted.
func TestReuse(t *testing.T) {
	s := newService(t, true, nil)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t, s.URL)
	t.Setenv("AWS_CA_BUNDLE", bundle) // the SDK refuses a client of another type then
	set := load(t, o)
	for range 20 {
		call(t, set)
	}
	st := set.Stats()
	if st.Requests != 20 || st.Opened != 1 || st.Reused != 19 || st.Open != 1 || st.TLS.Count != 1 || st.TLS.Mean() <= 0 || st.Connect.Count != 1 || st.ReuseRate() != 0.95 {
		t.Errorf("%+v", st)
	}
	set.Close()
	deadline := time.Now().Add(10 * time.Second)
	for set.Stats().Open != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	call(t, set)
	if st := set.Stats(); st.Opened != 2 || st.TLS.Count != 2 || st.Resumed != 1 {
		t.Errorf("the TLS session was not resumed: %+v", st)
	}
}

// TestConcurrency: so many connections stay as there are calls at a time.
func TestConcurrency(t *testing.T) {
	const n = 30
	var together sync.WaitGroup
	together.Add(n)
	var held atomic.Bool
	held.Store(true)
	s := newService(t, false, func(http.ResponseWriter, *http.Request) bool {
		if held.Load() {
			together.Done()
			together.Wait()
		}
		return false
	})
	o := options(t, s.URL)
	o.Concurrency = n
	set := load(t, o)
	round := func() {
		var all sync.WaitGroup
		for range n {
			all.Go(func() { call(t, set) })
		}
		all.Wait()
	}
	round()
	held.Store(false)
	for range 3 {
		round()
	}
	if st := set.Stats(); st.Requests != 4*n || st.Opened > n+n/2 || st.Open != st.Opened {
		t.Errorf("connections were thrown away: %+v", st)
	}
}

// TestAge: connections are replaced when they are old.
func TestAge(t *testing.T) {
	s := newService(t, false, nil)
	o := options(t, s.URL)
	o.MaxAge = time.Nanosecond
	set := load(t, o)
	for range 3 {
		call(t, set)
	}
	if st := set.Stats(); st.Opened != 3 || st.Reused != 0 || st.Renewed != 3 {
		t.Errorf("%+v", st)
	}
	o.MaxAge = -1
	set = load(t, o)
	for range 3 {
		call(t, set)
	}
	if st := set.Stats(); st.Opened != 1 || st.Renewed != 0 {
		t.Errorf("%+v", st)
	}
}

// TestThaw: after a time in which nothing ran, idle connections are not trusted.
func TestThaw(t *testing.T) {
	s := newService(t, false, nil)
	o := options(t, s.URL)
	o.IdleTimeout = time.Nanosecond // which passes between two calls
	set := load(t, o)
	call(t, set)
	call(t, set)
	if st := set.Stats(); st.Thawed == 0 {
		t.Errorf("%+v", st)
	}
}

// TestPrewarm: connections are open before the first call, and no service was asked for
// anything.
func TestPrewarm(t *testing.T) {
	s := newService(t, false, func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		return r.Method == http.MethodGet
	})
	set := load(t, options(t, s.URL))
	if err := set.Prewarm(t.Context(), awsclient.Bedrock, awsclient.DynamoDB, awsclient.CloudWatch, awsclient.SNS); err != nil {
		t.Fatal(err)
	}
	s.paths.Range(func(path, _ any) bool {
		if path != "GET / " {
			t.Errorf("asked for %s", path)
		}
		return true
	})
	before := set.Stats()
	if s.calls.Load() != 4 || before.Opened == 0 {
		t.Errorf("%d calls, %+v", s.calls.Load(), before)
	}
	_, _ = set.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if st := set.Stats(); st.Reused != before.Reused+1 {
		t.Errorf("the first call waited for a connection: %+v", st)
	}
	if err := set.Prewarm(t.Context(), "s3"); err == nil || !strings.Contains(err.Error(), "no such service") {
		t.Errorf("%v", err)
	}
}

// TestPrewarmFails: without credentials or network it says so.
func TestPrewarmFails(t *testing.T) {
	o := options(t, "http://127.0.0.1:1")
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") })
	if err := load(t, o).Prewarm(t.Context(), awsclient.DynamoDB); err == nil || !strings.Contains(err.Error(), "no role") {
		t.Errorf("%v", err)
	}
	set := load(t, options(t, "http://127.0.0.1:1"))
	if err := set.Prewarm(t.Context(), awsclient.DynamoDB, awsclient.Bedrock); err == nil || !strings.Contains(err.Error(), "dynamodb") || !strings.Contains(err.Error(), "bedrock") {
		t.Errorf("%v", err)
	}
	if st := set.Stats(); st.DialFailed != 2 || st.Failed != 2 {
		t.Errorf("%+v", st)
	}
}

// TestAttempts: tables are asked again, models are not.
func TestAttempts(t *testing.T) {
	s := newService(t, false, func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	o := options(t, s.URL)
	o.Attempts = 2
	set := load(t, o)
	if _, err := set.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{}); err == nil || s.calls.Load() != 2 {
		t.Errorf("%d calls, %v", s.calls.Load(), err)
	}
	s.calls.Store(0)
	if _, err := set.Bedrock().InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String("m"), Body: []byte("{}")}); err == nil || s.calls.Load() != 1 {
		t.Errorf("%d calls of the model, %v", s.calls.Load(), err)
	}
}

// TestServiceEndpoints: AWS_ENDPOINT_URL_* are for one service each.
func TestServiceEndpoints(t *testing.T) {
	s := newService(t, false, nil)
	o := options(t, "")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", s.URL)
	call(t, load(t, o))
	if s.calls.Load() != 1 {
		t.Error("the endpoint of the environment was not asked")
	}
}

// TestLoadFaults: every fault is named.
func TestLoadFaults(t *testing.T) {
	_, err := awsclient.Load(t.Context(), awsclient.Options{Attempts: 11, Concurrency: -1, ConnectTimeout: -1, IdleTimeout: time.Hour, Endpoint: "ftp://x"})
	for _, key := range []string{"attempts", "concurrency", "connect_timeout", "idle_timeout", "endpoint"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
	o := options(t, "")
	o.Region = ""
	if _, err := awsclient.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("without a region: %v", err)
	}
}

// TestConnectionPool: handlers find the set in their context.
func TestConnectionPool(t *testing.T) {
	set := load(t, options(t, "http://127.0.0.1:1"))
	var got *awsclient.Set
	awsclient.WithConnectionPool(set, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = awsclient.FromContext(r.Context()) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if got != set {
		t.Error("the set is not in the request's context")
	}
	handler := awsclient.WithConnectionPoolFunc(set, func(ctx context.Context, name string) (bool, error) {
		return awsclient.FromContext(ctx) == set && name == "event", nil
	})
	if found, err := handler(t.Context(), "event"); !found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	if awsclient.FromContext(t.Context()) != nil {
		t.Error("a set out of nothing")
	}
}

// TestStreams: a call is under way until its body is closed, and its connection is not cut
// when others are renewed.
func TestStreams(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stream" {
			return
		}
		_, _ = io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		close(begun)
		<-goOn
		_, _ = io.WriteString(w, "last")
	}))
	defer server.Close()
	o := options(t, server.URL)
	o.MaxAge = time.Nanosecond
	cfg, err := awsclient.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := cfg.HTTPClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	stream := get("/stream")
	<-begun
	for range 3 {
		get("/other").Body.Close()
	}
	close(goOn)
	text, err := io.ReadAll(stream.Body)
	stream.Body.Close()
	if err != nil || string(text) != "first last" {
		t.Errorf("%q %v", text, err)
	}
	awsclient.New(cfg, awsclient.Clients{}).Close()
}
