package bedrockmw_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/forebay-ai/forebay/integration/bedrockmw"
)

// bedrockServer is a server that answers each call with where it came and who signed it, and
// fails those that say so.
type bedrockServer struct {
	*httptest.Server
	mu  sync.Mutex // guards got
	got []string
}

func newBedrock(t *testing.T) *bedrockServer {
	b := &bedrockServer{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		scope, _, _ = strings.Cut(scope, "/bedrock/")
		parts := strings.Split(scope, "/") // key, date, region
		who := r.Header.Get("Authorization")
		if len(parts) == 3 {
			who = parts[0] + " " + parts[2]
		}
		who += " " + r.Host + strings.Join(r.Header["X-Mine"], ",")
		b.mu.Lock()
		b.got = append(b.got, who)
		b.mu.Unlock()
		if strings.Contains(r.URL.Path, "broken") {
			w.Header().Set("X-Amzn-Errortype", "InternalServerException")
			w.WriteHeader(500)
			fmt.Fprint(w, `{"message":"broken"}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, strings.Replace(whole, "hello", "%s", 1), who)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bedrockServer) calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// there sends everything to one address, whatever the host.
type there struct{ address string }

func (to there) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Host = r.URL.Host
	r.URL.Scheme, r.URL.Host = "http", to.address
	return http.DefaultTransport.RoundTrip(r)
}

func wrapped(t *testing.T, b *bedrockServer, options bedrockruntime.Options, with ...option) *bedrockruntime.Client {
	client := originals(t)
	options.HTTPClient = &http.Client{Transport: there{strings.TrimPrefix(b.URL, "http://")}}
	if options.Credentials == nil {
		options.Credentials = keys("AKID")
	}
	options.Region = "eu-central-1"
	return bedrockmw.Wrap(bedrockruntime.New(options, with...), client, bedrockmw.Config{})
}

// keys are credentials that cannot be compared, as those of functions.
func keys(id string) aws.CredentialsProviderFunc {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: "secret"}, nil
	}
}

type option = func(*bedrockruntime.Options)

// said is the text of an answer: where its call went.
func said(t *testing.T, sdk *bedrockruntime.Client, o ...option) string {
	t.Helper()
	out, err := sdk.Converse(t.Context(), input("hi"), o...)
	if err != nil {
		t.Fatal(err)
	}
	return out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value
}

const host = " bedrock-runtime.eu-central-1.amazonaws.com"

// The options of one call are those of its original, and what it may share goes by them.
func TestOptionsOfOneCall(t *testing.T) {
	fixed := aws.NewCredentialsCache(keys("FIXED"))
	own := bedrockruntime.Options{BearerAuthTokenProvider: token("TOKEN")}
	us := func(o *bedrockruntime.Options) { o.Region = "us-east-1" }
	cases := []struct {
		name   string
		option option
		goes   string // what the server sees; %s is its own address
		shares bool   // the second such call is a hit
	}{
		{"none", func(*bedrockruntime.Options) {}, "AKID eu-central-1" + host, true},
		{"region", us, "AKID us-east-1 bedrock-runtime.us-east-1.amazonaws.com", true},
		{"endpoint", func(o *bedrockruntime.Options) { o.BaseEndpoint = aws.String("http://elsewhere.test") }, "AKID eu-central-1 elsewhere.test", true},
		{"fips", func(o *bedrockruntime.Options) {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}, "AKID eu-central-1 bedrock-runtime-fips.eu-central-1.amazonaws.com", true},
		{"dual stack", func(o *bedrockruntime.Options) {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}, "AKID eu-central-1 bedrock-runtime.eu-central-1.api.aws", true},
		{"credentials of a function", func(o *bedrockruntime.Options) { o.Credentials = keys("OTHER") }, "OTHER eu-central-1" + host, false},
		{"credentials", func(o *bedrockruntime.Options) { o.Credentials = fixed }, "FIXED eu-central-1" + host, false},
		{"no signature", func(o *bedrockruntime.Options) { o.AuthSchemePreference = []string{"noAuth"} }, host, false},
		{"the client's token", func(o *bedrockruntime.Options) { o.AuthSchemePreference = []string{"httpBearerAuth"} }, "Bearer TOKEN" + host, false},
		{"schemes around the client's", signedElsewhere, "elsewhere" + host, false},
		{"a scheme before the client's", func(o *bedrockruntime.Options) {
			schemes := o.AuthSchemes
			signedElsewhere(o)
			o.AuthSchemes = append(o.AuthSchemes[:1:1], schemes...)
		}, "elsewhere" + host, false},
		{"an HTTP client", func(o *bedrockruntime.Options) { o.HTTPClient = mine{o.HTTPClient} }, "AKID eu-central-1" + host + "mine", true},
		{"a middleware", bedrockruntime.WithAPIOptions(smithyhttp.SetHeaderValue("X-Mine", "header")), "AKID eu-central-1" + host + "header", false},
		{"a middleware that looks at the call", bedrockruntime.WithAPIOptions(tellRegion), "AKID eu-central-1" + host + "eu-central-1", false},
		{"an interceptor", func(o *bedrockruntime.Options) { o.Interceptors.AddAfterSerialization(intercepts("too")) }, "AKID eu-central-1" + host + "too", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBedrock(t)
			sdk := wrapped(t, b, own)
			for range 2 {
				if text := said(t, sdk, c.option); text != c.goes {
					t.Errorf("it went %q, not %q", text, c.goes)
				}
			}
			if hit := len(b.calls()) == 1; hit != c.shares {
				t.Errorf("calls: %q", b.calls())
			}
		})
	}

	// In one client: what has another place, caller or way gets no answer of the others,
	// and leaves none for them.
	all := slices.DeleteFunc(slices.Clone(cases), func(c struct {
		name   string
		option option
		goes   string
		shares bool
	},
	) bool {
		return c.name == "an HTTP client"
	})
	for range 2 {
		sdk := wrapped(t, newBedrock(t), own)
		for _, c := range all {
			if text := said(t, sdk, c.option); text != c.goes {
				t.Errorf("%s: the answer is that of %q", c.name, text)
			}
		}
		slices.Reverse(all)
	}
}

// What a client has of its own for all of its calls keeps them from sharing no answers, even
// where it cannot be compared; a call that leaves it out shares none.
func TestOptionsOfTheClient(t *testing.T) {
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{
		APIOptions:           []func(*middleware.Stack) error{smithyhttp.AddHeaderValue("X-Mine", "guarded")},
		AuthSchemes:          []smithyhttp.AuthScheme{scheme{bearerScheme(), func() {}}},
		AuthSchemePreference: []string{"httpBearerAuth"},
		BearerAuthTokenProvider: bearer.TokenProviderFunc(func(context.Context) (bearer.Token, error) {
			return bearer.Token{Value: "TOKEN"}, nil
		}),
		Interceptors: smithyhttp.InterceptorRegistry{AfterSerialization: []smithyhttp.AfterSerializationInterceptor{intercepts("told")}},
	})
	for range 2 {
		if text := said(t, sdk); text != "elsewhere"+host+"told,guarded" || len(b.calls()) != 1 {
			t.Errorf("it went %q, calls %q", text, b.calls())
		}
	}
	for name, c := range map[string]struct {
		option option
		goes   string
	}{
		"without its interceptor": {func(o *bedrockruntime.Options) { o.Interceptors.AfterSerialization = nil }, "elsewhere" + host + "guarded"},
		"with another":            {func(o *bedrockruntime.Options) { o.Interceptors.AfterSerialization[0] = intercepts("else") }, "elsewhere" + host + "else,guarded"},
		"without its middleware": {func(o *bedrockruntime.Options) {
			o.APIOptions, o.Interceptors.AfterSerialization = o.APIOptions[1:], nil
		}, "elsewhere" + host},
	} {
		if text := said(t, sdk, c.option); text != c.goes {
			t.Errorf("%s: it went %q", name, text)
		}
	}
	if text := said(t, sdk); text != "elsewhere"+host+"told,guarded" || len(b.calls()) != 4 {
		t.Errorf("it went %q, calls %q", text, b.calls())
	}
}

// The SDK has one list of schemes for all calls: one that writes into it changes what its
// client does from then on, and no answer of before is one of it.
func TestOptionsWrittenInto(t *testing.T) {
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{})
	own := said(t, sdk)
	written := said(t, sdk, func(o *bedrockruntime.Options) { o.AuthSchemes[0] = scheme{AuthScheme: o.AuthSchemes[0]} })
	if own != "AKID eu-central-1"+host || written != "elsewhere"+host {
		t.Errorf("they went %q and %q", own, written)
	}
}

// A token of the environment is taken as the SDK takes it, once, and not where the program
// has said otherwise.
func TestTokenOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "ENV")
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{})
	for range 2 {
		if text := said(t, sdk); text != "Bearer ENV"+host || len(b.calls()) != 1 {
			t.Errorf("it went %q, calls %q", text, b.calls())
		}
	}
	for want, option := range map[string]option{
		"AKID eu-central-1": func(o *bedrockruntime.Options) { o.AuthSchemePreference = []string{"sigv4"} },
		"Bearer MINE":       func(o *bedrockruntime.Options) { o.BearerAuthTokenProvider = token("MINE") },
	} {
		if text := said(t, wrapped(t, b, bedrockruntime.Options{}, option)); text != want+host {
			t.Errorf("it went %q, not as %q", text, want)
		}
	}
}

func token(value string) bearer.TokenProvider {
	return bearer.StaticTokenProvider{Token: bearer.Token{Value: value}}
}

// signedElsewhere has calls signed by another than the client's signer: as somebody else.
func signedElsewhere(o *bedrockruntime.Options) {
	all := slices.Clone(o.AuthSchemes)
	for i, s := range all {
		all[i] = scheme{AuthScheme: s}
	}
	o.AuthSchemes = all
}

// scheme is another scheme with a signer of its own. It cannot be compared where it has a
// function.
type scheme struct {
	smithyhttp.AuthScheme
	any
}

func (s scheme) Signer() smithyhttp.Signer { return signer{} }

type signer struct{}

func (signer) SignRequest(_ context.Context, r *smithyhttp.Request, _ auth.Identity, _ smithy.Properties) error {
	r.Header.Set("Authorization", "elsewhere")
	return nil
}

// bearerScheme is the SDK's own scheme for tokens.
func bearerScheme() smithyhttp.AuthScheme {
	return bedrockruntime.New(bedrockruntime.Options{}).Options().AuthSchemes[1]
}

// intercepts is an interceptor that sets a header to itself.
type intercepts string

func (i intercepts) AfterSerialization(_ context.Context, in *smithyhttp.InterceptorContext) error {
	in.Request.Header.Set("X-Mine", string(i))
	return nil
}

// tellRegion adds a header with the region that the SDK knows of the call.
func tellRegion(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc("TellRegion", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		in.Request.(*smithyhttp.Request).Header.Set("X-Mine", awsmiddleware.GetRegion(ctx))
		return next.HandleBuild(ctx, in)
	}), middleware.After)
}

// mine is an HTTP client for one call.
type mine struct{ bedrockruntime.HTTPClient }

func (m mine) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Mine", "mine")
	return m.HTTPClient.Do(r)
}

// Calls at the same time do not share answers over regions, and keep their own options
// though one of them is made for all of a region.
func TestOptionsAtTheSameTime(t *testing.T) {
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{})
	regions := []string{"eu-central-1", "us-east-1", "us-west-2"}
	var calls sync.WaitGroup
	for i := range 30 {
		calls.Go(func() {
			region := regions[i%len(regions)]
			out, err := sdk.Converse(t.Context(), input("hi"), func(o *bedrockruntime.Options) { o.Region = region })
			if err != nil {
				t.Error(err)
				return
			}
			text := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value
			if want := "AKID " + region + " bedrock-runtime." + region + ".amazonaws.com"; text != want {
				t.Errorf("it went %q, not %q", text, want)
			}
		})
	}
	calls.Wait()
	if n := len(b.calls()); n > len(regions) {
		t.Errorf("%d calls for %d regions", n, len(regions))
	}
}

// Whatever retries a call asks for, its original is sent once: the request path retries.
// Operations that go on untouched keep theirs.
func TestOneAttempt(t *testing.T) {
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{})
	in := input("hi")
	in.ModelId = aws.String("broken")
	if _, err := sdk.Converse(t.Context(), in, func(o *bedrockruntime.Options) {
		o.Retryer, o.RetryMaxAttempts = retry.AddWithMaxAttempts(retry.AddWithMaxBackoffDelay(retry.NewStandard(), 1), 3), 3
	}); err == nil {
		t.Error("no error")
	}
	if n := len(b.calls()); n != 1 {
		t.Errorf("%d attempts", n)
	}
	down := &unreachable{}
	if _, err := sdk.Converse(t.Context(), input("hi"), func(o *bedrockruntime.Options) { o.HTTPClient = down }); err == nil || down.calls.Load() != 1 {
		t.Errorf("%d attempts to connect, %v", down.calls.Load(), err)
	}
	_, err := sdk.CountTokens(t.Context(), &bedrockruntime.CountTokensInput{ModelId: in.ModelId, Input: &types.CountTokensInputMemberConverse{}}, func(o *bedrockruntime.Options) {
		o.Retryer = retry.AddWithMaxBackoffDelay(retry.NewStandard(), 1)
	})
	if n := len(b.calls()); err == nil || n != 4 {
		t.Errorf("%d attempts for both, %v", n, err)
	}
}

// unreachable is an HTTP client without a network, which the SDK tries again.
type unreachable struct{ calls atomic.Int64 }

func (u *unreachable) Do(*http.Request) (*http.Response, error) {
	u.calls.Add(1)
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// A stack without the SDK's step for attempts is refused, not guessed at.
func TestNoRetryStep(t *testing.T) {
	b := newBedrock(t)
	sdk := wrapped(t, b, bedrockruntime.Options{APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
		_, err := s.Finalize.Remove("Retry")
		return err
	}}})
	if _, err := sdk.Converse(t.Context(), input("hi")); err == nil || !strings.Contains(err.Error(), "held to one") || len(b.calls()) != 0 {
		t.Errorf("%v, calls %q", err, b.calls())
	}
}
