package bedrock

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

const (
	// loadFor bounds one loading of credentials. It is longer than any call waits for it:
	// a token service that takes 5 s would never be heard out otherwise.
	loadFor = 30 * time.Second
	// refreshAhead is how long before their end credentials are loaded anew: the instance
	// metadata service has new ones at least five minutes before.
	refreshAhead = 5 * time.Minute
	// reloadEvery is the least time between loadings while there are credentials: those
	// that are refused, or near their end, may be all there are.
	reloadEvery = 10 * time.Second
	// failedFor is how long a failure to load is told without another try, where there
	// are no credentials. The metadata service is not to be asked at the rate of calls.
	failedFor = time.Second
)

// identity is one set of credentials. It is never changed.
type identity struct {
	credentials aws.Credentials
	// signer belongs to the identity because it keeps the key that it derives from a
	// secret, and looks it up by the access key's id: another secret under the same id,
	// as after a slip in a file was corrected, would be ignored.
	signer  *v4.Signer
	secrets *exchange.Secrets
}

func newIdentity(c aws.Credentials) *identity {
	return &identity{
		credentials: c, signer: v4.NewSigner(),
		// The token travels with each call, and AWS repeats the signed headers where it refuses
		// a signature. The secret never travels; a back end that has it all the same is not to tell.
		secrets: exchange.Hide([]llm.Secret{llm.Secret(c.SessionToken), llm.Secret(c.SecretAccessKey)}, nil),
	}
}

// keyring holds the credentials of a provider and loads them when it has to, one loading
// at a time. It is safe for concurrent use.
type keyring struct {
	source aws.CredentialsProvider
	wait   time.Duration // the longest that a call waits for a loading

	mu      sync.Mutex // guards what follows; not held while credentials are loaded
	current *identity  // nil until a loading succeeded
	refused bool       // AWS did not accept current
	loading *loading   // nil while there is none
	failed  error      // of the last loading; nil if it succeeded
	next    time.Time  // no loading begins sooner

	loads sync.WaitGroup // the goroutine that loads
}

// loading is one call of the source.
type loading struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
}

func newKeyring(source aws.CredentialsProvider, wait time.Duration) *keyring {
	return &keyring{source: source, wait: wait}
}

// get returns credentials to sign with. It waits for them only where there are none that
// are good, and then no longer than for a connection.
func (k *keyring) get(ctx context.Context) (*identity, *llm.Error) {
	if err := ctx.Err(); err != nil {
		return nil, llm.AsError(err)
	}
	id, l, failed := k.look(time.Now())
	switch {
	case id != nil:
		return id, nil
	case l == nil:
		return nil, notLoaded(failed)
	}
	timer := time.NewTimer(k.wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, llm.AsError(ctx.Err())
	case <-timer.C:
		e := exchange.Fault(failure.ConnectTimeout, "AWS credentials could not be loaded in time")
		e.Limit, e.Value, e.Fix = "connect_timeout", k.wait.String(), howToLoad
		return nil, e
	case <-l.done:
	}
	return k.loaded()
}

// look returns the credentials if they are good, and otherwise the loading to wait for, or
// why there is none. It begins one where it is time.
func (k *keyring) look(now time.Time) (*identity, *loading, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.current
	expired := c == nil || c.credentials.CanExpire && !now.Before(c.credentials.Expires)
	ending := expired || k.refused || c.credentials.CanExpire && now.Add(refreshAhead).After(c.credentials.Expires)
	if ending && k.loading == nil && !now.Before(k.next) {
		k.beginLocked()
	}
	if !expired && (!k.refused || k.loading == nil) {
		return c, nil, nil
	}
	return nil, k.loading, k.failed
}

// beginLocked starts a loading. Its context is not that of the call that needs it:
// others wait for it too, and the next call wants it when this one has gone.
func (k *keyring) beginLocked() {
	ctx, cancel := context.WithTimeout(context.Background(), loadFor)
	l := &loading{cancel: cancel, done: make(chan struct{})}
	k.loading = l
	renew := k.refused
	k.loads.Go(func() {
		defer cancel()
		if cache, ok := k.source.(interface{ Invalidate() }); ok && renew {
			cache.Invalidate() // it would return what was refused
		}
		c, err := k.source.Retrieve(ctx)
		if err == nil && !c.HasKeys() {
			err = errors.New("the source returned no keys")
		}
		k.end(l, c, err)
	})
}

// end notes what a loading brought.
func (k *keyring) end(l *loading, c aws.Credentials, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.loading, k.failed = nil, err
	if err == nil {
		k.current, k.refused = newIdentity(c), false
	}
	k.next = now.Add(reloadEvery)
	if k.current == nil || k.current.credentials.Expired() {
		k.next = now.Add(failedFor)
	}
	close(l.done)
}

// loaded returns what there is after a loading.
func (k *keyring) loaded() (*identity, *llm.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch c := k.current; {
	case k.failed == nil && c.credentials.Expired():
		return nil, notLoaded(errors.New("the source returned credentials that have expired"))
	case c != nil && !c.credentials.Expired(): // those that were refused too: AWS says best why
		return c, nil
	}
	return nil, notLoaded(k.failed)
}

// refuse notes that AWS did not accept credentials, so that others are looked for. What
// was loaded meanwhile is not meant.
func (k *keyring) refuse(id *identity) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == id {
		k.refused = true
	}
}

// close ends a loading and waits for its end.
func (k *keyring) close() {
	k.mu.Lock()
	l := k.loading
	k.mu.Unlock()
	if l != nil {
		l.cancel()
	}
	k.loads.Wait()
}

// howToLoad is what to do where there are no credentials.
const howToLoad = "Give the machine a role, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or set api_key to a Bedrock API key."

func notLoaded(cause error) *llm.Error {
	e := llm.Errorf(llm.ProviderAuthFailed, "there are no AWS credentials to call the provider with")
	e.Fix, e.Err = howToLoad, cause
	return e
}
