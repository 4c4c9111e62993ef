package exchange

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseBase reads the URL below which all paths of a back end are: http or https, without
// user, query and fragment. An error begins with the configuration key; it says what an
// example is, and never repeats a URL that has a user in it: that may be a password.
func ParseBase(key, example, raw string) (*url.URL, error) {
	if raw == "" {
		return nil, fmt.Errorf("%s: missing; for example %s", key, example)
	}
	base, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL; for example %s", key, example)
	}
	switch {
	case base.User != nil:
		return nil, errors.New(key + ": must not hold a user or password; use api_key")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("%s: %q: only http and https", key, raw)
	case base.Hostname() == "":
		return nil, fmt.Errorf("%s: %q has no host", key, raw)
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New(key + ": must not have a query or a fragment")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = strings.TrimRight(base.RawPath, "/")
	return base, nil
}
