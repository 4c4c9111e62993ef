package main_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/internal/runtimeapi"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// testThaw freezes a function between two invocations, as Lambda does, and invalidates meanwhile: what it has in memory is not given any more.
func testThaw(t *testing.T, bootstrap string) {
	config := configuration(t, nil)
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	cmd := exec.Command(bootstrap)
	cmd.Env = append(api.Environ(), "HOME="+t.TempDir(), "FOREBAY_CONFIG="+config, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	cmd.Stderr, cmd.Stdout, cmd.Dir = &log, &log, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := api.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ask := func(want string) {
		t.Helper()
		a, err := api.Invoke(ctx, runtimeapi.Event{Payload: url(chat, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`)})
		if head, _, _ := a.Prelude(); err != nil || !strings.Contains(head, want) {
			t.Fatalf("%v %s; want %s\n%s", err, head, want, log.String())
		}
	}
	ask("fwd=uri-miss")
	ask("forebay; hit")

	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	_, endpoint, _ := strings.Cut(string(text), `endpoint: "`)
	endpoint, _, _ = strings.Cut(endpoint, `"`)
	store, err := dynamo.Open(ctx, dynamo.Config{Client: dynamodb.NewFromConfig(awstest.Config(endpoint)), Cache: "t-cache", Control: "t-control"})
	if err != nil {
		t.Fatal(err)
	}
	if err := freeze(cmd.Process); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Cache().Invalidate(ctx, cache.Match{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // longer than two intervals
	if err := thaw(cmd.Process); err != nil {
		t.Fatal(err)
	}
	ask("fwd=uri-miss")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
