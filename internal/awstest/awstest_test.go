package awstest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	brtypes "github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/internal/awstest"
)

func TestMain(m *testing.M) {
	if endpointFile := os.Getenv("AWSTEST_CHILD"); endpointFile != "" {
		os.Exit(awstest.Main{M: m}.Run())
	}
	goleak.VerifyTestMain(awstest.Main{M: m},
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func TestDynamo(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"dynalite": awstest.Dynalite, "moto": awstest.Moto} {
		t.Run(name, func(t *testing.T) {
			c := dynamodb.NewFromConfig(awstest.Config(start(t)))
			if _, err := c.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
				t.Fatal(err)
			}
			if first, again := start(t), start(t); first != again {
				t.Errorf("two servers for one binary: %s and %s", first, again)
			}
		})
	}
}

func TestAimock(t *testing.T) {
	dir := t.TempDir()
	fixture := `{"fixtures":[{"match":{"userMessage":"hello"},"response":{"content":"hello from far","finishReason":"stop"}}]}`
	if err := os.WriteFile(filepath.Join(dir, "hello.json"), []byte(fixture), 0o600); err != nil {
		t.Fatal(err)
	}
	c := bedrockruntime.NewFromConfig(awstest.Config(awstest.Aimock(t, dir)))
	out, err := c.Converse(t.Context(), &bedrockruntime.ConverseInput{
		ModelId:  aws.String("eu.amazon.nova-lite-v1:0"),
		Messages: []brtypes.Message{{Role: brtypes.ConversationRoleUser, Content: []brtypes.ContentBlock{&brtypes.ContentBlockMemberText{Value: "hello"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	message, ok := out.Output.(*brtypes.ConverseOutputMemberMessage)
	if !ok || len(message.Value.Content) != 1 {
		t.Fatalf("no message: %+v", out.Output)
	}
	if text, ok := message.Value.Content[0].(*brtypes.ContentBlockMemberText); !ok || text.Value != "hello from far" {
		t.Errorf("content %+v", message.Value.Content[0])
	}
}

// TestChild runs in a process of its own: it starts a server, says where, and waits to be killed.
func TestChild(t *testing.T) {
	file := os.Getenv("AWSTEST_CHILD")
	if file == "" {
		return // only the test below starts it
	}
	if err := os.WriteFile(file, []byte(awstest.Dynalite(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("AWSTEST_STAY") != "" {
		time.Sleep(time.Minute)
	}
}

// TestEnds checks that a server ends with its test binary, also where that is killed.
func TestEnds(t *testing.T) {
	awstest.Modules(t)
	for _, stay := range []string{"", "yes"} {
		file := filepath.Join(t.TempDir(), "endpoint")
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), "AWSTEST_CHILD="+file, "AWSTEST_STAY="+stay)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		endpoint := wait(t, file)
		if stay != "" {
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait() // killed, or not
		gone(t, endpoint)
	}
}

func wait(t *testing.T, file string) string {
	t.Helper()
	for range 600 {
		if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
			return string(b)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the other process does not start its server")
	return ""
}

// gone waits until nobody listens any more.
func gone(t *testing.T, endpoint string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 600 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, endpoint, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			if !errors.Is(err, io.EOF) && strings.Contains(err.Error(), "refused") {
				return
			}
		} else {
			_ = resp.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%s still answers", endpoint)
}
