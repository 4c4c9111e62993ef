// Package access says who may call and what for: keys with their secrets, tenants,
// scopes and priorities, and the ring that finds what a request's credentials grant.
// It knows HTTP headers, and nothing of routes.
package access

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/internal/ident"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// The scopes: what a key may be used for. A route names the one that it needs.
const (
	// Call allows calls of models and operations, and the list of models.
	Call = "call"
	// Stored allows reading and deleting the completions that the provider
	// has stored. They belong to the provider's account, so to every tenant of it:
	// the scope is in no key that does not name it.
	Stored = "stored"
	// Metrics allows reading /metrics, and how things are: overview, series, alarms; of
	// the log of requests and of costs, those of the key's own tenant.
	Metrics = "metrics"
	// Cache allows reading the cache's figures, and to invalidate and to warm up
	// answers of the key's own tenant.
	Cache = "cache"
	// Jobs allows submitting durable jobs, and reading, cancelling, changing and
	// removing those of the key's own tenant.
	Jobs = "jobs"
	// Costs allows booking what users' work has cost elsewhere, for the key's own tenant.
	Costs = "costs"
	// Admin is for changes of the running system, for all tenants. It includes
	// Cache, Jobs, Metrics and Costs.
	Admin = "admin"
)

// Scopes lists the scopes that a key may have.
func Scopes() []string {
	return []string{Call, Stored, Jobs, Metrics, Cache, Costs, Admin}
}

const (
	// minSecret is the shortest secret: NIST SP 800-63B's least length of a
	// secret that a person chose. A generated one has 32 bytes or more.
	minSecret = 8
	// maxSecret bounds what is hashed for a caller.
	maxSecret = 512
	// DefaultTenant owns the keys that name no tenant, and open gateways' callers.
	DefaultTenant = "default"
)

// Key lets a caller in and says what for.
type Key struct {
	// Name identifies the key in logs and accounts, never its secret. Required
	// and unique: 1 to 64 of A-Z a-z 0-9 . _ -
	Name string
	// Secret is what the caller sends: "Authorization: Bearer SECRET", or in
	// x-api-key or api-key. 8 to 512 visible ASCII characters, spaces inside
	// allowed; unique. A ring keeps an HMAC of it only, unless there is an AccessKeyID.
	Secret llm.Secret
	// AccessKeyID makes the key an AWS-style pair as well: with this id, Secret is the
	// secret access key that a request is signed with (package sigv4). 16 to 128 of
	// A-Z a-z 0-9 _ -, and unique. A ring has to keep the secret of such a key, since a
	// signature can only be checked by who could make it. Empty means that there is none.
	AccessKeyID string
	// Tenant is whom the caller's calls belong to. Empty means "default", which
	// all keys without a tenant share, cached answers included.
	Tenant string
	// Scopes is what the key may be used for. Empty means call alone.
	Scopes []string
	// Bands is which priorities the key may ask for. Empty means low and normal.
	// A call that asks for none gets normal, or the nearest band below it that the
	// key has, or else its lowest.
	Bands []llm.Priority
	// Expires is when the key ends. Zero means never.
	Expires time.Time
}

// Grant is what a key allows, in the form that a request is checked against. It is
// shared by all requests with the key, and never changed.
type Grant struct {
	// Name is the key's, Tenant whom its calls belong to.
	Name, Tenant string
	Scopes       []string
	// Band is that of calls that ask for none.
	Band    llm.Priority
	bands   [len(llm.Priorities)]bool
	expires time.Time
}

// Allows reports whether the grant has a scope.
func (g *Grant) Allows(scope string) bool {
	return slices.Contains(g.Scopes, scope) || (scope == Cache || scope == Jobs || scope == Metrics || scope == Costs) && slices.Contains(g.Scopes, Admin)
}

// Expired reports whether the key has ended.
func (g *Grant) Expired(now time.Time) bool { return !g.expires.IsZero() && !now.Before(g.expires) }

// MayAsk refuses a band that the key does not grant. A silent demotion would look
// like a slow gateway.
func (g *Grant) MayAsk(p llm.Priority) error {
	if g.bands[p.Index()] {
		return nil
	}
	return &llm.Error{
		Kind: llm.CallerForbidden, Param: "x-forebay-priority",
		Message: fmt.Sprintf("the key %q does not grant the priority %s", g.Name, p),
		Limit:   "keys." + g.Name + ".bands", Value: g.bandNames(),
		Fix: "Ask for one of " + g.bandNames() + ", or have the key's bands extended.",
	}
}

// bandNames lists the granted bands, for error messages.
func (g *Grant) bandNames() string {
	var names []string
	for _, p := range llm.Priorities {
		if g.bands[p.Index()] {
			names = append(names, p.String())
		}
	}
	return strings.Join(names, ", ")
}

// Anonymous is the grant of every caller of an open gateway.
func Anonymous() *Grant {
	return &Grant{
		Name: "anonymous", Tenant: DefaultTenant, Scopes: []string{Call, Metrics, Cache, Jobs, Costs},
		bands: [...]bool{true, true, true, true}, Band: llm.Normal,
	}
}

// digest is the HMAC-SHA-256 of a secret.
type digest [sha256.Size]byte

// Ring finds the grant of a secret. It holds HMACs of secrets under a pepper that is
// drawn anew for each process, and no secret but those of keys with an access key id. A look-up by such a digest tells an
// attacker who measures time nothing, because without the pepper the digest of
// a guess cannot be steered. It never changes and is safe for concurrent use.
type Ring struct {
	grants  map[digest]*Grant
	pairs   map[string]pair // by access key id
	hashers sync.Pool       // of *hasher
}

// pair is what signatures with an access key id are checked with.
type pair struct {
	secret llm.Secret
	grant  *Grant
}

// hasher is one HMAC with room for its input and output, so that a look-up
// allocates nothing.
type hasher struct {
	mac hash.Hash
	in  []byte
	sum digest
}

// NewRing checks keys and makes their ring. The error lists every fault.
func NewRing(keys []Key) (*Ring, error) {
	pepper := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(pepper) // never fails: the runtime stops the process instead
	r := &Ring{grants: make(map[digest]*Grant, len(keys)), pairs: map[string]pair{}}
	r.hashers.New = func() any {
		return &hasher{mac: hmac.New(sha256.New, pepper), in: make([]byte, 0, maxSecret)}
	}
	var faults []error
	names := map[string]bool{}
	for i, k := range keys {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("gateway: key %d (%.64q): "+format, append([]any{i + 1, k.Name}, args...)...))
		}
		g := k.grant(fault)
		if names[k.Name] {
			fault("the name is taken by an earlier key: names are unique")
		}
		names[k.Name] = true
		d := r.digest(k.Secret.Reveal())
		if other := r.grants[d]; other != nil {
			fault("it has the same secret as key %q: secrets are unique", other.Name)
		}
		r.grants[d] = g
		if k.AccessKeyID == "" {
			continue
		}
		if !ident.Is(k.AccessKeyID, 16, 128, "_-") {
			fault("an access key id has 16 to 128 of A-Z a-z 0-9 _ -")
		}
		if other, taken := r.pairs[k.AccessKeyID]; taken {
			fault("it has the same access key id as key %q: they are unique", other.grant.Name)
		}
		r.pairs[k.AccessKeyID] = pair{k.Secret, g}
	}
	return r, errors.Join(faults...)
}

func keyName(s string) bool { return ident.Is(s, 1, 64, "._-") }

// grant checks k and turns it into what requests are checked against.
func (k *Key) grant(fault func(format string, args ...any)) *Grant {
	g := &Grant{Name: k.Name, Tenant: cmp.Or(k.Tenant, DefaultTenant), Scopes: slices.Clone(k.Scopes), expires: k.Expires}
	if !keyName(k.Name) {
		fault("a name has 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if k.Tenant != "" && !keyName(k.Tenant) {
		fault("tenant %.64q: a tenant has 1 to 64 of A-Z a-z 0-9 . _ -", k.Tenant)
	}
	secret := k.Secret.Reveal()
	if len(secret) < minSecret || len(secret) > maxSecret {
		fault("the secret has %d characters: give %d to %d, best 32 random bytes", len(secret), minSecret, maxSecret)
	}
	if !PlainText(secret) || strings.TrimSpace(secret) != secret {
		fault("the secret has characters that a header cannot carry: use visible ASCII")
	}
	if len(g.Scopes) == 0 {
		g.Scopes = []string{Call}
	}
	for _, s := range g.Scopes {
		if !slices.Contains(Scopes(), s) {
			fault("unknown scope %.64q%s: one of %s", s, near.DidYouMean(s, Scopes()), strings.Join(Scopes(), ", "))
		}
	}
	g.grantBands(k.Bands, fault)
	return g
}

// grantBands sets the bands, and which of them a call gets that asks for none.
func (g *Grant) grantBands(bands []llm.Priority, fault func(format string, args ...any)) {
	if len(bands) == 0 {
		bands = []llm.Priority{llm.Low, llm.Normal}
	}
	g.Band = slices.Min(bands)
	for _, b := range bands {
		if b < llm.Low || b > llm.Critical {
			fault("unknown band %s: one of low, normal, high, critical", b)
			continue
		}
		g.bands[b.Index()] = true
		if b <= llm.Normal {
			g.Band = max(g.Band, b)
		}
	}
}

// PlainText says that s is ASCII that prints, spaces included.
func PlainText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// digest is the HMAC of secret.
func (r *Ring) digest(secret string) digest {
	h := r.hashers.Get().(*hasher)
	h.mac.Reset()
	h.in = append(h.in[:0], secret...)
	h.mac.Write(h.in)
	h.mac.Sum(h.sum[:0])
	d := h.sum
	r.hashers.Put(h)
	return d
}

// Find returns the grant behind the credentials in h.
func (r *Ring) Find(h http.Header, now time.Time) (*Grant, *llm.Error) {
	secret, err := credentials(h)
	if err != nil {
		return nil, err
	}
	g := r.grants[r.digest(secret)]
	switch {
	case g == nil:
		return nil, unauthenticated("the key is not known")
	case g.Expired(now):
		return nil, unauthenticated("the key has expired")
	}
	return g, nil
}

// Pair returns the secret access key that belongs to an access key id, and what the key
// grants to who knows it: to who has signed with it, while it has not Expired.
func (r *Ring) Pair(id string) (secret llm.Secret, grant *Grant, ok bool) {
	p, ok := r.pairs[id]
	return p.secret, p.grant, ok
}

// Named returns the grant of the key of this name, while the key lasts.
func (r *Ring) Named(name string, now time.Time) (*Grant, bool) {
	for _, g := range r.grants {
		if g.Name == name {
			return g, !g.Expired(now)
		}
	}
	return nil, false
}

// HasKey says that a request brings credentials, good or bad.
func HasKey(h http.Header) bool {
	return len(h["Authorization"]) > 0 || len(h["X-Api-Key"]) > 0 || len(h["Api-Key"]) > 0
}

// credentials takes the secret from Authorization, x-api-key or api-key, in that
// order. A request that repeats its header is refused: which one counts would be
// for each proxy on the way to choose.
func credentials(h http.Header) (string, *llm.Error) {
	for _, name := range [...]string{"Authorization", "X-Api-Key", "Api-Key"} {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			return "", unauthenticated("the header " + strings.ToLower(name) + " is there more than once")
		}
		secret := values[0]
		if name == "Authorization" {
			scheme, rest, _ := strings.Cut(secret, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return "", unauthenticated("authorization has no bearer token")
			}
			secret = strings.TrimSpace(rest)
		}
		if secret == "" || len(secret) > maxSecret {
			return "", unauthenticated("the key is empty or too long")
		}
		return secret, nil
	}
	return "", unauthenticated("no key")
}

func unauthenticated(message string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerUnauthenticated, Message: message,
		Fix: "Send a key of this gateway as Authorization: Bearer KEY, or as x-api-key.",
	}
}
