package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/internal/ident"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/simulated"
)

// check looks at what no single value shows: what is missing, names that nothing
// defines, values that exclude one another. broken says that the file has faults
// already, so that what is missing may be there under a name with a typing error.
func (f *File) check(broken bool) {
	v := f.values
	f.checkLater()
	f.checkKeys()
	f.checkProviders()
	f.checkModels(broken)
	f.checkCalls()
	f.checkNumbers()
	f.checkListen(broken)
	f.checkNames()
	f.checkWatch()
	f.checkTables()
	f.readTemplates()
	if !broken && len(v.Names("providers")) == 0 {
		f.nothing()
	}
	f.fill()
	f.checkBuild()
}

// checkNames bounds names that stand in URLs, headers and labels of metrics.
func (f *File) checkNames() {
	const longest = 256 // as the gateway's headers
	for section, plain := range map[string]bool{"providers": true, "operations": true, "models": false, "personas": false} {
		for _, name := range f.values.Names(section) {
			at := []string{section, name}
			switch {
			case plain && !plainID(name):
				f.values.Wrong(at, fmt.Sprintf("%s: %s is not a plain name", section, settings.Quote(name)), "Write 1 to 64 of A-Z a-z 0-9 . _ -")
			case len(name) > longest || strings.ContainsFunc(name, unicode.IsControl):
				f.values.Wrong(at, fmt.Sprintf("%s: %s cannot be a name", section, settings.Quote(name)), fmt.Sprintf("Write at most %d bytes, without control characters.", longest))
			}
		}
	}
}

// checkBuild makes what the configuration describes, so that nothing is left to be
// refused later. It is the net below the other checks, whose faults say more.
func (f *File) checkBuild() {
	if slices.ContainsFunc(f.values.Layers, func(l *settings.Layer) bool { return len(l.Faults) > 0 }) {
		return
	}
	for _, name := range f.values.Names("providers") {
		if _, err := f.provider(name); err != nil {
			f.values.Wrong([]string{"providers", name}, fmt.Sprintf("providers.%s: %v", name, err), "Correct the provider.")
			return
		}
	}
	cfg, err := f.Forebay()
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		s := f.values.Get("profile") // always set, so that the fault has a layer
		s.From.Fault(settings.Place{}, "", strings.ReplaceAll(err.Error(), "\n", "; "), "Correct these values.")
	}
}

// nothing is the fault of a configuration without a provider.
func (f *File) nothing() {
	l := f.values.Layers[len(f.values.Layers)-1]
	for _, candidate := range f.values.Layers {
		if candidate.Rank == settings.FromFile {
			l = candidate
		}
	}
	where := l.File
	if where == "" {
		where = "configuration"
	}
	l.Faults = append(l.Faults, settings.Fault{
		File: where, Key: "providers",
		Message: "there is no provider to call: no providers in a file, no OPENAI_API_KEY or OPENAI_BASE_URL in the environment, no upstream",
		Fix:     "Give one of: a file with providers and models (--config FILE or FOREBAY_CONFIG); OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own; --upstream URL, such as --upstream http://127.0.0.1:11434/v1.",
	})
}

// checkLater refuses or warns of what this version does not do.
func (f *File) checkLater() {
	f.values.Each(func(s *settings.Setting) {
		later := s.Row.Later
		if later == nil || s.From.Rank <= settings.FromProfile || slices.Contains(later.Inert, settings.Format(s.Row.Kind, s.Value)) {
			return
		}
		name := s.Key + " (" + s.Origin() + ")"
		if s.From.Rank == settings.FromEnvironment {
			name = s.Row.Env
		}
		if later.Refuse && s.From.Rank != settings.FromEnvironment {
			s.Wrong(fmt.Sprintf("%s: not in this version", s.Key), later.Instead)
			return
		}
		f.warnings = append(f.warnings, fmt.Sprintf("accepted, no effect in this version: %s. %s", name, later.Instead))
	})
}

// plainID is the form of names of operations, keys and tenants.
func plainID(s string) bool { return ident.Is(s, 1, 64, "._-") }

// checkKeys checks what the gateway will want of callers' keys, where it can still
// be said in which line it stands.
func (f *File) checkKeys() {
	v := f.values
	names, secrets, ids := map[string]string{}, map[string]string{}, map[string]string{}
	for _, i := range v.Names("keys") {
		at := []string{"keys", i}
		if name := v.Get("keys", i, "name"); name == nil {
			f.missing(at, "name", "Add name: it stands in logs and accounts.")
		} else {
			checkID(name)
			unique(names, name, name.Value.(string))
		}
		if secret := v.Get("keys", i, "secret"); secret == nil {
			f.missing(at, "secret", "Add secret, best through the environment: ${NAME}.")
		} else {
			f.checkSecret(secret)
			unique(secrets, secret, secret.Value.(llm.Secret).Reveal())
		}
		if id := v.Get("keys", i, "access_key_id"); id != nil {
			if !ident.Is(id.Value.(string), 16, 128, "_-") {
				id.Wrong(id.Key+": "+settings.Quote(id.Value.(string))+" is no access key id", "Write 16 to 128 of A-Z a-z 0-9 _ -")
			}
			unique(ids, id, id.Value.(string))
		}
		if tenant := v.Lookup(settings.Join([]string{"keys", i, "tenant"})); tenant != nil {
			checkID(tenant)
		}
		if s := v.Get("keys", i, "expires"); s != nil {
			if _, err := parseTime(s.Value.(string)); err != nil {
				s.Wrong(fmt.Sprintf("%s: %s is neither a date nor a time", s.Key, settings.Quote(s.Value.(string))), "Write 2030-01-31 or 2030-01-31T12:00:00Z.")
			}
		}
	}
}

// missing notes that something has to be there, unless it is there and at fault.
func (f *File) missing(at []string, member, fix string) {
	if !f.faulty(append(slices.Clone(at), member)) {
		f.values.Wrong(at, settings.Join(at)+" has no "+member, fix)
	}
}

// unique notes a value that an earlier key has.
func unique(seen map[string]string, s *settings.Setting, text string) {
	if first, twice := seen[text]; twice {
		s.Wrong(fmt.Sprintf("%s: it is the same as %s", s.Key, first), "Names, secrets and access key ids of keys are unique.")
		return
	}
	seen[text] = s.Key
}

func checkID(s *settings.Setting) {
	if !plainID(s.Value.(string)) {
		s.Wrong(fmt.Sprintf("%s: %s is not a plain name", s.Key, settings.Quote(s.Value.(string))), "Write 1 to 64 of A-Z a-z 0-9 . _ -")
	}
}

// checkSecret says nothing of a secret but its length.
func (f *File) checkSecret(s *settings.Setting) {
	const least, most, strong = 8, 512, 20
	text := f.values.Secret(pathOf(s)...).Reveal()
	switch n := len(text); {
	case n < least || n > most:
		s.Wrong(fmt.Sprintf("%s has %d characters", s.Key, n), fmt.Sprintf("Give %d to %d, best 32 random bytes in hexadecimal digits.", least, most))
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(text) != text:
		s.Wrong(s.Key+" has characters that a header cannot carry", "Use visible ASCII, without spaces around it.")
	case n < strong:
		f.warnings = append(f.warnings, fmt.Sprintf("%s (%s) has %d characters: one that nobody guesses has %d or more", s.Key, s.Origin(), n, strong))
	}
}

func pathOf(s *settings.Setting) []string {
	path, _ := settings.Split(s.Key) // made by join
	return path
}

// checkProviders checks types, and that each key belongs to its provider's type.
func (f *File) checkProviders() {
	v := f.values
	for _, name := range v.Names("providers") {
		at := []string{"providers", name}
		kind := v.Get("providers", name, "type")
		if kind == nil {
			if !f.faulty(at) {
				f.missing(at, "type", "Add type: openai, type: bedrock or type: simulated.")
			}
			continue
		}
		switch kind.Value {
		case typeOpenAI:
			if v.Get("providers", name, "base_url") == nil {
				f.missing(at, "base_url", "Add base_url, such as base_url: "+openAIURL+".")
			}
			f.refuse(at, typeOpenAI)
		case typeBedrock:
			if v.Get("providers", name, "region") == nil {
				f.missing(at, "region", "Add region, such as region: eu-central-1 or region: ${AWS_REGION}.")
			}
			f.refuse(at, typeBedrock)
		case typeSimulated:
			f.refuse(at, typeSimulated)
			f.checkFaults(append(at, "faults"))
		default:
			kind.Wrong(fmt.Sprintf("%s: providers of type %s are not in this version", kind.Key, kind.Value), "Use bedrock for models on Amazon Bedrock, or openai: Anthropic has an endpoint that speaks its protocol too.")
		}
	}
}

// faulty says whether a fault about a key, or about something below it, was noted
// already, so that its absence is no second fault.
func (f *File) faulty(path []string) bool {
	name := settings.Join(path)
	for _, l := range f.values.Layers {
		for _, fault := range l.Faults {
			if fault.Key == name || strings.HasPrefix(fault.Key, name+".") || strings.HasPrefix(fault.Key, name+"[") {
				return true
			}
		}
	}
	return false
}

// refuse notes keys that only providers of another type have.
func (f *File) refuse(at []string, kind string) {
	for _, k := range f.values.Schema.Keys {
		if k.For(kind) {
			continue
		}
		f.values.Expand(append(slices.Clone(at), settings.Elements(k.Path)[2:]...), nil, func(path []string) {
			if s := f.values.Lookup(settings.Join(path)); s != nil {
				s.Wrong(fmt.Sprintf("%s is for providers of type %s", s.Key, orTypes(k)), "Remove it, or change the type.")
			}
		})
	}
}

// orTypes lists the types that have a key.
func orTypes(k *settings.Key) string { return strings.Join(strings.Fields(k.Only), " or ") }

func (f *File) checkFaults(path []string) {
	s := f.values.Get(path...)
	if s == nil {
		return
	}
	for _, text := range s.Value.([]string) {
		if _, err := simulated.ParseFault(text); err != nil {
			s.Wrong(fmt.Sprintf("%s: %s: %v", s.Key, settings.Quote(text), err), "Write it as status=503,share=0.5,from=2s,to=10s.")
		}
	}
}

// checkModels checks that every model has targets, and every target a provider
// that there is.
func (f *File) checkModels(broken bool) {
	v := f.values
	providers := v.Names("providers")
	if broken && len(providers) == 0 {
		return
	}
	for _, name := range v.Names("models") {
		at := []string{"models", name}
		targets := append(slices.Clone(at), "targets")
		if len(v.Names(targets...)) == 0 && !f.faulty(at) {
			v.Wrong(at, settings.Join(at)+" has no targets", "Add targets: [{provider: NAME, model: MODEL}].")
		}
		for _, i := range v.Names(targets...) {
			target := append(slices.Clone(targets), i)
			f.checkTarget(target)
			p := v.Get(append(slices.Clone(target), "provider")...)
			switch {
			case p == nil:
				f.missing(target, "provider", "Add provider: a name under providers.")
			case !slices.Contains(providers, p.Value.(string)):
				p.Wrong(fmt.Sprintf("%s: there is no provider %s", p.Key, settings.Quote(p.Value.(string))), settings.Suggest(p.Value.(string), "providers", providers))
			}
		}
	}
	if len(providers) > 0 && len(v.Names("models")) == 0 && !broken {
		v.Wrong([]string{"providers", providers[0]}, "there are providers and no models, so nothing can be asked for", `Add models, such as models: {"*": {targets: [{provider: `+providers[0]+`}]}}.`)
	}
}

// checkCalls checks operations and defaults: models that there are, scopes that go
// together, deadlines that leave time.
func (f *File) checkCalls() {
	v := f.values
	models := v.Names("models")
	sections := [][]string{{"defaults"}}
	for _, name := range v.Names("operations") {
		sections = append(sections, []string{"operations", name})
	}
	for _, at := range sections {
		get := func(member ...string) *settings.Setting {
			return v.Lookup(settings.Join(append(slices.Clone(at), member...)))
		}
		if s := get("model"); s != nil && !slices.Contains(models, s.Value.(string)) && !slices.Contains(models, "*") {
			s.Wrong(fmt.Sprintf("%s: there is no model %s", s.Key, settings.Quote(s.Value.(string))), settings.Suggest(s.Value.(string), "models", models))
		}
		if s := get("cache", "scope"); s != nil {
			var scope []cache.Dimension
			for _, d := range s.Value.([]string) {
				scope = append(scope, cache.Dimension(d))
			}
			if err := cache.CheckScope(scope); err != nil {
				s.Wrong(s.Key+": "+err.Error(), "Write [tenant, user, persona], fewer of them, or [shared].")
			}
		}
		if s := get("fallback"); s != nil {
			f.checkFallback(s)
		}
		f.checkCourse(get)
		if s := get("deadline"); s != nil && s.Value.(time.Duration) <= v.Duration("retry", "base") && v.Has("retry", "base") {
			s.Wrong(fmt.Sprintf("%s: %s leaves no time for a retry, whose first wait is %s", s.Key, settings.FormatDuration(s.Value.(time.Duration)), settings.FormatDuration(v.Duration("retry", "base"))), "Lower retry.base, or raise the deadline.")
		}
	}
}

func (f *File) checkFallback(s *settings.Setting) {
	list := s.Value.([]string)
	if i := slices.Index(list, "error"); i >= 0 && i < len(list)-1 {
		s.Wrong(s.Key+": error ends the list, so what stands behind it is never tried", "Put error last.")
	}
}

// checkListen refuses addresses that let strangers in.
func (f *File) checkListen(broken bool) {
	v := f.values
	for _, key := range []string{"listen", "control"} {
		if s := v.Get(key); s != nil && !isLoopback(s.Value.(string)) && len(v.Names("keys")) == 0 && !broken {
			s.Wrong(fmt.Sprintf("%s: %s can be reached from other machines, and there are no keys", s.Key, s.Value),
				"Add keys (or FOREBAY_KEYS=name:secret), or take an address of this machine, such as --listen 127.0.0.1:8080.")
		}
	}
	s := v.Get("control")
	if s == nil {
		return
	}
	if l := v.Text("listen"); s.Value == l && !strings.HasSuffix(l, ":0") {
		s.Wrong(s.Key+": the address is that of listen", "Give it a port of its own, or leave it out.")
	}
}

// isLoopback says whether an address is of this machine alone. Of names only
// localhost is taken for one: others resolve to whatever they resolve to.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
