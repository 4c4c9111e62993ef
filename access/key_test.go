package access_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/llm"
)

func TestRing(t *testing.T) {
	end := time.Unix(1_000_000, 0)
	r, err := access.NewRing([]access.Key{
		{Name: "web", Secret: "web-key-secret", Tenant: "acme", Bands: []llm.Priority{llm.High, llm.Critical}, Expires: end},
		{Name: "admin", Secret: "admin-key-secret", Scopes: []string{access.Admin}},
	})
	if err != nil {
		t.Fatal(err)
	}
	find := func(now time.Time, header ...string) (*access.Grant, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		g, err := r.Find(h, now)
		if err == nil {
			return g, nil
		}
		return nil, err
	}
	g, err := find(end.Add(-1), "Authorization", "bearer web-key-secret")
	if err != nil || g.Name != "web" || g.Tenant != "acme" || !g.Allows(access.Call) || g.Allows(access.Cache) || g.Band != llm.High {
		t.Errorf("%+v %v", g, err)
	}
	if g.MayAsk(llm.Critical) != nil || llm.KindOf(g.MayAsk(llm.Low)) != llm.CallerForbidden {
		t.Error("bands are not as granted")
	}
	g, err = find(end, "X-Api-Key", "admin-key-secret")
	if err != nil || g.Tenant != access.DefaultTenant || !g.Allows(access.Cache) || !g.Allows(access.Admin) || g.Allows(access.Call) || g.Allows(access.Stored) {
		t.Errorf("%+v %v", g, err)
	}
	for name, header := range map[string][]string{
		"expired": {"Authorization", "Bearer web-key-secret"}, "none": nil, "unknown": {"X-Api-Key", "web-key-secre"}, "empty": {"X-Api-Key", ""},
		"basic": {"Authorization", "Basic web-key-secret"}, "twice": {"X-Api-Key", "admin-key-secret", "X-Api-Key", "admin-key-secret"},
		"long": {"X-Api-Key", strings.Repeat("x", 513)},
	} {
		if g, err := find(end, header...); llm.KindOf(err) != llm.CallerUnauthenticated {
			t.Errorf("%s: %+v %v", name, g, err)
		}
	}
}

func TestAnonymous(t *testing.T) {
	g := access.Anonymous()
	for _, scope := range access.Scopes() {
		if want := scope == access.Call || scope == access.Metrics || scope == access.Cache || scope == access.Jobs || scope == access.Costs; g.Allows(scope) != want {
			t.Errorf("%s: %v", scope, !want)
		}
	}
	if g.MayAsk(llm.Critical) != nil {
		t.Error("may not ask for everything")
	}
}

func TestPairs(t *testing.T) {
	const id = "FOREBAYWEB0000000001"
	end := time.Unix(1_000_000, 0)
	r, err := access.NewRing([]access.Key{
		{Name: "web", Secret: "web-key-secret", AccessKeyID: id, Expires: end},
		{Name: "bare", Secret: "bare-key-secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	secret, grant, ok := r.Pair(id)
	if !ok || secret.Reveal() != "web-key-secret" || grant.Name != "web" || grant.Expired(end.Add(-1)) || !grant.Expired(end) {
		t.Errorf("%v %+v %v", secret, grant, ok)
	}
	for _, id := range []string{"", "FOREBAYWEB0000000002", "web"} {
		if secret, grant, ok := r.Pair(id); ok || secret != "" || grant != nil {
			t.Errorf("%q: %v %+v", id, secret, grant)
		}
	}
	for _, faulty := range []string{"short", "FOREBAYWEB/000000001", "FOREBAYWEB 000000001", strings.Repeat("A", 129)} {
		if _, err := access.NewRing([]access.Key{{Name: "web", Secret: "web-key-secret", AccessKeyID: faulty}}); err == nil || !strings.Contains(err.Error(), "access key id") {
			t.Errorf("%q: %v", faulty, err)
		}
	}
	_, err = access.NewRing([]access.Key{{Name: "a", Secret: "web-key-secret", AccessKeyID: id}, {Name: "b", Secret: "bare-key-secret", AccessKeyID: id}})
	if err == nil || !strings.Contains(err.Error(), "the same access key id") {
		t.Error(err)
	}
}
