package sdktest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	smithybearer "github.com/aws/smithy-go/auth/bearer"
)

// clock signs at another time than it is.
type clock struct{ ahead time.Duration }

func (c clock) SignHTTP(ctx context.Context, who aws.Credentials, r *http.Request, hash, service, region string, at time.Time, o ...func(*v4.SignerOptions)) error {
	return v4.NewSigner().SignHTTP(ctx, who, r, hash, service, region, at.Add(c.ahead), o...)
}

// TestBedrockSignatures: who is let in, what the others are told, and that nothing of
// theirs reaches the provider.
func TestBedrockSignatures(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "cache: {enabled: false}"})
	pair := func(id, secret string) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
		}
	}
	skew := func(ahead time.Duration) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) { o.HTTPSignerV4 = clock{ahead} }
	}
	changed := func(f func(r *http.Request)) func(*bedrockruntime.Options) {
		return through(func(r *http.Request, send carrier) (*http.Response, error) {
			f(r)
			return send(r)
		})
	}
	for _, c := range []struct {
		name, want, says string
		change           func(*bedrockruntime.Options)
	}{
		{"as it should be", "", "", pair(pairID, pairSecret)},
		{"signed for another region", "", "", func(o *bedrockruntime.Options) { o.Region = "us-west-2" }},
		{"another secret", "InvalidSignatureException", "secret access key", pair(pairID, "another-secret-access-key")},
		{"an unknown id", "UnrecognizedClientException", "not known", pair("AKIAIOSFODNN7EXAMPLE", pairSecret)},
		{"the gateway's own credentials", "UnrecognizedClientException", "not known", pair(roleID, roleSecret)},
		{"a pair that may call nothing", "AccessDeniedException", "scope", pair(figuresID, figuresSecret)},
		{"four minutes late", "", "", skew(-4 * time.Minute)},
		{"six minutes late", "InvalidSignatureException", "Signature expired", skew(-6 * time.Minute)},
		{"six minutes early", "InvalidSignatureException", "not yet current", skew(6 * time.Minute)},
		{"another body", "InvalidSignatureException", "", changed(func(r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(string(body), "hello", "jello", 1)))
		})},
		{"another model", "InvalidSignatureException", "", changed(func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = strings.Replace(r.URL.Path, "haiku", "opus5", 1), strings.Replace(r.URL.RawPath, "haiku", "opus5", 1)
		})},
		{"another date", "InvalidSignatureException", "", changed(func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Minute).UTC().Format("20060102T150405Z"))
		})},
		{"a header of the gateway's that was added", "IncompleteSignatureException", "X-Forebay-Priority", changed(func(r *http.Request) {
			r.Header.Set("X-Forebay-Priority", "critical")
		})},
		{"no signature", "MissingAuthenticationTokenException", "", changed(func(r *http.Request) { r.Header.Del("Authorization") })},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := r.aws(t, c.change)
			_, err := client.Converse(ended(t), asking(haiku, "hello"))
			if c.want == "" {
				if err != nil || len(s.took()) != 1 {
					t.Errorf("not let in: %v", err)
				}
				return
			}
			mustFail(t, err, c.want, "StatusCode: 403", c.says)
			client.wantAttempts(t, 1)
			if calls := s.took(); len(calls) != 0 {
				t.Errorf("the provider got %d calls", len(calls))
			}
		})
	}
}

// TestBedrockReplay: a request that somebody on the way sends again is refused, and the
// SDK's own next request is not.
func TestBedrockReplay(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "cache: {enabled: false}"})
	var replayed *http.Response
	answer := ""
	client := r.aws(t, through(func(r *http.Request, send carrier) (*http.Response, error) {
		body := drain(t, r.Body)
		again := r.Clone(r.Context())
		r.Body, again.Body = io.NopCloser(strings.NewReader(body)), io.NopCloser(strings.NewReader(body))
		res, err := send(r)
		if err != nil {
			return nil, err
		}
		if replayed, err = send(again); err != nil {
			return nil, err
		}
		answer = drain(t, replayed.Body)
		return res, nil
	}))
	for range 2 { // the same question of the same second: signed anew, so another request
		out, err := client.Converse(ended(t), asking(haiku, "hello"))
		if err != nil || said(out) != "You said: hello" {
			t.Fatalf("%q, %v", said(out), err)
		}
		if replayed.StatusCode != http.StatusForbidden || replayed.Header.Get("X-Amzn-Errortype") != "InvalidSignatureException" || !strings.Contains(answer, "sent before") {
			t.Errorf("the replayed request: %d %v %s", replayed.StatusCode, replayed.Header, answer)
		}
	}
	if calls := s.took(); len(calls) != 2 {
		t.Errorf("the provider got %d calls, want 2", len(calls))
	}
}

// tlsFront puts TLS in front of the gateway, as a load balancer does.
func (r *rig) tlsFront(t *testing.T) *httptest.Server {
	t.Helper()
	to, err := url.Parse(r.gateway.url)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = p.In.Host // it is signed
		p.SetXForwarded()
	}})
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TestBedrockBearer: keys of the gateway as the SDK's bearer tokens, which it sends over
// TLS only; and signatures through the same proxy.
func TestBedrockBearer(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{bedrock: newBedrock(t, true)})
	front := r.tlsFront(t)
	at := func(o *bedrockruntime.Options) {
		o.BaseEndpoint, o.HTTPClient = aws.String(front.URL+"/bedrock"), front.Client()
	}
	token := func(secret string) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) {
			o.BearerAuthTokenProvider = smithybearer.StaticTokenProvider{Token: smithybearer.Token{Value: secret}}
			o.AuthSchemePreference = []string{"httpBearerAuth"}
		}
	}
	for name, client := range map[string]*awsClient{"signed": r.aws(t, at), "token": r.aws(t, at, token(operatorKey)), "a pair's secret": r.aws(t, at, token(pairSecret))} {
		out, err := client.Converse(ended(t), asking(haiku, "hello "+name))
		if err != nil || said(out) != "You said: hello "+name {
			t.Errorf("%s: %q, %v", name, said(out), err)
		}
		if got := hear(client.ConverseStream(ended(t), streaming(haiku, "hello again "+name))); got.err != nil || got.text != "You said: hello again "+name {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err := r.aws(t, at, token("no-such-key-at-all")).Converse(ended(t), asking(haiku, "hello"))
	mustFail(t, err, "UnrecognizedClientException", "not known")
}

// TestBedrockBearerVariable: the variable that AWS's SDKs take a bearer token from. It
// counts for the whole process, so it runs alone.
func TestBedrockBearerVariable(t *testing.T) {
	r := newRig(t, setup{bedrock: newBedrock(t, true)})
	front := r.tlsFront(t)
	for token, want := range map[string]string{operatorKey: "", "no-such-key-at-all": "UnrecognizedClientException"} {
		t.Setenv("AWS_BEARER_TOKEN_BEDROCK", token)
		client := bedrockruntime.NewFromConfig(aws.Config{Region: region, HTTPClient: front.Client(), BaseEndpoint: aws.String(front.URL + "/bedrock")})
		out, err := client.Converse(ended(t), asking(haiku, "hello"))
		if code(err) != want || want == "" && (err != nil || said(out) != "You said: hello") {
			t.Errorf("%q, %v, want %q", said(out), err, want)
		}
	}
}

// TestBedrockUnserved: calls of Bedrock's runtime that the gateway does not serve.
func TestBedrockUnserved(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s})
	client := r.aws(t)
	_, err := client.ApplyGuardrail(ended(t), &bedrockruntime.ApplyGuardrailInput{
		GuardrailIdentifier: aws.String("g1"), GuardrailVersion: aws.String("1"), Source: types.GuardrailContentSourceInput, Content: []types.GuardrailContentBlock{},
	})
	mustFail(t, err, "ResourceNotFoundException", "nothing is served at")
	client.wantAttempts(t, 1)
	if calls := s.took(); len(calls) != 0 {
		t.Errorf("the provider got %d calls", len(calls))
	}
}
