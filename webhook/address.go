package webhook

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// MaxAddress bounds the length of an address in bytes. Proxies and servers commonly
// take no more than 8,000 bytes of a request line; 2,048 is what every one takes.
const MaxAddress = 2048

// target is an address that was found to be in order.
type target struct {
	url        *url.URL
	host, port string // the host in lower case, an IP in its shortest form
}

// Check says whether events can be delivered to address: an https URL of at most
// MaxAddress bytes without user, password and fragment, whose host is a public name
// or a public IP. Hosts of Config.Allow may be private, and reached by plain http.
// Names are not resolved here: what they stand for is looked at when an event is
// delivered.
//
// The error is an *llm.Error of CallerInvalidRequest that says what to do. Check may
// be called concurrently.
func (s *Sender) Check(address string) error {
	if _, err := s.parse(address); err != nil {
		return err
	}
	return nil
}

// refused is the error for an address that is not taken.
func refused(fix, format string, args ...any) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: "webhook",
		Message: "the webhook's address is refused: " + fmt.Sprintf(format, args...), Fix: fix,
	}
}

// parse reads an address and checks everything that can be seen without resolving it.
func (s *Sender) parse(address string) (target, *llm.Error) {
	var none target
	if len(address) > MaxAddress {
		return none, &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "webhook", Message: "the webhook's address is too long",
			Limit: "bytes", Value: strconv.Itoa(MaxAddress), Fix: "Use a shorter address.",
		}
	}
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c > '~' {
			return none, refused("Percent-encode such characters, and write international names in their xn-- form.",
				"it has a space or a character outside ASCII at byte %d", i)
		}
	}
	if strings.Contains(address, "#") {
		return none, refused("Leave out the part from # on.", "it has a fragment, which is never sent")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return none, refused("Write it like https://example.com/hooks/forebay.", "it is not a URL with a host")
	}
	if u.User != nil {
		return none, refused("Leave out user and password; verify the signature instead.", "it has user information")
	}
	t, refusal := targetOf(u)
	if refusal != nil {
		return none, refusal
	}
	return t, s.allowed(t)
}

// targetOf takes the host apart.
func targetOf(u *url.URL) (target, *llm.Error) {
	t := target{url: u, host: strings.ToLower(u.Hostname()), port: u.Port()}
	usual := "443"
	if u.Scheme == "http" {
		usual = "80"
	}
	t.port = cmp.Or(t.port, usual)
	if n, err := strconv.ParseUint(t.port, 10, 16); err != nil || n == 0 || strings.HasSuffix(u.Host, ":") {
		return t, refused("Use a port from 1 to 65535, or none.", "its port is none")
	}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		if ip.Zone() != "" {
			return t, refused("Use a public name.", "its IP has a zone, which means this machine only")
		}
		t.host = ip.Unmap().String()
	} else if !validName(t.host) {
		return t, refused("Write it like https://example.com/hooks/forebay.", "its host %.80q is neither a name nor an IP", t.host)
	}
	u.Host = net.JoinHostPort(t.host, t.port) // one form, for whoever compares it
	if t.port == usual {
		u.Host = strings.TrimSuffix(u.Host, ":"+usual)
	}
	return t, nil
}

// validName says that host consists of labels as names of hosts have them.
func validName(host string) bool {
	if len(host) > 253 { // RFC 1035, without the dot at the end
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// allowed checks scheme and host of t.
func (s *Sender) allowed(t target) *llm.Error {
	ip, err := netip.ParseAddr(t.host)
	isIP := err == nil
	exempt := s.exempt(t.host, t.port) || isIP && s.exemptIP(ip)
	switch scheme := t.url.Scheme; {
	case scheme == "https", scheme == "http" && exempt:
	case scheme == "http":
		return refused("Use https.", "it is not encrypted")
	default:
		return refused("Use https.", "its scheme is %.20q", scheme)
	}
	if exempt {
		return nil
	}
	if isIP {
		if why := special(ip); why != "" {
			return refused("Use an address on the public internet.", "%s is %s", ip, why)
		}
		return nil
	}
	return privateName(t.host)
}

// privateDomains are ends of names that mean something on one machine or in one
// network only: RFC 6761 (localhost), RFC 6762 with its appendix G (local and the
// names that private networks use), RFC 8375 (home.arpa), RFC 7686 (onion).
var privateDomains = [...]string{
	"localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa", "onion",
}

// privateName says why a name is not public, or nil.
func privateName(host string) *llm.Error {
	const fix = "Use a public name, such as hooks.example.com."
	for _, domain := range privateDomains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return refused(fix, "names under %s are private", domain)
		}
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == host {
		return refused(fix, "%.80q has no domain", host)
	}
	// Such as 127.1, 0x7f.0.0.1 or 0177.0.0.1, which some resolvers take for IPs. No
	// domain at the top begins with a digit.
	if last[0] >= '0' && last[0] <= '9' {
		return refused(fix, "%.80q is not a usual form of an IP", host)
	}
	return nil
}

// block is a range of addresses with what it is for.
type block struct {
	prefix netip.Prefix
	use    string
}

// blocks are the ranges of IPv4, and those within IPv6's global unicast, that are not
// public hosts: IANA's registries of special-purpose addresses (RFC 6890), and
// multicast. What of IPv6 is outside 2000::/3 is none either.
var blocks = [...]block{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a provider's customers (carrier-grade NAT)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "reserved"}, // AS112
	{netip.MustParsePrefix("192.52.193.0/24"), "reserved"}, // AMT
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "reserved"}, // AS112
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("2001::/23"), "reserved"}, // Teredo, ORCHID, benchmarks and others
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "a 6to4 tunnel"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "reserved"}, // AS112
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
)

// special says what ip is for, where it is not a public host, and "" where it is.
func special(ip netip.Addr) string {
	ip = ip.Unmap()
	if nat64.Contains(ip) {
		// In networks without IPv4 every public IPv4 host looks like this.
		whole := ip.As16()
		return special(netip.AddrFrom4([4]byte(whole[12:])))
	}
	if !ip.IsValid() || ip.Zone() != "" {
		return "for this machine only"
	}
	for _, b := range blocks {
		if b.prefix.Contains(ip) {
			return b.use
		}
	}
	switch {
	case ip.Is4() || globalUnicast.Contains(ip):
		return ""
	case ip.IsLoopback():
		return "loopback"
	case ip.IsPrivate():
		return "private"
	case ip.IsLinkLocalUnicast():
		return "link-local"
	case ip.IsMulticast():
		return "multicast"
	case ip.IsUnspecified():
		return "unspecified"
	}
	return "reserved"
}

// allowList is what may be reached although it is private.
type allowList struct {
	hosts    map[string]bool // names and IPs, with or without a port
	prefixes []netip.Prefix
}

// exempt says that host may be reached at port, whatever it stands for.
func (a *allowList) exempt(host, port string) bool {
	return a.hosts[host] || a.hosts[net.JoinHostPort(host, port)]
}

// exemptIP says that ip may be reached at every port.
func (a *allowList) exemptIP(ip netip.Addr) bool {
	for _, p := range a.prefixes {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// add takes in an entry of Config.Allow.
func (a *allowList) add(entry string) error {
	if p, err := netip.ParsePrefix(entry); err == nil {
		if p.Addr().Is4In6() {
			return fmt.Errorf("%q: write it as a prefix of IPv4", entry)
		}
		a.prefixes = append(a.prefixes, p.Masked())
		return nil
	}
	host, port := strings.ToLower(entry), ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: the port is not one of 1 to 65535", entry)
		}
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && ip.Zone() == "" {
		host = ip.Unmap().String()
	} else if !validName(host) {
		return fmt.Errorf("%q: neither a host, host:port nor a CIDR prefix", entry)
	}
	if port != "" {
		host = net.JoinHostPort(host, port)
	}
	a.hosts[host] = true
	return nil
}
