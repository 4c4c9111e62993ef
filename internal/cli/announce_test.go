package cli

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
)

// TestAnnounce is what people on a terminal read. Scripts have none, so it is
// called from within.
func TestAnnounce(t *testing.T) {
	tests := map[string]struct {
		flags map[string]string
		env   []string
		want  func(s *app.Server) string
	}{
		"open": {want: func(s *app.Server) string {
			return "  gateway  " + s.URL() + "/v1   OpenAI's protocol\n" +
				"  look     " + s.URL() + "/ui/   the dashboard\n" +
				"  health   " + s.URL() + "/v1/health\n" +
				"  metrics  " + s.URL() + "/metrics\n" +
				"  found    flag --upstream: 1 in this order: http://127.0.0.1:1/v1\n" +
				"  keys     none: everybody on this machine may call (set FOREBAY_KEYS to change that)\n"
		}},
		"keys and control": {
			flags: map[string]string{"control": "127.0.0.1:0"}, env: []string{"FOREBAY_KEYS=web:CANARY-0123456789abcdef"},
			want: func(s *app.Server) string {
				return "  gateway  " + s.URL() + "/v1   OpenAI's protocol\n" +
					"  look     " + s.ControlURL() + "/ui/   the dashboard\n" +
					"  health   " + s.ControlURL() + "/v1/health\n" +
					"  metrics  " + s.ControlURL() + "/metrics\n" +
					"  found    flag --upstream: 1 in this order: http://127.0.0.1:1/v1\n" +
					"  found    FOREBAY_KEYS: keys of web\n" +
					"  keys     1\n"
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			flags := map[string]string{"listen": "127.0.0.1:0"}
			for k, v := range tt.flags {
				flags[k] = v
			}
			file, err := config.Read(config.Sources{Environ: append([]string{"X=y"}, tt.env...), Upstreams: []string{"http://127.0.0.1:1/v1"}, Flags: flags})
			if err != nil {
				t.Fatal(err)
			}
			server, err := app.Listen(app.Options{File: file})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			announce(&out, file, server)
			if d := cmp.Diff(tt.want(server), out.String()); d != "" {
				t.Error(d)
			}
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if err := server.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
