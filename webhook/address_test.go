package webhook_test

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/webhook"
)

// private has addresses of every range that is refused: first, last and some within.
var private = []string{
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.1.2.3", "10.255.255.255",
	"100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
	"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255",
	"172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1",
	"192.88.99.1", "192.168.0.0", "192.168.255.255", "192.175.48.1",
	"198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::2", "::127.0.0.1", "::7f00:1", // the last two: IPv4-compatible
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1",
	"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1:ffff::8.8.8.8",
	"100::1", "100:0:0:1::1", "2001::1", "2001:0:a00:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2001:1ff::1",
	"2002::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
	"fc00::1", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
	"1fff:ffff::1", "8000::1",
}

// public has their neighbours.
var public = []string{
	"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
	"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
	"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00::1", "3ffe::1", "2000::1",
}

// literal is ip as the host of a URL.
func literal(ip string) string { return net.JoinHostPort(ip, "443") }

func TestCheckRanges(t *testing.T) {
	s := sender(t)
	for _, ip := range private {
		err := s.Check("https://" + literal(ip) + "/hook")
		wantRefused(t, ip, err)
	}
	for _, ip := range public {
		if err := s.Check("https://" + literal(ip) + "/hook"); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
}

// wantRefused checks that err is for the caller and says what to do.
func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if e := llm.AsError(err); err == nil || e.Kind != llm.CallerInvalidRequest || e.Message == "" || e.Fix == "" {
		t.Errorf("%s: %v", what, err)
	}
}

func TestCheck(t *testing.T) {
	s := sender(t)
	for _, address := range []string{
		"https://example.com", "https://example.com/", "https://example.com/a/b?c=d&e", "HTTPS://EXAMPLE.COM:8443/x",
		"https://hooks.example.co.uk:443/%20%0d%0a", "https://xn--bcher-kva.example/", "https://a_b.example.com/",
		"https://127.0.0.1.example.com/", "https://localhost.example.com/", "https://8.8.8.8/", "https://[2606:4700::1111]:444/",
		"https://example.com/" + strings.Repeat("a", webhook.MaxAddress-len("https://example.com/")),
		"https://example.com/http://127.0.0.1/", "https://example.com/?@localhost", "https://mylocalhost.com/",
	} {
		if err := s.Check(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{
		"", "https", "https:", "https://", "https:///path", "//example.com/", "example.com", "/path", "https:example.com", "https:/example.com",
		"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "unix:///run/docker.sock",
		"https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://example.com@127.0.0.1/",
		"https://example.com/#", "https://example.com/#x", "https://example.com#@localhost/",
		"https://example.com:0/", "https://example.com:65536/", "https://example.com:/", "https://example.com:x/", "https://example.com:-1/",
		"https://example.com/\r\nX-Evil: 1", "https://example.com/ x", "https://example.com/\x00", "https://example.com/\x7f", "https://example.com/ä",
		"https://exämple.com/", "https://example。com/", "https://①②⑦.0.0.1/", "https://example.com\\@localhost/", "https://exa mple.com/", "https://exa%6dple.com/",
		"https://localhost/", "https://LOCALHOST:8443/", "https://localhost./", "https://a.localhost/", "https://example.com./", "https://.example.com/", "https://a..example.com/",
		"https://localhost.localdomain/", "https://ip6-localhost/", "https://db/", "https://kubernetes.default.svc.cluster.local/", "https://metadata.google.internal/", "https://printer.local/",
		"https://router.home.arpa/", "https://x.lan/", "https://x.corp/", "https://x.onion/",
		"https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.0.0.1.0x/", "https://1.2.3.4.5/", "https://999.1.1.1/", "https://017700000001/",
		"https://[::1]/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[2606:4700::1111%25eth0]/", "https://[::ffff:127.0.0.1]/", "https://[0:0:0:0:0:ffff:7f00:1]/", "https://[example.com]/", "https://2606:4700::1111/",
		"https://-a.example.com/", "https://a-.example.com/", "https://*.example.com/", "https://" + strings.Repeat("a", 64) + ".com/", "https://" + strings.Repeat("a.", 127) + "com/",
		"https://example.com/" + strings.Repeat("a", webhook.MaxAddress), " https://example.com/", "https://example.com/\n",
		"https://example.com,evil.com/", "https://example.com;x/", "https://example.com%00.evil.com/", "https://${x}.com/",
	} {
		wantRefused(t, address, s.Check(address))
	}
}

func TestCheckAllow(t *testing.T) {
	s := sender(t, "Hooks.Internal", "localhost:8080", "10.20.0.0/16", "127.0.0.1:9000", "[::1]:9000", "fd00::/8", "192.168.1.1")
	for _, address := range []string{
		"http://hooks.internal/", "https://hooks.internal:1/", "http://HOOKS.internal:80/", "http://localhost:8080/", "https://localhost:8080/x",
		"http://10.20.255.255/", "https://10.20.0.1:8443/", "http://127.0.0.1:9000/", "http://[::ffff:127.0.0.1]:9000/", "http://[::1]:9000/", "https://[fd12::1]/",
		"http://192.168.1.1:5/", "https://example.com/", "http://[::ffff:10.20.0.1]/",
	} {
		if err := s.Check(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{
		"http://localhost/", "http://localhost:8081/", "https://localhost/", "http://10.21.0.1/", "https://10.21.0.1/", "http://127.0.0.1:9001/", "http://127.0.0.2:9000/",
		"https://[::1]/", "http://a.hooks.internal/", "http://example.com/", "ftp://hooks.internal/", "http://user@hooks.internal/", "http://hooks.internal/#x", "https://192.168.1.2/",
	} {
		wantRefused(t, address, s.Check(address))
	}
}

func TestNewListsFaults(t *testing.T) {
	_, err := webhook.New(webhook.Config{Allow: []string{"a b", "10.0.0.0/40", "", "host:0", "host:port", "::ffff:10.0.0.0/104", "ok.internal", "http://x"}, Timeout: -1})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"Secret is missing", "not negative", `"a b"`, `"10.0.0.0/40"`, `""`, `"host:0"`, `"host:port"`, `"::ffff:10.0.0.0/104"`, `"http://x"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "ok.internal") {
		t.Error(err)
	}
}

// FuzzCheck: whatever is accepted is, in the eyes of net/url, an https URL of a
// public host without anything that only looks like it.
func FuzzCheck(f *testing.F) {
	for _, ip := range append(private, public...) {
		f.Add("https://" + literal(ip) + "/")
	}
	for _, address := range []string{"https://example.com/", "http://hooks.internal:8080/", "https://a@b.c/", "https://127.1/", "https://example.com:443#x", "HTTP://HOOKS.INTERNAL:8080?"} {
		f.Add(address)
	}
	s := sender(f, "hooks.internal:8080")
	f.Fuzz(func(t *testing.T, address string) {
		if s.Check(address) != nil {
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.User != nil || u.Fragment != "" || len(address) > webhook.MaxAddress || strings.ContainsAny(address, "\r\n\x00 #\\") && !strings.Contains(u.Path, "\\") && !strings.Contains(u.RawQuery, "\\") {
			t.Fatalf("accepted %q: %v", address, err)
		}
		if strings.EqualFold(u.Hostname(), "hooks.internal") && u.Port() == "8080" {
			return
		}
		if u.Scheme != "https" {
			t.Fatalf("accepted %q, which is not encrypted", address)
		}
		host := strings.ToLower(u.Hostname())
		ip, err := netip.ParseAddr(host)
		if err != nil {
			if !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") {
				t.Fatalf("accepted %q", address)
			}
			return
		}
		if ip = ip.Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.Zone() != "" {
			t.Fatalf("accepted %q", address)
		}
	})
}
