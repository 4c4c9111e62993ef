package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/llm"
)

// File is a configuration that was read and checked: everything that the binary
// needs besides the client, and the means to make the client's. It never changes.
type File struct {
	// Profile is the profile in use.
	Profile string
	// Listen is where calls are served, as host:port.
	Listen string
	// Control is where health and metrics are served apart from calls, as host:port.
	// Empty where it is not set.
	Control string
	// Keys let callers in. None means that callers of this machine need none.
	Keys    []Key
	Gateway Gateway
	Log     Log

	values   *settings.Values
	dir      string
	found    []string
	warnings []string
	texts    texts // as the directories had them when the configuration was read
}

// Key lets a caller in and says what for.
type Key struct {
	Name   string
	Secret llm.Secret
	// AccessKeyID makes it an AWS-style pair as well. May be empty.
	AccessKeyID string
	Tenant      string
	Scopes      []string
	Bands       []llm.Priority
	// Expires is when the key ends. Zero means never.
	Expires time.Time
}

// Gateway holds the bounds of the HTTP door. None of them is zero but
// PublicMetrics.
type Gateway struct {
	MaxBody       int64         // bytes
	MaxHeader     int           // bytes
	HeaderTimeout time.Duration // request line and headers
	IdleTimeout   time.Duration // between requests
	BodyTimeout   time.Duration // until BodyRate counts
	BodyRate      int           // bytes a second
	WriteTimeout  time.Duration // each write
	// RepeatedSignatures is refuse, seconds or allow.
	RepeatedSignatures string
	PublicMetrics      bool          // /metrics needs no key
	Announce           time.Duration // a waiting stream's reader is told its place from then on; -1: never
}

// Log says what is logged and how.
type Log struct {
	Level slog.Level
	// Format is text, json, or auto for text on a terminal and json elsewhere.
	Format string
	// Requests logs a line for each request at level info.
	Requests bool
}

// Value is one key with its value and where that came from.
type Value struct {
	Key string `json:"key"`
	// Value is as a file would have it, on one line, shortened; secrets are ***.
	Value string `json:"value"`
	// Origin is the file with line and column, "environment NAME", "flag --name",
	// "profile name" or "default".
	Origin string `json:"origin"`
}

// Origins lists every key that has a value, in the order of the reference page.
func (f *File) Origins() []Value {
	var all []Value
	f.values.Each(func(s *settings.Setting) {
		all = append(all, Value{Key: s.Key, Value: settings.Format(s.Row.Kind, s.Value), Origin: s.Origin()})
	})
	return all
}

// Explained is a key with all that is said of it.
type Explained struct {
	Key, Value, Origin string // as in Value
	// Default is what it would be; empty for nothing. Doc says what it does.
	Default, Doc string
}

// Explained lists every key that has a value, as Origins, with defaults and meaning.
func (f *File) Explained() []Explained {
	var all []Explained
	f.values.Each(func(s *settings.Setting) {
		all = append(all, Explained{
			Key: s.Key, Value: settings.Format(s.Row.Kind, s.Value), Origin: s.Origin(), Default: s.Row.Initial, Doc: s.Row.Doc,
		})
	})
	return all
}

// Found lists, for people, where the configuration was found: the file, the
// upstreams, the variables of the environment and the keys they set. It holds no
// secret.
func (f *File) Found() []string {
	all := slices.Clone(f.found)
	for _, l := range f.values.Layers {
		if l.Rank != settings.FromEnvironment {
			continue
		}
		name := strings.TrimPrefix(l.Origin, "environment ")
		if s := l.Sections["keys"]; s != nil {
			var names []string
			for _, k := range s.Names {
				names = append(names, f.values.Text("keys", k, "name"))
			}
			all = append(all, fmt.Sprintf("%s: keys of %s", name, strings.Join(names, ", ")))
			continue
		}
		for _, s := range l.Settings {
			if s.Row.Env == name {
				all = append(all, fmt.Sprintf("%s: %s = %s", name, s.Key, settings.Format(s.Row.Kind, s.Value)))
			}
		}
	}
	return all
}

// Warnings lists, for people, what was accepted and has no effect in this version,
// and what is probably not meant.
func (f *File) Warnings() []string { return slices.Clone(f.warnings) }

// fill takes the settings of the binary out of the values.
func (f *File) fill() {
	v := f.values
	f.Profile, f.Listen, f.Control = v.Text("profile"), v.Text("listen"), v.Text("control")
	f.Gateway = Gateway{
		MaxBody:            v.Int("gateway", "max_body"),
		MaxHeader:          int(v.Int("gateway", "max_header")),
		HeaderTimeout:      v.Duration("gateway", "header_timeout"),
		IdleTimeout:        v.Duration("gateway", "idle_timeout"),
		BodyTimeout:        v.Duration("gateway", "body_timeout"),
		BodyRate:           int(v.Int("gateway", "body_rate")),
		WriteTimeout:       v.Duration("gateway", "write_timeout"),
		Announce:           orNegative(v.Duration("queue", "announce")),
		RepeatedSignatures: v.Text("gateway", "repeated_signatures"),
		PublicMetrics:      v.Bool("gateway", "public_metrics"),
	}
	f.Log = Log{Format: v.Text("log", "format"), Requests: v.Bool("log", "requests")}
	_ = f.Log.Level.UnmarshalText([]byte(v.Text("log", "level"))) // the choices are slog's names
	for _, i := range v.Names("keys") {
		k := Key{
			Name: v.Text("keys", i, "name"), Secret: v.Secret("keys", i, "secret"), AccessKeyID: v.Text("keys", i, "access_key_id"),
			Tenant: v.Text("keys", i, "tenant"), Scopes: v.List("keys", i, "scopes"),
		}
		for _, band := range v.List("keys", i, "bands") {
			p, _ := llm.ParsePriority(band) // one of the choices
			k.Bands = append(k.Bands, p)
		}
		k.Expires, _ = parseTime(v.Text("keys", i, "expires")) // checked
		f.Keys = append(f.Keys, k)
	}
}

// parseTime reads a date or a time. The empty text is no time.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}
