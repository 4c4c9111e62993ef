// Command screenshots takes the pictures of the dashboard that the documentation shows, from a server that
// runs:
//
//	cd uitest && go run ./cmd/screenshots -url http://127.0.0.1:8080 -key $KEY
//
// Each page becomes <page>-light.png and <page>-dark.png, and with -narrow the same at the width of a
// telephone. A server without keys needs none. Command replayed starts a server with traffic of its own first.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/forebay-ai/forebay/uitest/internal/pictures"
)

func main() {
	var p pictures.Plan
	flag.StringVar(&p.URL, "url", "http://127.0.0.1:8080", "the server's address")
	flag.StringVar(&p.Key, "key", "", "a key with the scope admin; empty for a server without keys")
	flag.StringVar(&p.Out, "out", filepath.Join("..", "docs", "screenshots"), "the folder for the pictures")
	pages := flag.String("pages", strings.Join(pictures.Pages(), ","), "the pages; request is the newest one")
	themes := flag.String("themes", "light,dark", "the themes")
	flag.IntVar(&p.Width, "width", 1280, "the window's width")
	flag.IntVar(&p.Height, "height", 800, "the window's height")
	flag.BoolVar(&p.Narrow, "narrow", false, "take the pages at the width of a telephone too")
	flag.BoolVar(&p.Window, "window", false, "take the window alone and not the whole page")
	flag.StringVar(&p.Span, "span", "", "the time range of the pages: 15m, 1h, 6h, 24h, 7d or 30d; empty for the dashboard's own")
	flag.StringVar(&p.Search, "request", "", "which request is shown: the newest of those that this filter chooses, such as fallback=cached")
	flag.Parse()
	p.Pages, p.Themes = strings.Split(*pages, ","), strings.Split(*themes, ",")
	if err := pictures.Take(&p); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}
