package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// packed has every asset compressed; what was not is kept out of the binary and unpacked
// for the few clients that want it so.
//
//go:embed assets/*.gz
var packed embed.FS

// index is the page.
const index = "index.html"

// asset is one file.
type asset struct {
	gzipped     []byte
	size        int // unpacked
	contentType string
	etag        string // of the content; each coding has one of its own
	immutable   bool   // its name has a hash of its content
}

// readAssets gives the assets by their names below /ui/; the page is at "".
func readAssets() (map[string]*asset, error) {
	entries, err := packed.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	assets := map[string]*asset{}
	for _, e := range entries {
		a, err := readAsset(e.Name())
		if err != nil {
			return nil, fmt.Errorf("dashboard: %s: %w", e.Name(), err)
		}
		name := strings.TrimSuffix(e.Name(), ".gz")
		if name == index {
			assets[""] = a
			continue
		}
		a.immutable = strings.Contains(name, "-")
		assets["assets/"+name] = a
	}
	if assets[""] == nil {
		return nil, errors.New("dashboard: the page is not embedded: run cmd/bundle in uitest and build again")
	}
	return assets, nil
}

func readAsset(file string) (*asset, error) {
	gzipped, err := packed.ReadFile("assets/" + file)
	if err != nil {
		return nil, err
	}
	if len(gzipped) < 18 { // RFC 1952: a head of 10 bytes, a tail of 8, which ends with the size
		return nil, errors.New("it is no gzip file")
	}
	size := binary.LittleEndian.Uint32(gzipped[len(gzipped)-4:])
	sum := sha256.Sum256(gzipped)
	contentType := mime.TypeByExtension(path.Ext(strings.TrimSuffix(file, ".gz")))
	switch path.Ext(strings.TrimSuffix(file, ".gz")) { // the machine's own table may say otherwise
	case ".js":
		contentType = "text/javascript; charset=utf-8"
	case ".css":
		contentType = "text/css; charset=utf-8"
	case ".html":
		contentType = "text/html; charset=utf-8"
	case ".txt":
		contentType = "text/plain; charset=utf-8"
	case ".svg":
		contentType = "image/svg+xml"
	}
	return &asset{gzipped: gzipped, size: int(size), contentType: contentType, etag: hex.EncodeToString(sum[:12])}, nil
}

// serve answers with the asset.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	zipped := takesGzip(r.Header.Values("Accept-Encoding"))
	etag, length := `"`+a.etag+`"`, a.size
	if zipped {
		etag, length = `"`+a.etag+`-gz"`, len(a.gzipped)
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("Vary", "Accept-Encoding")
	head.Set("Etag", etag)
	head.Set("Cache-Control", "no-cache") // asked for again each time, and mostly answered with 304
	if a.immutable {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matches(r.Header.Values("If-None-Match"), etag) {
		head.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Type", a.contentType)
	head.Set("Content-Length", strconv.Itoa(length))
	if r.Method == http.MethodHead {
		return
	}
	if zipped {
		_, _ = w.Write(a.gzipped) // as in fail
		return
	}
	if unpacked, err := gzip.NewReader(bytes.NewReader(a.gzipped)); err == nil { // a test has read all of them
		_, _ = io.Copy(w, unpacked)
	}
}

// takesGzip says whether a client takes gzip: named, or by *, and not with a weight of 0.
func takesGzip(values []string) bool {
	taken := false
	for _, part := range strings.Split(strings.Join(values, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q=")
		if v, err := strconv.ParseFloat(q, 64); found && (err != nil || v <= 0) {
			if coding == "gzip" {
				return false
			}
			continue
		}
		taken = true
	}
	return taken
}

// matches says whether one of the tags is etag, or any is.
func matches(values []string, etag string) bool {
	for _, part := range strings.Split(strings.Join(values, ","), ",") {
		if tag := strings.TrimSpace(part); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
