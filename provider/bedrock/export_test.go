package bedrock

import (
	"crypto/x509"
	"net/http"
)

// Trust makes p's own transport trust roots instead of the machine's.
func Trust(p *Provider, roots *x509.CertPool) {
	p.line.Transport().(*http.Transport).TLSClientConfig.RootCAs = roots
}
