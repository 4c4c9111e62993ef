package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config/internal/settings"
)

// Sources says where a configuration comes from. The zero value is the environment
// of the process alone.
type Sources struct {
	// Path is the file. Empty means FOREBAY_CONFIG, and no file where that is not set.
	Path string
	// Content is the file's text, where it is at hand: then nothing is read, and Path
	// names it in messages.
	Content []byte
	// Environ is the environment, each entry NAME=value. Nil means the process's own.
	Environ []string
	// Flags are values from the command line by key, such as "listen" or
	// "queue.max", written as in the environment: lists with commas. They win over
	// everything else.
	Flags map[string]string
	// Profile is the profile that a flag names; it is a shorthand for Flags["profile"].
	Profile string
	// Upstreams are base URLs, version included, of servers that speak OpenAI's
	// protocol, in the order in which they are tried. They become the providers
	// upstream-1, upstream-2, … and the targets of the model "*".
	Upstreams []string
}

// Load reads a file and the environment of the process and makes the
// configuration of a client, with its providers. It is for programs that use the
// library; path may be empty. The error is a *Faults where the configuration is at
// fault. Warnings are in Read's File.
func Load(path string) (forebay.Config, error) {
	f, err := Read(Sources{Path: path})
	if err != nil {
		return forebay.Config{}, err
	}
	return f.Forebay()
}

// Read puts all sources together and checks them. It opens the file and the
// directories of templates that it names, and nothing else. The error is a *Faults
// with everything that is wrong.
func Read(src Sources) (*File, error) {
	r := newReader(src)
	file := r.fileLayer()
	layers := append([]*settings.Layer{file, r.bedrockKey(file)}, r.env.layers(r.schema)...)
	layers = append(layers, r.flagLayers()...)
	profile, err := profileLayer(r.schema, profileOf(layers))
	if err != nil {
		return nil, err
	}
	all := append([]*settings.Layer{settings.Defaults(r.schema), profile, r.discovered(layers)}, layers...)
	v := settings.Merge(r.schema, all)
	adapt(v)
	f := &File{values: v, dir: r.dir, found: r.found}
	if !file.Unread() {
		f.check(len(file.Faults) > 0)
	}
	if err := settings.AsError(settings.Collect(all), file.File); err != nil {
		return nil, err
	}
	f.warnings = append(f.warnings, r.env.strangers(r.schema)...)
	return f, nil
}

// reader is one run of Read.
type reader struct {
	Sources
	schema *settings.Schema
	env    environment
	dir    string // what paths in the file are relative to
	found  []string
}

func newReader(src Sources) *reader {
	r := &reader{Sources: src, schema: settings.New(table())}
	if src.Environ == nil {
		src.Environ = os.Environ()
	}
	r.env = newEnvironment(src.Environ)
	if r.Path == "" {
		r.Path = r.env[envConfig]
	}
	r.Flags = maps.Clone(r.Flags)
	if r.Profile != "" {
		if r.Flags == nil {
			r.Flags = map[string]string{}
		}
		r.Flags["profile"] = r.Profile
	}
	return r
}

// fileLayer reads the file. Without one it is an empty layer.
func (r *reader) fileLayer() *settings.Layer {
	name := r.Path
	if name == "" && r.Content != nil {
		name = "configuration"
	}
	l := settings.NewLayer(r.schema, settings.FromFile, name, name)
	l.Lookup = r.env.lookup
	content := r.Content
	if r.Path == "" && content == nil {
		return l
	}
	if content == nil {
		var err error
		if content, err = readBounded(r.Path); err != nil {
			l.Fault(settings.Place{}, "", err.Error(), "Give the path of a YAML file, or start without one.")
			return l
		}
	}
	r.dir = filepath.Dir(r.Path)
	r.found = append(r.found, "file "+name)
	l.ReadFile(content)
	return l
}

// readBounded reads a regular file, at most a little more than is accepted.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("the file does not exist")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("the file may not be read")
	case err != nil:
		return nil, errors.New("the file cannot be read")
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0:
		return nil, errors.New("this is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.New("the file may not be read")
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, settings.MaxFileBytes+1))
	if err != nil {
		return nil, errors.New("the file cannot be read to its end")
	}
	return content, nil
}

// flagLayers makes a layer of each flag, and one of the upstreams.
func (r *reader) flagLayers() []*settings.Layer {
	var all []*settings.Layer
	for _, name := range slices.Sorted(maps.Keys(r.Flags)) {
		label := "flag --" + name
		if strings.ContainsAny(name, ".[") {
			label = "flag --set " + name
		}
		l := settings.NewLayer(r.schema, settings.FromFlag, label, label)
		all = append(all, l)
		path, err := settings.Split(name)
		if err != nil {
			l.Fault(settings.Place{}, name, err.Error(), "Write a key as config show prints it.")
			continue
		}
		row := r.schema.Key(path)
		if row == nil {
			l.Fault(settings.Place{}, name, fmt.Sprintf("unknown key %q", name), settings.Suggest(name, "keys", r.schema.PlainKeys()))
			continue
		}
		l.SetText(row, path, r.Flags[name])
	}
	if len(r.Upstreams) > 0 {
		urls := make([]provider, len(r.Upstreams))
		for i, u := range r.Upstreams {
			urls[i] = provider{name: fmt.Sprintf("upstream-%d", i+1), url: u, key: r.env[envUpstreamKey]}
		}
		r.found = append(r.found, fmt.Sprintf("flag --upstream: %d in this order: %s", len(urls), strings.Join(hosts(r.Upstreams), ", ")))
		if r.env[envUpstreamKey] != "" {
			r.found = append(r.found, envUpstreamKey+" for them")
		}
		l := settings.NewLayer(r.schema, settings.FromFlag, "flag --upstream", "flag --upstream")
		addProviders(r.schema, l, urls)
		all = append(all, l)
	}
	return all
}

// hosts shows URLs without what may be a secret in them.
func hosts(urls []string) []string {
	var all []string
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			all = append(all, "(not a URL)")
			continue
		}
		all = append(all, u.Scheme+"://"+u.Host+u.Path)
	}
	return all
}

// provider is one that stands in no file.
type provider struct{ name, url, key string }

// addProviders adds openai providers and makes them the targets of every model.
func addProviders(s *settings.Schema, l *settings.Layer, list []provider) {
	for i, p := range list {
		set := func(text string, path ...string) { l.SetText(s.Key(path), path, text) }
		set(typeOpenAI, "providers", p.name, "type")
		set(p.url, "providers", p.name, "base_url")
		if p.key != "" {
			set(p.key, "providers", p.name, "api_key")
		}
		set(p.name, "models", "*", "targets", fmt.Sprintf("[%d]", i), "provider")
	}
}

// discovered makes the provider of OPENAI_API_KEY and OPENAI_BASE_URL, unless a file
// or flags name providers: then the layer is empty. The key goes to no other host
// than theirs.
func (r *reader) discovered(layers []*settings.Layer) *settings.Layer {
	l := settings.NewLayer(r.schema, settings.FromEnvironment, "environment", "environment")
	key, base := r.env[envOpenAIKey], r.env[envOpenAIURL]
	named := slices.ContainsFunc(layers, func(l *settings.Layer) bool { return l.Sections["providers"] != nil })
	if named || key == "" && base == "" {
		return l
	}
	name := "environment " + envOpenAIKey
	if base != "" {
		name = "environment " + envOpenAIURL
		r.found = append(r.found, fmt.Sprintf("%s: provider openai at %s", envOpenAIURL, hosts([]string{base})[0]))
	} else {
		base = openAIURL
	}
	if key != "" {
		r.found = append(r.found, fmt.Sprintf("%s: key of the provider openai at %s", envOpenAIKey, hosts([]string{base})[0]))
	}
	l.File, l.Origin = name, name
	addProviders(r.schema, l, []provider{{name: "openai", url: base, key: key}})
	return l
}

// profileOf finds the profile in the strongest layer that names one.
func profileOf(layers []*settings.Layer) string {
	name := Profiles()[0]
	for _, l := range layers {
		if s := l.Settings["profile"]; s != nil {
			name = s.Value.(string)
		}
	}
	return name
}
