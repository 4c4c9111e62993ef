package prices

import (
	"strings"

	"github.com/forebay-ai/forebay/internal/ident"
)

// The kinds of providers whose prices are known.
const (
	OpenAI    = "openai"
	Anthropic = "anthropic"
	Bedrock   = "bedrock"
)

// Name is a model's id taken apart.
type Name struct {
	// Model is the id without what does not change the price: for Bedrock the inference
	// profile in front and the version of the model's interface behind.
	Model string
	// Profile is the area of a Bedrock inference profile: us, eu, apac, jp, au, in, ca,
	// us-gov or global. Empty: the model is called in its region.
	Profile string
	// Region is an AWS region that the id itself names, as ARNs do.
	Region string
}

var (
	profile = ident.Pattern(`^(global|us-gov|us|eu|apac|jp|au|in|ca|sa)\.([a-z0-9]+\..+)$`)
	// versions are the ends of ids of Bedrock: -v1:0, :0, :0:300k.
	revision    = ident.Pattern(`:[0-9]+(:[0-9a-z]+)?$`)
	wireVersion = ident.Pattern(`^((?:anthropic\.claude-.*[0-9].*|amazon\.nova-.+))-v[0-9]+$`)
	dated       = ident.Pattern(`^(.+?)-(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|20[0-9]{6}|latest)$`)
	plainEnd    = ident.Pattern(`^(.+)-v[0-9]+$`)
)

// Split takes a model's id apart, as the provider's interface takes it: for Bedrock also
// an ARN of a model or an inference profile.
func Split(provider, id string) Name {
	n := Name{Model: id}
	if provider != Bedrock {
		return n
	}
	if strings.HasPrefix(n.Model, "arn:") {
		if parts := strings.Split(n.Model, ":"); len(parts) > 3 {
			n.Region = parts[3]
		}
		n.Model = n.Model[strings.LastIndexByte(n.Model, '/')+1:]
	}
	if m := profile().FindStringSubmatch(n.Model); m != nil {
		n.Profile, n.Model = m[1], m[2]
	}
	n.Model = revision().ReplaceAllString(n.Model, "")
	if m := wireVersion().FindStringSubmatch(n.Model); m != nil {
		n.Model = m[1]
	}
	return n
}

// Family returns the name of a dated model without its date, and whether it has one.
func Family(model string) (string, bool) {
	if m := dated().FindStringSubmatch(model); m != nil {
		return m[1], true
	}
	return model, false
}

// names are what a model's price may stand under, the best first.
func names(provider, model string) []string {
	all := []string{model}
	if family, ok := Family(model); ok {
		all = append(all, family)
	}
	if provider == Bedrock {
		if m := plainEnd().FindStringSubmatch(model); m != nil {
			all = append(all, m[1])
		} else {
			all = append(all, model+"-v1")
		}
	}
	return all
}
