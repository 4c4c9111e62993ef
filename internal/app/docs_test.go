package app_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
)

// The reference pages are written by hand; what they have to name is not.
func TestReferenceNamesEverything(t *testing.T) {
	http := page(t, "../../docs/reference/http.md")
	api, err := console.New(console.Config{Client: new(forebay.Client), Observer: new(observe.Observer)})
	if err != nil {
		t.Fatal(err)
	}
	routes := gateway.Routes()
	for _, e := range api.Endpoints() {
		routes = append(routes, e.Route)
	}
	for _, r := range routes {
		if !strings.Contains(http, "`"+r.Method+" "+r.Pattern+"` | "+r.Scope+" |") {
			t.Errorf("http.md has no row for %s %s with scope %s", r.Method, r.Pattern, r.Scope)
		}
	}
	for _, k := range llm.Kinds() {
		row := "`" + string(k) + "` | "
		_, rest, ok := strings.Cut(http, row)
		if !ok {
			t.Errorf("http.md has no row for error_type %s", k)
		} else if status := strconv.Itoa(k.Status()); !strings.HasPrefix(rest, status) && k != llm.ProviderRejected && k != llm.ProviderFiltered {
			t.Errorf("http.md says another status than %s for %s", status, k)
		}
	}
	m, err := monitor.New(monitor.Config{Operations: []string{"op"}, Targets: []string{"t"}})
	if err != nil {
		t.Fatal(err)
	}
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	metrics := page(t, "../../docs/metrics.md")
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "forebay_") && !strings.Contains(metrics, "`"+name+"`") {
			t.Errorf("metrics.md does not name %s", name)
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
