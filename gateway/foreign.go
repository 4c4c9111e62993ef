package gateway

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// refuseForeignPage refuses what the browser of somebody on this machine sends for
// a web page of another origin. An open gateway asks for no key, so that without
// this any page could spend its owner's money. Clients that are not browsers send
// neither of the two headers; nor do browsers that read a page of their own origin, whose
// name may have come to point here. So named has the host be this machine's as well.
func refuseForeignPage(r *http.Request, named bool) error {
	site, origins := r.Header["Sec-Fetch-Site"], r.Header["Origin"]
	own := !named || loopbackName((&url.URL{Host: r.Host}).Hostname())
	if own && len(site) == 0 && len(origins) == 0 {
		return nil
	}
	for _, s := range site {
		own = own && (s == "same-origin" || s == "none")
	}
	for _, origin := range origins {
		// The name has to be this machine's as well: a name of the page's owner may
		// point here (DNS rebinding).
		u, err := url.Parse(origin)
		own = own && err == nil && u.Host == r.Host && loopbackName(u.Hostname())
	}
	if own {
		return nil
	}
	return &llm.Error{
		Kind: llm.CallerForbidden, Message: "a web page of another origin may not use a gateway without keys",
		Param: "origin", Fix: "Configure keys, or call from a program instead of a web page.",
	}
}

// loopbackName says that host is a name of this machine.
func loopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
