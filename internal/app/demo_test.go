package app_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/app"
)

// effects are what the demonstration has to show, as its table says it.
var effects = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^│ miss .*fwd=uri-miss; stored`),
	regexp.MustCompile(`(?m)^│ hit .*the same again.*forebay; hit; ttl=\d+`),
	regexp.MustCompile(`(?m)^│ hit .*the same, streamed.*forebay; hit; ttl=\d+`),
	regexp.MustCompile(`(?m)^│ wait .*waited [1-9]\d* ms on average`),
	regexp.MustCompile(`(?m)^│ durable job .*status 202, job_[0-9a-z]{13} is on disk`),
	regexp.MustCompile(`(?m)^│ restart .*job (queued|processing); attempt \d+`),
	regexp.MustCompile(`(?m)^│ job's answer .*job completed by attempt ([2-9]|1\d); its result: status 200`),
	regexp.MustCompile(`(?m)^│ breaker opens .*open from call \d+ on`),
	regexp.MustCompile(`(?m)^│ fallback .*x-forebay-fallback: template`),
}

func wantEffects(t *testing.T, table string) {
	t.Helper()
	for _, effect := range effects {
		if !effect.MatchString(table) {
			t.Errorf("the table shows no %s:\n%s", effect, table)
		}
	}
}

// leavesNothing gives the test's end a look at the directory for temporary files.
func leavesNothing(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("the demonstration leaves %v behind, %v", left, err)
		}
	})
	return dir
}

func TestDemo(t *testing.T) {
	leavesNothing(t)
	var out, talk bytes.Buffer
	if err := app.Demo(t.Context(), app.DemoOptions{Listen: "127.0.0.1:0", Exit: true, Out: &out, Err: &talk}); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, out.String())
	if talk.Len() > 0 {
		t.Errorf("it says besides: %s", talk.String())
	}
}

// TestDemoFallsBack takes the demonstration's address away and lets it serve on.
func TestDemoFallsBack(t *testing.T) {
	leavesNothing(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, talk lines
	ended := make(chan error, 1)
	go func() {
		ended <- app.Demo(ctx, app.DemoOptions{Listen: taken.Addr().String(), Out: &out, Err: &talk})
	}()
	eventually(t, "the demonstration says where it is", func() bool { return strings.Contains(out.String(), "Ctrl-C ends it") })
	wantEffects(t, out.String())
	m := regexp.MustCompile(`^` + regexp.QuoteMeta(taken.Addr().String()) + ` is in use, so the gateway listens on (127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(talk.String())
	if m == nil || m[1] == taken.Addr().String() {
		t.Fatalf("it says %q", talk.String())
	}
	if !strings.Contains(out.String(), "gateway   http://"+m[1]+"/v1") {
		t.Errorf("the gateway is not at %s:\n%s", m[1], out.String())
	}
	res, err := http.Get("http://" + m[1] + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("it does not go on serving: %v %v", res, err)
	}
	_ = res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestDemoRefuses(t *testing.T) {
	leavesNothing(t)
	for listen, want := range map[string]string{
		"0.0.0.0:0":       "flag --listen",
		"nowhere":         "flag --listen",
		"192.0.2.1:8080":  "flag --listen", // TEST-NET-1: not of this machine
		"127.0.0.1:99999": "flag --listen",
	} {
		var out bytes.Buffer
		err := app.Demo(t.Context(), app.DemoOptions{Listen: listen, Exit: true, Out: &out, Err: &out})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("on %s it ends with %v", listen, err)
		}
		if out.Len() > 0 {
			t.Errorf("on %s it says %s", listen, out.String())
		}
	}
}

// TestDemoInterrupted ends the demonstration before its first call.
func TestDemoInterrupted(t *testing.T) {
	leavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := app.Demo(ctx, app.DemoOptions{Listen: "127.0.0.1:0", Out: &out, Err: &out}); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// TestDemoInterruptedInTheMiddle ends it while its gateway starts anew.
func TestDemoInterruptedInTheMiddle(t *testing.T) {
	dir := leavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, log lines
	ended := make(chan error, 1)
	go func() {
		ended <- app.Demo(ctx, app.DemoOptions{Listen: "127.0.0.1:0", Out: &out, Err: &out, Log: log.logger()})
	}()
	eventually(t, "it is between two gateways", func() bool { return strings.Contains(log.String(), "msg=draining") })
	if stored, err := os.ReadDir(dir); err != nil || len(stored) != 1 {
		t.Errorf("it stores in %v, %v", stored, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
