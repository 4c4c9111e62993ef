package bedrock_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// snapshots are what the SDK's own tests say of each operation, by file name: a head and,
// behind an empty line, a body.
func snapshots(t *testing.T) map[string]string {
	t.Helper()
	root := os.Getenv("FOREBAY_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(root, "data", "wire", "aws-bedrockruntime-snapshots", "snapshots.tar.gz"))
	if err != nil {
		t.Skip("the snapshots of AWS's SDK are not here; FOREBAY_SHARED names their folder")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, r := map[string]string{}, tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[path.Base(h.Name)] = string(text)
	}
}

// Requests are those of the SDK's own tests: line, content type and body.
func TestSnapshotsOfRequests(t *testing.T) {
	all := snapshots(t)
	for name, send := range map[string]func(p *bedrock.Provider, body string) error{
		"Converse": func(p *bedrock.Provider, body string) error {
			_, err := collect(t, p, &llm.Request{Endpoint: llm.Chat, Model: "__ModelId__", Dialect: dialect.Converse{}, Body: []byte(body)})
			return err
		},
		"InvokeModel": func(p *bedrock.Provider, body string) error {
			req := &llm.Request{Endpoint: llm.Chat, Model: "__ModelId__", Dialect: dialect.Invoke{}, Body: []byte(body)}
			_, err := collect(t, p, req)
			return err
		},
		"CountTokens": func(p *bedrock.Provider, _ string) error {
			_, err := p.CountTokens(t.Context(), "", &llm.Request{Endpoint: llm.Chat, Model: "__ModelId__", Dialect: dialect.Invoke{}, Body: []byte("{}")})
			return err
		},
	} {
		head, body, _ := strings.Cut(all[name+".request.snap"], "\n\n")
		var ok bool
		if _, body, ok = strings.Cut(body, "\n\n"); !ok { // the header stands between
			t.Fatalf("%s: %q", name, all[name+".request.snap"])
		}
		c := &capture{}
		p := open(t, bedrock.Config{Region: "eu-central-1", Credentials: who(), Transport: c})
		_ = send(p, body) // what comes back is the other test's
		if got := "POST " + c.last.target; got != head {
			t.Errorf("%s: %s, want %s", name, got, head)
		}
		if name == "CountTokens" { // the body of ours is another one
			body = `{"input":{"invokeModel":{"body":"e30="}}}`
		}
		if string(c.last.body) != body {
			t.Errorf("%s: sent %s\nwant %s", name, c.last.body, body)
		}
	}
}

// Answers and errors of the SDK's own tests are read as what they are.
func TestSnapshotsOfAnswers(t *testing.T) {
	kinds := map[string]llm.Kind{
		"AccessDeniedException": llm.ProviderRejected, "ConflictException": llm.ProviderRejected, "InternalServerException": llm.ProviderError,
		"ModelErrorException": llm.ProviderError, "ModelNotReadyException": llm.ProviderOverloaded, "ModelTimeoutException": llm.ProviderTimeout,
		"ResourceNotFoundException": llm.ProviderRejected, "ServiceQuotaExceededException": llm.ProviderQuotaExceeded,
		"ServiceUnavailableException": llm.ProviderOverloaded, "ThrottlingException": llm.ProviderRateLimited, "ValidationException": llm.ProviderRejected,
	}
	seen := 0
	for file, text := range snapshots(t) {
		var status int
		if n, _ := fmt.Sscanf(text, "%d\n", &status); n != 1 {
			continue
		}
		_, body, _ := strings.Cut(text, "\n\n")
		p := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}, nil)
		name, isError := strings.CutSuffix(file, ".error.snap")
		switch {
		case isError:
			seen++
			_, err := collect(t, p, chat(false))
			if e := want(t, err, kinds[name]); e.Status != status || e.Code != name || e.Message != "__Message__" {
				t.Errorf("%s: %+v", name, e)
			}
		case file == "Converse.response.snap":
			seen++
			if res, err := collect(t, p, chat(false)); err != nil || string(res.Body) != body || res.Finish != llm.FinishStop {
				t.Errorf("%+v, %v", res, err)
			}
		case file == "CountTokens.response.snap":
			seen++
			if n, err := p.CountTokens(t.Context(), "", chat(false)); err != nil || n != 1 {
				t.Errorf("%d, %v", n, err)
			}
		}
	}
	if seen != len(kinds)+2 {
		t.Errorf("%d snapshots", seen)
	}
}
