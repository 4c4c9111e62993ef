package bedrock

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/forebay-ai/forebay/awsclient/connect"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// What Config.OnUnsupported may say.
const (
	// Drop leaves out of a request what its model does not take.
	Drop = "drop"
	// Refuse refuses such a request.
	Refuse = "refuse"
)

// Config says where Bedrock is called, as whom, and within which bounds. Zero values mean
// the defaults that each field states.
type Config struct {
	// Name is the provider's name in errors. Empty means bedrock and the region.
	Name string
	// Region is the AWS region that is called and that requests are signed for, such as
	// eu-central-1. Required. A geographic inference profile (eu.…) may process a call in
	// other regions of its area.
	Region string
	// Endpoint replaces https://bedrock-runtime.REGION.amazonaws.com (amazonaws.com.cn in
	// China, amazonaws.eu in the European Sovereign Cloud): for VPC endpoints, FIPS, dual
	// stack, other partitions and tests. Only http and https, without user, query and fragment.
	Endpoint string

	// Credentials sign the requests. Nil means AWS's default chain: environment, shared
	// files, web identity, container, instance. Their Retrieve is called by one goroutine
	// at a time, with a bound of 30 s; it need not cache. Not used with an APIKey.
	Credentials aws.CredentialsProvider
	// Profile is the profile of the shared files that the default chain takes. Empty
	// means AWS_PROFILE, or default. A program built for Lambda refuses one (connect.Chain).
	Profile string
	// APIKey is a Bedrock API key. It is sent as bearer token instead of a signature, to
	// the endpoint only. May be empty.
	APIKey llm.Secret
	// OnUnsupported says what happens to a request with a member that its model does not
	// take: Drop leaves the member out and notes it in the request's Notes, Refuse refuses
	// the request with CallerInvalidRequest. Empty means Drop.
	OnUnsupported string

	// ConnectTimeout bounds the TCP connection, again the TLS handshake, and the wait for
	// credentials. Zero means 3 s. It has no effect on connections with a Transport of your own.
	ConnectTimeout time.Duration
	// FirstByteTimeout bounds the time from the start of a call to the head of its
	// answer, waiting for a connection included. -1 means no bound. Zero means 120 s.
	FirstByteTimeout time.Duration
	// IdleTimeout bounds the silence within an answer, from its head on. Each read
	// starts it anew, and time that the caller takes between reads does not count.
	// -1 means no bound. Zero means 30 s.
	IdleTimeout time.Duration
	// MaxBody bounds a whole answer in bytes. Zero means 32 MiB.
	MaxBody int64
	// MaxStream bounds a streamed answer in bytes. Zero means 256 MiB.
	MaxStream int64
	// MaxEvent bounds one message of a stream in bytes. Zero means the dialect's default.
	MaxEvent int
	// MaxIdleConns bounds the idle connections that are kept. Zero means 1,024.
	MaxIdleConns int
	// MaxConns bounds the connections; calls over it wait for one. Zero means no bound.
	MaxConns int

	// ProxyFromEnvironment honours HTTPS_PROXY and its like.
	ProxyFromEnvironment bool
	// Transport makes the calls. Nil means a transport of the provider's own, with
	// the bounds above. One of your own must not follow redirects or retry calls of
	// which it has sent anything.
	Transport http.RoundTripper
}

// validate returns the parsed endpoint, or every fault at once.
func (c *Config) validate() (*url.URL, error) {
	var faults []error
	switch {
	case c.Region == "":
		faults = append(faults, errors.New("region: missing; for example eu-central-1"))
	case !validRegion(c.Region):
		faults = append(faults, fmt.Errorf("region: %q is not the name of an AWS region; for example eu-central-1", c.Region))
	}
	endpoint := cmp.Or(c.Endpoint, "https://bedrock-runtime."+c.Region+"."+suffix(c.Region))
	base, err := exchange.ParseBase("endpoint", "https://bedrock-runtime.eu-central-1.amazonaws.com", endpoint)
	if err != nil && (c.Endpoint != "" || len(faults) == 0) {
		faults = append(faults, err)
	}
	if !exchange.ValidValue(c.APIKey.Reveal()) {
		faults = append(faults, errors.New("api_key: holds a character that no HTTP header can carry; is there a line break in it?"))
	}
	if c.APIKey != "" && (c.Credentials != nil || c.Profile != "") {
		faults = append(faults, errors.New("api_key: stands beside credentials or a profile; a call carries one or the other"))
	}
	if c.Credentials != nil && c.Profile != "" {
		faults = append(faults, errors.New("profile: stands beside credentials, which do not come from a profile"))
	}
	if err := c.chain().Validate(); err != nil {
		faults = append(faults, err)
	}
	switch c.OnUnsupported {
	case "", Drop, Refuse:
	default:
		faults = append(faults, fmt.Errorf("on_unsupported: %q is neither drop nor refuse", c.OnUnsupported))
	}
	return base, errors.Join(append(faults, c.bounds().Check())...)
}

// chain looks for credentials where there are none in c.
func (c *Config) chain() connect.Chain { return connect.Chain{Region: c.Region, Profile: c.Profile} }

// bounds are those of every call.
func (c *Config) bounds() exchange.Bounds {
	return exchange.Bounds{
		Connect: c.ConnectTimeout, FirstByte: c.FirstByteTimeout, Idle: c.IdleTimeout,
		MaxBody: c.MaxBody, MaxStream: c.MaxStream, MaxEvent: c.MaxEvent,
		MaxIdleConns: c.MaxIdleConns, MaxConns: c.MaxConns,
	}
}

// validRegion says whether name can be a region: it becomes a label of a host name, and
// part of what is signed.
func validRegion(name string) bool {
	const longest = 63 // of a label, RFC 1035
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= longest && name[0] != '-' && name[len(name)-1] != '-'
}

// suffix is the domain of a region's endpoints, as the rules of the AWS SDKs have it.
func suffix(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}
