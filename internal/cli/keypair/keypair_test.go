package keypair_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/internal/cli/keypair"
	"github.com/forebay-ai/forebay/llm"
)

func TestNew(t *testing.T) {
	p, other := keypair.New("web", "acme"), keypair.New("web", "acme")
	if !regexp.MustCompile(`^FBAY[A-Z2-7]{16}$`).MatchString(p.AccessKeyID) || len(p.Secret) != 43 || p.AccessKeyID == other.AccessKeyID || p.Secret == other.Secret {
		t.Errorf("%+v %+v", p, other)
	}
	if _, err := access.NewRing([]access.Key{{Name: p.Name, Tenant: p.Tenant, AccessKeyID: p.AccessKeyID, Secret: llm.Secret(p.Secret)}}); err != nil {
		t.Error(err)
	}
}

func TestWrite(t *testing.T) {
	p := keypair.Pair{Name: "web", AccessKeyID: "FBAYAAAAAAAAAAAAAAAA", Secret: "s", Tenant: "acme"}
	for output, want := range map[string]string{
		"yaml": "keys:\n  - name: web\n    access_key_id: FBAYAAAAAAAAAAAAAAAA\n    secret: s\n    tenant: acme\n",
		"env":  "AWS_ACCESS_KEY_ID=FBAYAAAAAAAAAAAAAAAA\nAWS_SECRET_ACCESS_KEY=s\n",
	} {
		var b strings.Builder
		if err := p.Write(&b, output); err != nil || b.String() != want {
			t.Errorf("%s: %q %v", output, b.String(), err)
		}
	}
	var b strings.Builder
	var list []keypair.Pair
	if err := p.Write(&b, "json"); err != nil || json.Unmarshal([]byte(b.String()), &list) != nil || len(list) != 1 || list[0] != p {
		t.Errorf("%s %v", b.String(), err)
	}
	if p.Write(&b, "xml") == nil {
		t.Error("xml is written")
	}
}
