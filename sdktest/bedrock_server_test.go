package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	region = "eu-central-1"
	// roleID and roleSecret are the gateway's own credentials, which its callers do not have.
	roleID     = "AKIAROLEOFTHEGATEWAY"
	roleSecret = "the-secret-of-the-gateways-own-role"
	roleToken  = "the-session-token-of-the-gateways-own-role"
	// bedrockToken is a Bedrock API key of the gateway's.
	bedrockToken = "bedrock-api-key-of-the-gateways-own"
)

// bedrockServer speaks as Bedrock's runtime does, as far as the tests need it: Converse,
// ConverseStream, InvokeModel, InvokeModelWithResponseStream and CountTokens. It takes
// nothing but what was signed with the gateway's own credentials, or has its token. What it
// says depends on the request alone, and what goes wrong is planned. Nothing of the
// product is in it: frames and signatures are those of AWS's own packages.
type bedrockServer struct {
	url         string
	certificate string // a file for SSL_CERT_FILE; empty without TLS

	mu      sync.Mutex // guards what follows
	calls   []bedrockCall
	plan    []trouble
	running int
}

// bedrockCall is one call that the server got.
type bedrockCall struct {
	Model, Action, Path, Proto string
	Header                     http.Header
	Body                       string
	Status                     int
}

// trouble is something that goes wrong.
type trouble struct {
	status     int    // of the answer, with errorType
	errorType  string // X-Amzn-ErrorType, or with status 0 the type of an exception in a stream
	retryAfter string
	cut        bool // a stream ends where an event ends, and its connection ends as if all were well
	broken     bool // the connection breaks
	stall      bool // nothing more comes
	after      int  // events of a stream that come first
	times      int  // how many calls meet it; 0 means all
}

// newBedrock starts a server; with TLS it speaks HTTP/2.
func newBedrock(t *testing.T, encrypted bool) *bedrockServer {
	t.Helper()
	s := &bedrockServer{}
	server := httptest.NewUnstartedServer(s)
	if server.EnableHTTP2 = encrypted; encrypted {
		server.StartTLS()
		s.certificate = filepath.Join(t.TempDir(), "ca.pem")
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(s.certificate, block, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections() // those that stall
		server.Close()
	})
	s.url = server.URL
	return s
}

// provider is the server as a provider in a configuration, and what the gateway's
// environment has to have.
func (s *bedrockServer) provider(c setup) (line string, environ []string) {
	environ = []string{"AWS_EC2_METADATA_DISABLED=true", "SSL_CERT_FILE=" + s.certificate}
	if c.tokens {
		environ = append(environ, "AWS_BEARER_TOKEN_BEDROCK="+bedrockToken)
	} else {
		environ = append(environ, "AWS_ACCESS_KEY_ID="+roleID, "AWS_SECRET_ACCESS_KEY="+roleSecret, "AWS_SESSION_TOKEN="+roleToken)
	}
	return fmt.Sprintf(`bedrock: {type: bedrock, region: %s, endpoint: "%s"%s}`, region, s.url, c.target), environ
}

// plans replaces what goes wrong; none mends it.
func (s *bedrockServer) plans(plan ...trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = plan
}

// took returns the calls since the last time.
func (s *bedrockServer) took() []bedrockCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// inFlight is the number of calls that run.
func (s *bedrockServer) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// next takes what goes wrong with the next call; nil if nothing does.
func (s *bedrockServer) next() *trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plan) == 0 {
		return nil
	}
	now := s.plan[0]
	if now.times > 0 {
		if s.plan[0].times--; s.plan[0].times == 0 {
			s.plan = s.plan[1:]
		}
	}
	return &now
}

// enter notes a call; the result is to be called at its end.
func (s *bedrockServer) enter(c bedrockCall) (leave func(status int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	return func(status int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		c.Status = status
		s.calls = append(s.calls, c)
	}
}

// ServeHTTP answers a call.
func (s *bedrockServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	id, action, _ := strings.Cut(strings.TrimPrefix(sent, "/model/"), "/")
	model, err := url.PathUnescape(id)
	status := http.StatusOK
	leave := s.enter(bedrockCall{Model: model, Action: action, Path: sent, Proto: r.Proto, Header: r.Header.Clone(), Body: string(body)})
	defer func() { leave(status) }()
	w.Header().Set("X-Amzn-Requestid", "aws-"+hex.EncodeToString([]byte(action)))
	fail := func(code int, errorType, message string) {
		status = code
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", errorType)
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"message":%q}`, message)
	}
	if err != nil || strings.ContainsAny(id, ":/") {
		fail(http.StatusBadRequest, "ValidationException", "the model's id is not escaped as the SDKs do it")
		return
	}
	if err := mine(r, body); err != nil {
		fail(http.StatusForbidden, "InvalidSignatureException", err.Error())
		return
	}
	wrong := s.next()
	if wrong != nil && wrong.status != 0 {
		if wrong.retryAfter != "" {
			w.Header().Set("Retry-After", wrong.retryAfter)
		}
		fail(wrong.status, wrong.errorType, "planned "+wrong.errorType)
		return
	}
	a, err := answerTo(model, action, body)
	if err != nil {
		fail(http.StatusBadRequest, "ValidationException", err.Error())
		return
	}
	if wrong == nil {
		wrong = &trouble{after: len(a.events) + 1}
	}
	a.send(w, r, wrong)
}

// send writes an answer as far as the plan lets it.
func (a *bedrockAnswer) send(w http.ResponseWriter, r *http.Request, wrong *trouble) {
	if a.events == nil {
		if wrong.broken {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		for name, value := range a.header {
			w.Header().Set(name, value)
		}
		_, _ = w.Write(a.whole) // nobody may be there any more
		return
	}
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	flush := http.NewResponseController(w).Flush
	for i, e := range a.events {
		if i == wrong.after {
			switch {
			case wrong.cut:
				return
			case wrong.broken:
				panic(http.ErrAbortHandler)
			case wrong.stall:
				<-r.Context().Done()
				return
			}
			_, _ = w.Write(frame(":exception-type", wrong.errorType, "exception", `{"message":"planned `+wrong.errorType+`"}`))
			return
		}
		if _, err := w.Write(frame(":event-type", e[0], "event", e[1])); err != nil {
			return
		}
		_ = flush()
	}
}

// frame is one message of an event stream, made by AWS's own encoder.
func frame(typeHeader, name, kind, payload string) []byte {
	var out bytes.Buffer
	err := eventstream.NewEncoder().Encode(&out, eventstream.Message{
		Headers: eventstream.Headers{
			{Name: typeHeader, Value: eventstream.StringValue(name)},
			{Name: ":content-type", Value: eventstream.StringValue("application/json")},
			{Name: ":message-type", Value: eventstream.StringValue(kind)},
		}, Payload: []byte(payload),
	})
	if err != nil {
		panic(err) // a fault of this file
	}
	return out.Bytes()
}

// mine says whether a call has the gateway's own credentials: its token, or a signature
// that AWS's own signer makes of the same request.
func mine(r *http.Request, body []byte) error {
	authorization := r.Header.Get("Authorization")
	if authorization == "Bearer "+bedrockToken {
		return nil
	}
	const algorithm = "AWS4-HMAC-SHA256 "
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(authorization, algorithm), ", ") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || !strings.HasPrefix(authorization, algorithm) {
		return errors.New("not signed")
	}
	if late := time.Since(at).Abs(); late > 5*time.Minute {
		return fmt.Errorf("signed %v ago", late)
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.RequestURI, http.NoBody)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(parts["SignedHeaders"], ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	role := aws.Credentials{AccessKeyID: roleID, SecretAccessKey: roleSecret, SessionToken: roleToken}
	if err := v4.NewSigner().SignHTTP(context.Background(), role, again, hex.EncodeToString(sum[:]), "bedrock", region, at); err != nil {
		return err
	}
	if want := again.Header.Get("Authorization"); want != authorization {
		return fmt.Errorf("signed as %s, not as %s", authorization, want)
	}
	return nil
}
