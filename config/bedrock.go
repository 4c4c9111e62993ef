package config

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config/internal/settings"
	converse "github.com/forebay-ai/forebay/dialect/bedrock"
	chat "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// envBedrockKey is the variable from which AWS's SDKs take a Bedrock API key.
const envBedrockKey = "AWS_BEARER_TOKEN_BEDROCK"

func (f *File) bedrock(name string) (llm.Provider, error) {
	v := f.values
	return bedrock.New(bedrock.Config{
		Name: name, Region: v.Text("providers", name, "region"), Endpoint: v.Text("providers", name, "endpoint"),
		Profile: v.Text("providers", name, "profile"), APIKey: v.Secret("providers", name, "api_key"),
		OnUnsupported:        v.Text("providers", name, "on_unsupported"),
		ConnectTimeout:       v.Duration("providers", name, "connect_timeout"),
		FirstByteTimeout:     orNegative(v.Duration("providers", name, "first_byte_timeout")),
		IdleTimeout:          orNegative(v.Duration("providers", name, "idle_timeout")),
		MaxConns:             int(v.Int("providers", name, "max_conns")),
		ProxyFromEnvironment: v.Bool("providers", name, "proxy"),
	})
}

// speaks is the dialect of a provider; requests in others are translated.
func (f *File) speaks(name string) llm.Dialect {
	if f.values.Text("providers", name, "type") == typeBedrock {
		return converse.Converse{}
	}
	return chat.Dialect{}
}

// jobDialects are the wire formats of the doors, so of the jobs that they take in.
func jobDialects() []llm.Dialect {
	return []llm.Dialect{chat.Dialect{}, converse.Converse{}, converse.Invoke{}}
}

// bedrockKey gives the key of the environment to the file's providers of type bedrock
// that say nothing of how they are called.
func (r *reader) bedrockKey(file *settings.Layer) *settings.Layer {
	l := settings.NewLayer(r.schema, settings.FromEnvironment, "environment "+envBedrockKey, "environment "+envBedrockKey)
	key, providers := r.env[envBedrockKey], file.Sections["providers"]
	if key == "" || providers == nil {
		return l
	}
	for _, name := range providers.Names {
		at := func(member string) []string { return []string{"providers", name, member} }
		has := func(member string) bool { return file.Settings[settings.Join(at(member))] != nil }
		if kind := file.Settings[settings.Join(at("type"))]; kind != nil && kind.Value == typeBedrock && !has("api_key") && !has("profile") {
			l.SetText(r.schema.Key(at("api_key")), at("api_key"), key)
			r.found = append(r.found, envBedrockKey+": key of the provider "+name)
		}
	}
	return l
}

// place fills in where a target on Bedrock runs.
func (f *File) place(t *forebay.Target) {
	if f.values.Text("providers", t.Provider, "type") == typeBedrock {
		region := f.values.Text("providers", t.Provider, "region")
		t.Region, t.Residency = cmp.Or(t.Region, region), cmp.Or(t.Residency, bedrock.Residency(region, t.Model))
	}
}

// listed says under which name the list has the prices of what a provider calls.
func (f *File) listed(provider string) string {
	host := func(member string) string {
		u, err := url.Parse(f.values.Text("providers", provider, member))
		if err != nil {
			return ""
		}
		return u.Hostname()
	}
	switch f.values.Text("providers", provider, "type") {
	case typeOpenAI:
		if host("base_url") == "api.openai.com" {
			return typeOpenAI
		}
	case typeBedrock:
		if h := host("endpoint"); h == "" || strings.Contains(h, ".amazonaws.") {
			return typeBedrock
		}
	}
	return ""
}
