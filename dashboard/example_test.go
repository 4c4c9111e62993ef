package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/forebay-ai/forebay/dashboard"
)

// A gateway serves the dashboard and asks it about requests that have no key.
func Example() {
	k := &keys{}
	ui, err := dashboard.New(dashboard.Config{Authenticate: k.authenticate, Grant: k.grant})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ui", ui)
	mux.Handle("/ui/", ui)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		grant, err := ui.Authorize(r)
		switch {
		case err != nil:
			fmt.Fprintln(w, "refused:", err)
		case grant == nil:
			fmt.Fprintln(w, "no session: look for a key")
		default:
			fmt.Fprintln(w, "hello,", grant.Name)
		}
	})

	answer := login(mux, secret, "192.0.2.1:1", nil)
	for _, cookies := range [][]*http.Cookie{nil, answer.Cookies()} {
		r := httptest.NewRequest(http.MethodGet, "/v1/overview", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Body)
	}
	// Output:
	// no session: look for a key
	// hello, operator
}
