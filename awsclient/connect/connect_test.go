package connect_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/awsclient/connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bare takes what AWS reads away from the environment, and sets what a function on Lambda has.
func bare(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is there again afterwards
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
}

// line notes the requests that are made, and answers none.
type line struct{ got []string }

var volatile = regexp.MustCompile(`\d{8}T\d{6}Z|\d{8}/|Signature=[0-9a-f]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}`)

func (l *line) Do(r *http.Request) (*http.Response, error) {
	var head bytes.Buffer
	_ = r.Header.Write(&head)
	l.got = append(l.got, r.Method+" "+r.URL.String()+"\n"+volatile.ReplaceAllString(head.String(), "~"))
	return nil, errors.New("there is no network")
}

// requests are those that two services' clients would make.
func requests(t *testing.T, cfg aws.Config, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	cfg.HTTPClient = l
	_, _ = dynamodb.NewFromConfig(cfg).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	_, _ = cloudwatch.NewFromConfig(cfg).ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
	return l.got
}

// What Lambda puts into the environment leads to the same requests as the SDK's own loader,
// byte for byte but for times and signatures. One table on purpose.
func TestLikeSDK(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		o       connect.Options
		want    string // in the first request
	}{
		"Lambda":                {want: "https://dynamodb.eu-central-1.amazonaws.com/"},
		"another Region":        {o: connect.Options{Region: "us-east-1"}, want: "https://dynamodb.us-east-1.amazonaws.com/"},
		"default Region":        {environ: map[string]string{"AWS_REGION": "", "AWS_DEFAULT_REGION": "ap-south-1"}, want: "https://dynamodb.ap-south-1.amazonaws.com/"},
		"China":                 {o: connect.Options{Region: "cn-north-1"}, want: "amazonaws.com.cn/"},
		"FIPS":                  {environ: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "us-east-1"}, want: "dynamodb-fips.us-east-1"},
		"dual stack":            {environ: map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"}, want: "api.aws/"},
		"account":               {environ: map[string]string{"AWS_ACCOUNT_ID": "123456789012"}, want: "https://123456789012.ddb.eu-central-1"},
		"no account":            {environ: map[string]string{"AWS_ACCOUNT_ID": "123456789012", "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}, want: "https://dynamodb.eu-central-1"},
		"endpoint":              {o: connect.Options{Endpoint: "http://127.0.0.1:8000"}, want: "http://127.0.0.1:8000/"},
		"endpoint of all":       {environ: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:8001"}, want: "http://127.0.0.1:8001/"},
		"endpoint of one":       {environ: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:8001", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8002"}, want: "http://127.0.0.1:8002/"},
		"ignored endpoints":     {environ: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:8001", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, want: "https://dynamodb.eu-central-1"},
		"credentials of others": {o: connect.Options{Credentials: credentials.NewStaticCredentialsProvider("AKIDOTHER", "s", "")}, want: "Credential=AKIDOTHER"},
		"attempts":              {o: connect.Options{Attempts: 1}, want: "amz-sdk-request: attempt=1; max=1"},
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			for name, value := range c.environ {
				t.Setenv(name, value)
			}
			if c.o.Attempts == 0 {
				c.o.Attempts = 1 // or each failure would be waited for
			}
			cfg, err := connect.FromEnvironment(c.o)
			got := requests(t, cfg, err)
			cfg, err = connect.Load(t.Context(), c.o)
			want := requests(t, cfg, err)
			if len(got) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("from the environment:\n%s\nof the SDK:\n%s", got, want)
			}
			if !strings.Contains(strings.ToLower(strings.Join(got, "\n")), strings.ToLower(c.want)) {
				t.Errorf("no %q in\n%s", c.want, got)
			}
		})
	}
}

// Every fault is named; a profile is refused, since there are no files.
func TestEnvironmentFaults(t *testing.T) {
	for _, c := range []struct {
		name, value, say string
		o                connect.Options
	}{
		{say: "profile", o: connect.Options{Profile: "production"}},
		{say: "concurrency", o: connect.Options{Concurrency: -1}},
		{name: "AWS_REGION", say: "region"},
		{name: "AWS_CA_BUNDLE", value: "/nowhere/ca.pem", say: "AWS_CA_BUNDLE"},
		{name: "AWS_USE_FIPS_ENDPOINT", value: "yes", say: "AWS_USE_FIPS_ENDPOINT"},
		{name: "AWS_USE_DUALSTACK_ENDPOINT", value: "1", say: "AWS_USE_DUALSTACK_ENDPOINT"},
		{name: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", value: "1", say: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
		{name: "AWS_ACCOUNT_ID_ENDPOINT_MODE", value: "never", say: "AWS_ACCOUNT_ID_ENDPOINT_MODE"},
	} {
		t.Run(c.say, func(t *testing.T) {
			bare(t)
			if c.name != "" {
				t.Setenv(c.name, c.value)
			}
			if _, err := connect.FromEnvironment(c.o); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v", err)
			}
		})
	}
	bare(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	cfg, err := connect.FromEnvironment(connect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Credentials.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("without a secret: %v", err)
	}
}

// The certificates of AWS_CA_BUNDLE are believed, and a file without any is a fault.
func TestBundle(t *testing.T) {
	bare(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func() error {
		cfg, err := connect.FromEnvironment(connect.Options{})
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		resp, err := cfg.HTTPClient.Do(r)
		if err != nil {
			return err
		}
		pool := cfg.HTTPClient.(*connect.Pool)
		defer pool.CloseIdleConnections()
		if st := pool.Stats(); st.Requests != 1 || st.Opened != 1 {
			t.Errorf("%+v", st)
		}
		return resp.Body.Close()
	}
	if err := get(); err == nil {
		t.Error("a certificate of nobody was believed")
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if err := get(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(bundle, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := get(); err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") {
		t.Errorf("a file without certificates: %v", err)
	}
}

// A chain finds the environment's credentials, in this build and in that for Lambda.
func TestChain(t *testing.T) {
	bare(t)
	if got, err := (connect.Chain{Region: "eu-central-1"}).Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIDEXAMPLE" || got.SessionToken != "token" {
		t.Errorf("%v %v", got.AccessKeyID, err)
	}
	named := connect.Chain{Region: "eu-central-1", Profile: "nobody"}
	if _, err := named.Retrieve(t.Context()); err == nil {
		t.Errorf("a profile that is nowhere was found")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := (connect.Chain{Region: "eu-central-1"}).Retrieve(t.Context()); err == nil {
		t.Error("credentials out of nothing")
	}
}
