package cache_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cache"
)

// The key of a fixed request. It changes with the encoding only, and then
// keyVersion has to change too: entries may outlive the program that made them.
func TestKeyIsStable(t *testing.T) {
	got := cache.KeyOf(identity, cache.DefaultScope(), []byte(`{"messages":[]}`)).String()
	const want = "b45cff1e590adfd6bc62ee22530875c020586aec058a26791be43981b31b7a01"
	if got != want {
		t.Errorf("key %s, want %s", got, want)
	}
}

// fields are the identity's, by name, as far as they are part of every key.
var fields = map[string]func(*cache.Identity) *string{
	"dialect":        func(i *cache.Identity) *string { return &i.Dialect },
	"endpoint":       func(i *cache.Identity) *string { return &i.Endpoint },
	"operation":      func(i *cache.Identity) *string { return &i.Operation },
	"family":         func(i *cache.Identity) *string { return &i.Family },
	"model":          func(i *cache.Identity) *string { return &i.Model },
	"prompt version": func(i *cache.Identity) *string { return &i.PromptVersion },
	"namespace":      func(i *cache.Identity) *string { return &i.Namespace },
	"tenant":         func(i *cache.Identity) *string { return &i.Tenant },
	"user":           func(i *cache.Identity) *string { return &i.User },
	"persona":        func(i *cache.Identity) *string { return &i.Persona },
}

// hostile draws short strings of bytes that an encoding could mistake for its own:
// zeros, marks, small lengths, separators.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte("\x00\x01\x02\x03:|/\n\"ab")), 0, 6).Draw(t, "bytes"))
	})
}

func anyIdentity(t *rapid.T, label string) cache.Identity {
	var id cache.Identity
	for _, name := range fieldNames() {
		*fields[name](&id) = hostile().Draw(t, label+" "+name)
	}
	return id
}

func fieldNames() []string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// request is what a key stands for: what two requests have to agree on.
type request struct {
	id        cache.Identity
	scope     [3]bool // tenant, user, persona count
	canonical string
}

func requestOf(id cache.Identity, scope []cache.Dimension, canonical []byte) request {
	r := request{id: id, scope: [3]bool{true, true, true}, canonical: string(canonical)}
	if len(scope) > 0 {
		r.scope = [3]bool{
			!slices.Equal(scope, []cache.Dimension{cache.Shared}),
			slices.Contains(scope, cache.User), slices.Contains(scope, cache.Persona),
		}
	}
	for i, field := range []*string{&r.id.Tenant, &r.id.User, &r.id.Persona} {
		if !r.scope[i] {
			*field = ""
		}
	}
	return r
}

var scopes = [][]cache.Dimension{
	nil,
	{},
	cache.DefaultScope(),
	{cache.Tenant},
	{cache.User},
	{cache.Persona},
	{cache.Tenant, cache.User},
	{cache.Persona, cache.Tenant},
	{cache.Persona, cache.User, cache.Tenant},
	{cache.Shared},
	{cache.Shared, cache.User}, // a fault; it must not share more than {user}
}

// Two requests have one key if and only if they agree on everything that the key
// stands for. The strings are made to look like parts of the encoding.
func TestKeyIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, scope := anyIdentity(t, "one"), rapid.SampledFrom(scopes).Draw(t, "scope")
		canonical := []byte(hostile().Draw(t, "canonical"))
		other, scope2, canonical2 := one, scope, canonical
		if rapid.Bool().Draw(t, "another identity") {
			other = anyIdentity(t, "other")
		}
		if rapid.Bool().Draw(t, "another scope") {
			scope2 = rapid.SampledFrom(scopes).Draw(t, "scope2")
		}
		if rapid.Bool().Draw(t, "another canonical") {
			canonical2 = []byte(hostile().Draw(t, "canonical2"))
		}
		same := requestOf(one, scope, canonical) == requestOf(other, scope2, canonical2)
		if got := cache.KeyOf(one, scope, canonical) == cache.KeyOf(other, scope2, canonical2); got != same {
			t.Fatalf("same key: %v, same request: %v", got, same)
		}
	})
}

// Any difference in a single field is another key.
func TestKeyDependsOnEveryField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := anyIdentity(t, "identity")
		other := one
		name := rapid.SampledFrom(fieldNames()).Draw(t, "field")
		field := fields[name](&other)
		*field = hostile().Filter(func(s string) bool { return s != *field }).Draw(t, "value")
		for _, scope := range scopes {
			counts := requestOf(one, scope, nil) != requestOf(other, scope, nil)
			if differ := cache.KeyOf(one, scope, nil) != cache.KeyOf(other, scope, nil); differ != counts {
				t.Fatalf("scope %v: %s %q and %q: different keys: %v, want %v",
					scope, name, *fields[name](&one), *field, differ, counts)
			}
		}
	})
}

// Bytes that wander from one field to the next, or into the canonical form, change
// the key: no separator can be forged.
func TestKeySeparatorsCannotBeForged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.SampledFrom([]byte("\x00\x01\x02\x0a:")), 1, 40).Draw(t, "bytes")
		split := func(label string) (cache.Identity, []byte, []int) {
			var id cache.Identity
			rest, cuts := whole, []int{}
			for _, name := range fieldNames() {
				n := rapid.IntRange(0, len(rest)).Draw(t, label+" "+name)
				*fields[name](&id), rest = string(rest[:n]), rest[n:]
				cuts = append(cuts, n)
			}
			return id, rest, cuts
		}
		one, rest1, cuts1 := split("one")
		other, rest2, cuts2 := split("other")
		same := slices.Equal(cuts1, cuts2)
		if got := cache.KeyOf(one, nil, rest1) == cache.KeyOf(other, nil, rest2); got != same {
			t.Fatalf("cuts %v and %v: same key: %v", cuts1, cuts2, got)
		}
	})
}

// A canonical form that goes on as the encoding of another request would, has a key
// of its own.
func TestKeyCanonicalCannotExtendIdentity(t *testing.T) {
	with, without := identity, identity
	without.Persona = ""
	tail := append([]byte{1}, binary.AppendUvarint(nil, uint64(len(with.Persona)))...)
	tail = append(tail, with.Persona...)
	if cache.KeyOf(with, nil, nil) == cache.KeyOf(without, nil, tail) {
		t.Error("a canonical form took the place of the persona")
	}
}

func TestKeyConcurrently(t *testing.T) {
	want := cache.KeyOf(identity, nil, []byte("canonical"))
	long := identity
	long.Namespace = strings.Repeat("n", 1<<20) // its scratch buffer is not kept
	done := make(chan bool)
	for range 8 {
		go func() {
			ok := true
			for n := range 200 {
				if n%50 == 0 {
					cache.KeyOf(long, nil, nil)
				}
				cache.KeyOf(identity, nil, bytes.Repeat([]byte{byte(n)}, n))
				ok = ok && cache.KeyOf(identity, nil, []byte("canonical")) == want
			}
			done <- ok
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("the key of a request changed")
		}
	}
}

func TestScope(t *testing.T) {
	for _, tt := range []struct {
		scope []cache.Dimension
		owner string
		fault string
	}{
		{nil, "acme", ""},
		{cache.DefaultScope(), "acme", ""},
		{[]cache.Dimension{cache.User}, "acme", ""},
		{[]cache.Dimension{cache.Shared}, "", ""},
		{[]cache.Dimension{cache.Shared, cache.User}, "acme", `cache dimension "shared" stands alone: leave out the others, or it`},
		{[]cache.Dimension{cache.User, cache.User}, "acme", `cache dimension "user" is named twice`},
		{[]cache.Dimension{"team"}, "acme", `unknown cache dimension "team": one of tenant, user, persona, shared`},
		{[]cache.Dimension{"User"}, "acme", `unknown cache dimension "User": one of tenant, user, persona, shared`},
	} {
		if got := cache.Owner(tt.scope, "acme"); got != tt.owner {
			t.Errorf("Owner(%v) = %q, want %q", tt.scope, got, tt.owner)
		}
		fault := ""
		if err := cache.CheckScope(tt.scope); err != nil {
			fault = err.Error()
		}
		if fault != tt.fault {
			t.Errorf("CheckScope(%v) = %q, want %q", tt.scope, fault, tt.fault)
		}
	}
	for _, d := range []cache.Dimension{cache.Tenant, cache.User, cache.Persona, cache.Shared} {
		if got, err := cache.ParseDimension(strings.ToUpper(string(d))); err != nil || got != d {
			t.Errorf("ParseDimension(%q) = %q, %v", d, got, err)
		}
	}
	if _, err := cache.ParseDimension("team"); err == nil {
		t.Error("ParseDimension took an unknown name")
	}
	cache.DefaultScope()[0] = cache.Shared
	if cache.DefaultScope()[0] != cache.Tenant {
		t.Error("the default scope was changed from outside")
	}
}

func TestKeyDoesNotAllocate(t *testing.T) {
	scope, canonical := cache.DefaultScope(), make([]byte, 2048)
	if n := testing.AllocsPerRun(1000, func() { cache.KeyOf(identity, scope, canonical) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations a key", n)
	}
}
