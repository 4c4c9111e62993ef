package gateway_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm/llmtest"
)

// Behind another server than ours the head goes through net/http alone. It has to
// say the same.
func TestHeadBehindAnotherServer(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	g := newGateway(t, b, nil)
	own := send(t, serve(t, g), post(chatPath, chatBody))
	r := httptest.NewRequest(http.MethodPost, chatPath, strings.NewReader(chatBody))
	r.Header.Set("Authorization", "Bearer "+adminKey)
	r.Header.Set("Content-Type", "application/json")
	other := httptest.NewRecorder()
	g.ServeHTTP(other, r)
	if own.status != 200 || other.Code != 200 {
		t.Fatalf("status %d and %d: %s", own.status, other.Code, other.Body)
	}
	delete(own.header, "Date") // the server's own
	want, got := slices.Sorted(maps.Keys(other.Header())), slices.Sorted(maps.Keys(own.header))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers behind another server (-) and behind ours (+):\n%s", diff)
	}
}

// One connection carries one answer's head after the other, never the last one's.
func TestHeadsStayApart(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	server := httptest.NewUnstartedServer(nil)
	g := newGateway(t, b, nil)
	server.Config = g.Server()
	server.Listener = g.WrapListener(server.Listener)
	server.Start()
	defer server.Close()
	seen := map[string]bool{}
	for i := range 50 {
		path, method := chatPath, http.MethodPost
		if i%3 == 0 {
			path, method = "/nowhere", http.MethodGet
		}
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(chatBody))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set("Content-Type", "application/json")
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		ids := res.Header.Values("X-Request-Id")
		if len(ids) != 1 || seen[ids[0]] {
			t.Fatalf("answer %d has the ids %q", i, ids)
		}
		seen[ids[0]] = true
	}
}
