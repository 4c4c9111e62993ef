package sdktest

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// python is an interpreter that has boto3, as a path that needs nothing of the
// environment, or "". Where a manager of versions stands on PATH instead of an
// interpreter, that knows the one it stands for.
var python = sync.OnceValue(func() string {
	for _, name := range []string{"python3", "python"} {
		out, err := exec.Command(name, "-c", "import sys, boto3; print(sys.executable)").Output()
		if path := strings.TrimSpace(string(out)); err == nil && path != "" {
			return path
		}
	}
	return ""
})

// boto3 has the SDK for Python make calls.
func (r *rig) boto3(t *testing.T, j job, environ ...string) []outcome {
	t.Helper()
	if python() == "" {
		t.Skip("no python3 with boto3 is here: pip install boto3==1.43.11")
	}
	j.URL = or(j.URL, r.gateway.url)
	if j.Credentials == nil {
		j.Credentials = map[string]string{"accessKeyId": pairID, "secretAccessKey": pairSecret}
	}
	return driven(t, j, append([]string{"PYTHONDONTWRITEBYTECODE=1"}, environ...), python(), filepath.Join("python", "drive.py"))
}

// TestBoto3: what the other SDKs do, by the one that adds the ids of its attempts behind the
// signature, so that equal calls of one second have one signature.
func TestBoto3(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		calls := []sdkCall{
			{Op: "converse", Input: turn(profile, "one two three")},
			{Op: "converse", Input: turn(profile, "one two three")},
			{Op: "converse-stream", Input: turn(haiku, "four five six")},
			{Op: "converse", Input: with(turn(haiku, "What is the weather in Berlin?"), "toolConfig", toolConfig())},
			{Op: "converse-stream", Input: with(turn(haiku, "What is the weather in Rome?"), "toolConfig", toolConfig())},
		}
		if r.bedrock != nil {
			calls = append(calls, sdkCall{Op: "invoke", Input: map[string]any{"modelId": haiku, "body": claudeHello}},
				sdkCall{Op: "invoke-stream", Input: map[string]any{"modelId": haiku, "body": claudeHello}})
		}
		got := r.boto3(t, job{Calls: calls})
		for i, o := range got {
			if o.Error != nil || o.Requests != 1 || !strings.Contains(o.Signed, "host") {
				t.Fatalf("call %d: %+v, error %+v", i, o, o.Error)
			}
		}
		for i, status := range []string{"forebay; fwd=uri-miss; stored", "forebay; hit; "} {
			if o := got[i]; o.Text == "" || o.Text != got[0].Text || o.Stop != "end_turn" || !strings.HasPrefix(o.Headers["cache-status"], status) {
				t.Errorf("%+v, want %s", o, status)
			}
		}
		if o := got[2]; o.Text == "" || o.Stop != "end_turn" || o.Deltas < 2 || o.Usage["outputTokens"] == nil {
			t.Errorf("the stream: %+v", o)
		}
		if o := got[3]; o.Stop != "tool_use" || !strings.Contains(string(o.Message), `"name": "weather"`) {
			t.Errorf("a tool: %+v %s", o, o.Message)
		}
		if o := got[4]; o.Stop != "tool_use" || o.Tool.Name != "weather" || !json.Valid([]byte(o.Arguments)) {
			t.Errorf("a streamed tool: %+v", o)
		}
		if r.bedrock != nil && (got[0].Text != "You said: one two three" || !strings.Contains(got[5].Text, "You said: hello") || got[6].Text != "You said: hello") {
			t.Errorf("%q, %q, %q", got[0].Text, got[5].Text, got[6].Text)
		}
	})
}

// TestBoto3Errors: errors by their classes, retries counted, streams that break, signatures
// that are wrong.
func TestBoto3Errors(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick})
	standard := map[string]any{"retries": map[string]any{"mode": "standard", "total_max_attempts": 2}}
	secret := map[string]any{"aws_secret_access_key": "another-secret-access-key"}
	plan := []struct {
		wrong    trouble
		call     sdkCall
		name     string
		status   int
		requests int
	}{
		{trouble{status: 429, errorType: "ThrottlingException", times: 2}, sdkCall{Op: "converse", Client: standard}, "ThrottlingException", 429, 2},
		{trouble{status: 400, errorType: "ValidationException", times: 1}, sdkCall{Op: "converse"}, "ValidationException", 400, 1},
		{trouble{status: 403, errorType: "AccessDeniedException", times: 1}, sdkCall{Op: "converse-stream"}, "AccessDeniedException", 403, 1},
		{trouble{status: 404, errorType: "ResourceNotFoundException", times: 1}, sdkCall{Op: "converse"}, "ResourceNotFoundException", 404, 1},
		{trouble{status: 408, errorType: "ModelTimeoutException", times: 1}, sdkCall{Op: "converse"}, "ModelTimeoutException", 408, 1},
		{trouble{cut: true, after: 3, times: 1}, sdkCall{Op: "converse-stream"}, "modelStreamErrorException", 0, 1},
		{trouble{errorType: "throttlingException", after: 3, times: 1}, sdkCall{Op: "converse-stream"}, "throttlingException", 0, 1},
		{trouble{status: 503, errorType: "ServiceUnavailableException", times: 1}, sdkCall{Op: "converse", Client: standard}, "", 0, 2}, // and then it succeeds
		{trouble{}, sdkCall{Op: "converse", Client: secret}, "InvalidSignatureException", 403, 1},
		{trouble{}, sdkCall{Op: "converse", Tamper: "body"}, "InvalidSignatureException", 403, 1},
	}
	var calls []sdkCall
	var troubles []trouble
	for i, p := range plan {
		p.call.Input = turn(haiku, "hello "+string(rune('a'+i)))
		calls = append(calls, p.call)
		if p.wrong.times > 0 {
			troubles = append(troubles, p.wrong)
		}
	}
	s.plans(troubles...)
	for i, o := range r.boto3(t, job{Calls: calls}) {
		p := plan[i]
		if o.failure() != p.name || o.Requests != p.requests || o.Error != nil && o.Error.Status != p.status {
			t.Errorf("%+v: %d requests and %+v, want %d and %s", p.wrong, o.Requests, o.Error, p.requests, p.name)
		}
		if e := o.Error; e != nil && e.Status != 0 && e.Status != http.StatusForbidden && !e.Typed {
			t.Errorf("%+v: the error's class is %s", p.wrong, e.Type)
		}
		if p.wrong.after > 0 && (o.Text == "" || o.Error == nil || o.Error.Type != "EventStreamError") {
			t.Errorf("%+v: %q and %+v", p.wrong, o.Text, o.Error)
		}
	}
}

// TestBoto3Bearer: the variable that AWS's SDKs take a bearer token from, over TLS.
func TestBoto3Bearer(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{bedrock: newBedrock(t, true)})
	front, ca := r.tlsFront(t), filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{operatorKey: "", "no-such-key-at-all": "UnrecognizedClientException"} {
		for _, o := range r.boto3(t, job{URL: front.URL, Credentials: map[string]string{}, Calls: []sdkCall{
			{Op: "converse", Input: turn(haiku, "hello")}, {Op: "converse-stream", Input: turn(haiku, "hello again")},
		}}, "AWS_BEARER_TOKEN_BEDROCK="+token, "AWS_CA_BUNDLE="+ca) {
			if o.failure() != want || o.Signed != "" || want == "" && !strings.HasPrefix(o.Text, "You said: hello") {
				t.Errorf("%s: %+v %+v", token, o, o.Error)
			}
		}
	}
}
