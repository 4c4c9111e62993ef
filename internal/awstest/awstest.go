package awstest

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Region is the Region that Config names; the emulators take any.
const Region = "eu-central-1"

// idle is how long a connection to an emulator is kept unused. Node closes its own after
// 5 s without a warning, and a request that is just being sent would fail.
const idle = 2 * time.Second

// Dynalite returns the endpoint of DynamoDB's emulator. All tests of a binary share it, so each makes tables
// of names of its own. It is safe for concurrent use.
func Dynalite(t testing.TB) (endpoint string) {
	t.Helper()
	return servers.endpoint(t, "dynalite", func() (program, error) {
		return nodeProgram(t, "dynalite", dynaliteLasting)
	})
}

// Moto returns the endpoint of an emulator of most AWS services, which answers one request at a time. All tests
// of a binary share it: whoever needs it empty posts to /moto-api/reset. It is safe for concurrent use.
func Moto(t testing.TB) (endpoint string) {
	t.Helper()
	return servers.endpoint(t, "moto", func() (program, error) { return motoProgram(t) })
}

// Aimock returns the endpoint of Bedrock Runtime's emulator, which answers as the JSON files in the folder fixtures
// say. There is one server for each folder. It is safe for concurrent use.
func Aimock(t testing.TB, fixtures string) (endpoint string) {
	t.Helper()
	folder, err := filepath.Abs(fixtures)
	if err != nil {
		t.Fatalf("the folder of fixtures: %v", err)
	}
	return servers.endpoint(t, "aimock "+folder, func() (program, error) {
		return nodeProgram(t, "@copilotkit/aimock/dist/cli.js", "", "-h", "127.0.0.1", "-f", folder, "--log-level", "warn", "-p")
	})
}

// Modules returns the folder node_modules with the npm packages of this package's
// lock file, for tests that run one of them by themselves.
func Modules(t testing.TB) string {
	t.Helper()
	dir, err := installed()
	if err != nil {
		refuse(t, err)
	}
	return dir
}

// Config returns a configuration for an emulator at endpoint: invented credentials, one
// attempt a call, bodies as they are (Moto decompresses twice).
func Config(endpoint string) aws.Config {
	return aws.Config{
		Region: Region, BaseEndpoint: aws.String(endpoint),
		Credentials:                 credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "an-invented-secret", ""),
		RetryMaxAttempts:            1,
		DisableRequestCompression:   true,
		RequestMinCompressSizeBytes: 10 << 20,
		HTTPClient: plain{awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.IdleConnTimeout = idle
			tr.MaxIdleConnsPerHost = 64
		})},
	}
}

// plain sends bodies without their WriteTo, which in smithy-go v1.28.8 says io.EOF where an
// answer is quicker than the transport: that breaks the connection under the answer.
type plain struct{ next aws.HTTPClient }

// Do sends a request.
func (p plain) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.next.Do(r)
}

// Run runs the tests of a package and stops what they started. It is for TestMain:
// os.Exit(awstest.Run(m)).
func Run(m *testing.M) int { return Main{M: m}.Run() }

// Main is a testing.M that stops what its tests started, for goleak.VerifyTestMain.
type Main struct{ M *testing.M }

// Run runs the tests and stops what they started. It returns the exit code.
func (m Main) Run() int {
	defer servers.stop()
	return m.M.Run()
}

// repository is the root of the work tree: the folder above with the module's go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if b, readErr := os.ReadFile(filepath.Join(dir, "go.mod")); readErr == nil && mainModule(b) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", &absent{what: "the repository's root is not above the working directory; run the tests in a work tree"}
		}
		dir = up
	}
	return "", err
}
