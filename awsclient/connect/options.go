package connect

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options configure Load. The zero value is what AWS's environment says, with the
// defaults below.
type Options struct {
	// Region is where services are called. Empty means what AWS_REGION,
	// AWS_DEFAULT_REGION or the profile says.
	Region string
	// Profile is the profile of AWS's files. Empty means AWS_PROFILE, or the default one.
	// FromEnvironment refuses one.
	Profile string
	// Endpoint is called for every service in place of AWS's own: an emulator, or a
	// proxy. Empty means AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL, or AWS itself.
	Endpoint string
	// Credentials are used in place of the chain of environment, profile, role and
	// instance. Nil means that chain.
	Credentials aws.CredentialsProvider
	// Attempts bounds how often a call of DynamoDB, CloudWatch or SNS is tried, the first
	// included, 1 to 10. Zero means 3. Calls of models are always tried once: who calls
	// them retries, and two layers that retry multiply.
	Attempts int
	// Concurrency is how many calls at a time there are to one host: so many idle
	// connections are kept for each, 1 to 10,000. Zero means 64. More calls than that get
	// connections too, which are closed after use.
	Concurrency int
	// ConnectTimeout bounds opening a connection, and again its TLS handshake. Zero means
	// 3 s.
	ConnectTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept, at most 10 min. Zero means
	// 50 s, since load balancers of AWS close them after 60 s.
	IdleTimeout time.Duration
	// MaxAge bounds the age of the connections that new calls go to; calls under way keep
	// theirs. So changes in DNS are followed, and hosts that are being drained are left.
	// Zero means 15 min, negative no bound.
	MaxAge time.Duration
}

const (
	defaultAttempts    = 3
	mostAttempts       = 10
	defaultConcurrency = 64
	mostConcurrency    = 10_000
	defaultConnect     = 3 * time.Second
	defaultIdle        = 50 * time.Second
	longestIdle        = 10 * time.Minute
	defaultMaxAge      = 15 * time.Minute
)

// Validate returns every fault of o, joined.
func (o Options) Validate() error {
	var faults []error
	if o.Attempts < 0 || o.Attempts > mostAttempts {
		faults = append(faults, fmt.Errorf("attempts: %d is not possible; use 1 to %d", o.Attempts, mostAttempts))
	}
	if o.Concurrency < 0 || o.Concurrency > mostConcurrency {
		faults = append(faults, fmt.Errorf("concurrency: %d is not possible; use 1 to %d", o.Concurrency, mostConcurrency))
	}
	if o.ConnectTimeout < 0 {
		faults = append(faults, fmt.Errorf("connect_timeout: %v is not possible; use a duration above 0", o.ConnectTimeout))
	}
	if o.IdleTimeout < 0 || o.IdleTimeout > longestIdle {
		faults = append(faults, fmt.Errorf("idle_timeout: %v is not possible; use a duration up to %v", o.IdleTimeout, longestIdle))
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, errors.New("endpoint: use the http or https URL of a host, without a user"))
		}
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	o.Attempts = cmp.Or(o.Attempts, defaultAttempts)
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, defaultConnect)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdle)
	o.MaxAge = cmp.Or(o.MaxAge, defaultMaxAge)
	return o
}
