package bedrock_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// source is a source of credentials that a test steers.
type source struct {
	mu    sync.Mutex // guards next
	next  func(ctx context.Context, n int) (aws.Credentials, error)
	loads atomic.Int32
}

func (s *source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	n := int(s.loads.Add(1))
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	return next(ctx, n)
}

func keysFor(d time.Duration) aws.Credentials {
	return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: token, CanExpire: true, Expires: time.Now().Add(d)}
}

func withSource(s *source) func(*bedrock.Config) {
	return func(c *bedrock.Config) { c.Credentials = s }
}

// Credentials are loaded once for calls that come together, and not in New.
func TestCredentialsAreLoadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(context.Context, int) (aws.Credentials, error) {
			time.Sleep(time.Second)
			return keysFor(time.Hour), nil
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		if s.loads.Load() != 0 {
			t.Error("New has loaded credentials")
		}
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				if _, err := collect(t, p, chat(false)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// While credentials are good nobody waits for new ones, however long these take; and
// those that are new are used without a restart.
func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const second = "AKIDTHESECOND0000000"
		s := &source{next: func(_ context.Context, n int) (aws.Credentials, error) {
			c := keysFor(time.Hour)
			if n > 1 {
				time.Sleep(20 * time.Second)
				c.AccessKeyID = second
			}
			return c, nil
		}}
		var id string
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, id, _ = strings.Cut(r.Header.Get("Authorization"), "Credential=")
			id, _, _ = strings.Cut(id, "/")
			both(w, r)
		}), withSource(s))
		call := func(want string) {
			t.Helper()
			begin := time.Now()
			if _, err := collect(t, p, chat(false)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 0 || id != want {
				t.Errorf("signed by %s after %v, want %s at once", id, took, want)
			}
		}
		call(keyID)
		time.Sleep(54 * time.Minute)
		call(keyID)
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times six minutes before the end", n)
		}
		time.Sleep(2 * time.Minute)
		call(keyID) // begins to load
		call(keyID)
		time.Sleep(21 * time.Second)
		call(second)
		if n := s.loads.Load(); n != 2 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// A call waits for credentials no longer than for a connection; what it waited for is
// there for the next one, although that took longer.
func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(ctx context.Context, _ int) (aws.Credentials, error) {
			time.Sleep(8 * time.Second)
			return keysFor(time.Hour), ctx.Err()
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		for range 2 {
			begin := time.Now()
			_, err := collect(t, p, chat(true))
			if e := want(t, err, llm.ProviderConnectionFailed); e.Limit != "connect_timeout" || e.Value != "3s" || !strings.Contains(e.Fix, "AWS_ACCESS_KEY_ID") {
				t.Errorf("%+v", e)
			}
			if took := time.Since(begin); took != 3*time.Second {
				t.Errorf("waited %v", took)
			}
		}
		time.Sleep(3 * time.Second)
		if _, err := collect(t, p, chat(true)); err != nil {
			t.Error(err)
		}
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// The caller's own end comes first, and does not stop the loading for others.
func TestCancelledWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(ctx context.Context, _ int) (aws.Credentials, error) {
			time.Sleep(2 * time.Second)
			return keysFor(time.Hour), ctx.Err()
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Call(ctx, model, chat(false))
		want(t, err, llm.CallerDeadline)
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Error(err)
		}
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// A source that fails is not asked at the rate of calls; it says what to do, and works
// again as soon as it can.
func TestFailingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		s := &source{next: func(context.Context, int) (aws.Credentials, error) {
			if broken.Load() {
				return aws.Credentials{}, errors.New("no EC2 IMDS role found")
			}
			return keysFor(time.Hour), nil
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		for range 100 {
			_, err := collect(t, p, chat(false))
			e := want(t, err, llm.ProviderAuthFailed)
			if !strings.Contains(e.Fix, "AWS_ACCESS_KEY_ID") || !strings.Contains(e.Error(), "no EC2 IMDS role found") || e.Status != 0 {
				t.Fatalf("%+v", e)
			}
		}
		if n := s.loads.Load(); n != 1 {
			t.Errorf("asked %d times within a moment", n)
		}
		broken.Store(false)
		time.Sleep(time.Second)
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Error(err)
		}
	})
}

// A source that fails while credentials are good costs no call; at their end it does.
func TestFailingRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(_ context.Context, n int) (aws.Credentials, error) {
			if n > 1 {
				return aws.Credentials{}, errors.New("token service is down")
			}
			return keysFor(time.Hour), nil
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		for begin := time.Now(); time.Since(begin) < time.Hour; time.Sleep(5 * time.Second) {
			if _, err := collect(t, p, chat(false)); err != nil {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		if n := s.loads.Load(); n < 25 || n > 35 { // five minutes, every ten seconds
			t.Errorf("loaded %d times", n)
		}
		_, err := collect(t, p, chat(false))
		if e := want(t, err, llm.ProviderAuthFailed); !strings.Contains(e.Error(), "token service is down") {
			t.Error(e)
		}
	})
}

// Credentials that AWS refuses are loaded anew, though they do not expire; here with the
// same id and another secret, as when a slip in a file was corrected.
func TestRefusedCredentialsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(_ context.Context, n int) (aws.Credentials, error) {
			c := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: "wrong-secret-000000", SessionToken: token}
			if n > 2 {
				c.SecretAccessKey = secret
			}
			return c, nil
		}}
		var good atomic.Bool
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := captured{target: r.RequestURI, host: r.Host, header: r.Header.Clone(), length: r.ContentLength, body: chat(false).Body}
			_, fault := checkSignature(c, "eu-central-1")
			if good.Store(fault == ""); fault != "" {
				rejects(403, "InvalidSignatureException", `{"message":"The request signature we calculated does not match"}`)(w, r)
				return
			}
			both(w, r)
		}), withSource(s))
		for range 5 {
			_, err := collect(t, p, chat(false))
			want(t, err, llm.ProviderAuthFailed)
		}
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times within a moment", n)
		}
		time.Sleep(11 * time.Second)
		_, err := collect(t, p, chat(false)) // loads the second, which is no better
		want(t, err, llm.ProviderAuthFailed)
		time.Sleep(11 * time.Second)
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Error(err)
		}
		if n := s.loads.Load(); n != 3 || !good.Load() {
			t.Errorf("loaded %d times", n)
		}
	})
}

// A refusal of access to a model is not one of the credentials.
func TestAccessDeniedKeepsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(context.Context, int) (aws.Credentials, error) { return keysFor(24 * time.Hour), nil }}
		p := inBubble(t, rejects(403, "AccessDeniedException", `{"message":"no access to the model"}`), withSource(s))
		for range 3 {
			_, err := collect(t, p, chat(false))
			want(t, err, llm.ProviderRejected)
			time.Sleep(time.Minute)
		}
		if n := s.loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// The SDK's cache returns what it has until it is told to forget it.
func TestRefusedCredentialsInTheSDKsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{next: func(_ context.Context, n int) (aws.Credentials, error) { return keysFor(12 * time.Hour), nil }}
		var refuse atomic.Bool
		refuse.Store(true)
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refuse.Load() {
				rejects(403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`)(w, r)
				return
			}
			both(w, r)
		}), func(c *bedrock.Config) { c.Credentials = aws.NewCredentialsCache(s) })
		_, err := collect(t, p, chat(false))
		want(t, err, llm.ProviderAuthFailed)
		refuse.Store(false)
		time.Sleep(11 * time.Second)
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Error(err)
		}
		if n := s.loads.Load(); n != 2 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// Close ends a loading and waits for it.
func TestCloseWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		s := &source{next: func(ctx context.Context, _ int) (aws.Credentials, error) {
			<-ctx.Done()
			ended.Store(true)
			return aws.Credentials{}, ctx.Err()
		}}
		p := inBubble(t, http.HandlerFunc(both), withSource(s))
		_, err := collect(t, p, chat(false))
		want(t, err, llm.ProviderConnectionFailed)
		if _ = p.Close(); !ended.Load() {
			t.Error("Close has not waited for the loading")
		}
	})
}

// The default chain reads the environment and the files when it has to, not in New, and
// what changed in them since counts.
func TestDefaultChain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	write := func(id string) {
		text := "[default]\naws_access_key_id=none\naws_secret_access_key=none\n[work]\naws_access_key_id=" + id + "\naws_secret_access_key=" + secret + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	var ids []string
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, id, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		id, _, _ = strings.Cut(id, "/")
		ids = append(ids, id)
		both(w, r)
	}, func(c *bedrock.Config) { c.Credentials, c.Profile = nil, "work" })
	write("AKIDFROMTHEFILE00000") // after New
	if _, err := collect(t, p, chat(false)); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 1 || ids[0] != "AKIDFROMTHEFILE00000" {
		t.Errorf("signed by %q", ids)
	}
	nobody := start(t, both, func(c *bedrock.Config) { c.Credentials, c.Profile = nil, "nobody" })
	_, err := collect(t, nobody, chat(false))
	if e := want(t, err, llm.ProviderAuthFailed); !strings.Contains(e.Error(), "nobody") || !strings.Contains(e.Fix, "api_key") {
		t.Error(e)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDFROMENVIRONMENT0")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	environment := start(t, func(w http.ResponseWriter, r *http.Request) {
		ids = append(ids, r.Header.Get("Authorization"))
		both(w, r)
	}, func(c *bedrock.Config) { c.Credentials = nil })
	if _, err := collect(t, environment, chat(false)); err != nil || !strings.Contains(ids[len(ids)-1], "AKIDFROMENVIRONMENT0") {
		t.Errorf("%v, %q", err, ids)
	}
}
