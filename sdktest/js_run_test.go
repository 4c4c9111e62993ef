package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// installWithin bounds npm: 30 packages, 20 s on a busy machine.
const installWithin = 5 * time.Minute

// modules installs the SDKs for JavaScript that js/package-lock.json pins, once for the
// machine, and returns their folder. It is empty, with a sentence that says why, where they
// cannot be had.
var modules = sync.OnceValues(func() (dir, missing string) {
	pinned := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join("js", name))
		if err != nil {
			return "", err.Error()
		}
		pinned[name] = b
		sum.Write(b)
	}
	root, err := filepath.Abs(filepath.Join("..", ".testtools", "sdk"))
	if err != nil {
		return "", err.Error()
	}
	at := filepath.Join(root, hex.EncodeToString(sum.Sum(nil))[:12])
	dir = filepath.Join(at, "node_modules")
	if _, err := os.Stat(dir); err == nil {
		return dir, ""
	}
	if err := install(root, at, pinned); err != nil {
		return "", err.Error()
	}
	return dir, ""
})

// install has npm make a folder, and gives it its name when all is in it: another test
// run may do the same at the same time. No scripts of packages run.
func install(root, at string, pinned map[string][]byte) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm is not here: install Node with npm, on which the SDKs for JavaScript run")
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(root, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what was renamed is not there any more
	for name, b := range pinned {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), installWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm could not install @aws-sdk/client-bedrock-runtime and openai; let it reach its registry once: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(dir, at); err != nil {
		if _, there := os.Stat(at); there != nil {
			return err
		}
	}
	return nil
}

// job is what a driver has to do.
type job struct {
	SDK         string            `json:"sdk,omitempty"`
	URL         string            `json:"url"`
	Key         string            `json:"key,omitempty"`
	Credentials map[string]string `json:"credentials,omitempty"`
	Calls       []sdkCall         `json:"calls"`
}

// sdkCall is one call of an SDK.
type sdkCall struct {
	Op     string         `json:"op"`
	Input  map[string]any `json:"input"`
	Client map[string]any `json:"client,omitempty"` // more of the client's configuration
	Tamper string         `json:"tamper,omitempty"`
}

// outcome is what an SDK made of a call.
type outcome struct {
	Requests, Attempts, Deltas    int
	Signed, Text, Stop, Arguments string
	Replayed                      string
	Headers                       map[string]string
	Usage                         map[string]any
	Message                       json.RawMessage
	Tool                          struct{ ToolUseID, Name string }
	Vectors                       []int
	Error                         *struct {
		Name, Message, Code, Type, Should string
		Status                            int
		Typed                             bool
	}
}

// failure is the error's name, or "".
func (o *outcome) failure() string {
	if o.Error == nil {
		return ""
	}
	return o.Error.Name
}

// driven runs a driver to its end and reads what it says.
func driven(t *testing.T, j job, environ []string, program string, args ...string) []outcome {
	t.Helper()
	in, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	cmd.Env = append(append(environment(), "HOME="+t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"), environ...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, errs.String())
	}
	var all []outcome
	if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) != len(j.Calls) {
		t.Fatalf("%d answers of %d, %v: %s%s", len(all), len(j.Calls), err, out.String(), errs.String())
	}
	return all
}

// javascript has an npm SDK make calls.
func (r *rig) javascript(t *testing.T, j job, environ ...string) []outcome {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not here: install Node 20 or later, on which the SDKs for JavaScript run")
	}
	dir, missing := modules()
	if missing != "" {
		t.Skip(missing)
	}
	j.URL = or(j.URL, r.gateway.url)
	if j.SDK == "bedrock" && j.Credentials == nil {
		j.Credentials = map[string]string{"accessKeyId": pairID, "secretAccessKey": pairSecret}
	}
	j.Key = or(j.Key, apiKey)
	return driven(t, j, append([]string{"NODE_PATH=" + dir}, environ...), node, filepath.Join("js", "drive.cjs"))
}
