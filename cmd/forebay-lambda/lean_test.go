package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/runtimeapi"
)

// unwanted are packages that the function must not be linked with, each by a part of its
// path: the packages behind them are initialised by every cold start.
var unwanted = map[string]string{
	"modernc.org/":           "the embedded store does not outlast an environment",
	"store/sqlite":           "the embedded store does not outlast an environment",
	"wneessen/go-mail":       "alarms are CloudWatch's: nobody sends mail",
	"alarm/notify":           "alarms are CloudWatch's: nobody is told",
	"service/sns":            "alarms are CloudWatch's: no topic is published to",
	"text/template":          "who links it keeps every method of every type",
	"aws-sdk-go-v2/config":   "region and credentials are in the environment: the chain that looks elsewhere has clients of its own",
	"service/sso":            "region and credentials are in the environment",
	"service/sts":            "region and credentials are in the environment",
	"service/signin":         "region and credentials are in the environment",
	"ec2/imds":               "region and credentials are in the environment",
	"service/bedrockruntime": "Bedrock is called over HTTP",
	"opentelemetry.io/":      "nothing sends traces between invocations",
	"quic-go":                "the function serves no network",
	"forebay/console":        "the function has no dashboard",
	"forebay/dashboard":      "the function has no dashboard",
	"forebay/alarm/export":   "alarms are rendered by the command line",
}

// TestLinked: what a cold start does not need is not in the binary.
func TestLinked(t *testing.T) {
	list, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(list), "forebay/store/dynamo\n") {
		t.Fatal("this is not the list of the function's packages")
	}
	for pkg := range strings.Lines(string(list)) {
		for part, why := range unwanted {
			if strings.Contains(pkg, part) {
				t.Errorf("the function links %s: %s", strings.TrimSpace(pkg), why)
			}
		}
	}
}

const (
	// mostInitBytes and mostInitAllocs bound what the packages allocate when they are
	// initialised, before main. Each page of the heap that is touched first costs a page fault, and
	// 4 MB would cost a collection. Measured: 1.7 MB in 9,700 allocations, a third of it by the
	// SDK's client of DynamoDB.
	mostInitBytes  = 2_200_000
	mostInitAllocs = 12_000
)

var initLine = regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes, (\d+) allocs$`)

// testLean: a start allocates little, and collects nothing before the first call is answered.
// Times are measured by bench/cmd/coldstart.
func testLean(t *testing.T, bootstrap string) {
	config := filepath.Join(t.TempDir(), "forebay.yaml")
	// The file may be that of gateways too, which tell people of alarms.
	const text = `
keys: [{name: web, secret: secret-of-web}]
providers: {local: {type: simulated, latency_scale: 0.0001}}
models: {m: {targets: [{provider: local, model: sim}]}}
alarms: {topic: "arn:aws:sns:eu-central-1:123456789012:alerts", notifiers: {mail: {type: mail, host: smtp.example.com, from: a@example.com, to: [b@example.com]}}}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	api, log := function(t, bootstrap, "FOREBAY_CONFIG="+config, "GODEBUG=inittrace=1,gctrace=1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := api.Invoke(ctx, runtimeapi.Event{Payload: url(chat, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`)})
	if err != nil || !strings.Contains(string(a.Body), "chat.completion") {
		t.Fatalf("%v %s", err, a.Body)
	}
	var bytes, allocs int
	found := initLine.FindAllStringSubmatch(log(), -1)
	for _, m := range found {
		b, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		bytes, allocs = bytes+b, allocs+n
		if b > mostInitBytes/20 {
			t.Logf("%s allocates %d bytes in %d allocations", m[1], b, n)
		}
	}
	t.Logf("%d packages allocate %d bytes in %d allocations before main", len(found), bytes, allocs)
	if bytes == 0 || bytes > mostInitBytes || allocs > mostInitAllocs {
		t.Errorf("packages allocate %d bytes in %d allocations when they are initialised, over %d or %d: what is needed later is to be made then (go test -v names the largest)", bytes, allocs, mostInitBytes, mostInitAllocs)
	}
	if strings.Contains(log(), "gc 1 @") {
		t.Error("memory was collected before the first answer")
	}
}

// testProfile: AWS's files are not there, and a configuration that needs one says so at the start.
func testProfile(t *testing.T, bootstrap string) {
	config := filepath.Join(t.TempDir(), "forebay.yaml")
	const text = "providers: {aws: {type: bedrock, region: eu-central-1, profile: production}}\nmodels: {m: {targets: [{provider: aws, model: amazon.nova-lite-v1:0}]}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	api, log := function(t, bootstrap, "FOREBAY_CONFIG="+config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fault, err := api.InitFailure(ctx)
	if err != nil || !strings.Contains(fault, "providers.aws") || !strings.Contains(fault, "profile") {
		t.Errorf("%v: %s\n%s", err, fault, log())
	}
}
