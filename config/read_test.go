package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
)

// read reads sources with an environment of env alone, and fails on a fault.
func read(t *testing.T, src config.Sources, env ...string) *config.File {
	t.Helper()
	src.Environ = append([]string{}, env...)
	f, err := config.Read(src)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func build(t *testing.T, f *config.File) forebay.Config {
	t.Helper()
	cfg, err := f.Forebay()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// value finds one key among the origins.
func value(t *testing.T, f *config.File, key string) config.Value {
	t.Helper()
	for _, v := range f.Origins() {
		if v.Key == key {
			return v
		}
	}
	t.Fatalf("%s has no value", key)
	return config.Value{}
}

// whole reads the file that has something of everything.
func whole(t *testing.T) *config.File {
	t.Helper()
	return read(t, config.Sources{Path: "testdata/forebay.yaml"}, "WEB_KEY=CANARY-0123456789-web", "OPENAI_API_KEY=CANARY-0123456789-api")
}

func TestWholeFile(t *testing.T) {
	f := whole(t)
	wantKeys := []config.Key{{
		Name: "web", Secret: "CANARY-0123456789-web", Tenant: "matbakh", Scopes: []string{"call", "jobs"},
		Bands: []llm.Priority{llm.Normal, llm.High}, Expires: time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC),
	}}
	if d := cmp.Diff(wantKeys, f.Keys); d != "" {
		t.Error(d)
	}
	cfg := build(t, f)
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if n := len(cfg.Providers); n != 3 {
		t.Errorf("%d providers", n)
	}
	targets := cfg.Models["haiku"].Targets
	if p := targets[0].Price; p.Input != 400_000 || p.Output != 1_600_000 || p.CacheRead != 100_000 || p.CacheWrite != 0 {
		t.Errorf("price is %+v", p)
	}
	if targets[1].Provider != "local" || targets[1].Family != "small" {
		t.Errorf("second target is %+v", targets[1])
	}
	o := cfg.Operations["vc-analysis"]
	want := forebay.Operation{
		Model: "haiku", Deadline: 30 * time.Second, Prompt: o.Prompt, PromptVersion: "1",
		Cache:      forebay.CachePolicy{TTL: 12 * time.Hour, Scope: []cache.Dimension{cache.Tenant, cache.User}},
		Fallback:   []degrade.Strategy{degrade.Cached, degrade.Template, degrade.Simplified, degrade.Error},
		Simplified: forebay.Simplified{MaxTokens: 200},
	}
	if d := cmp.Diff(want, o); d != "" || o.Prompt == "" {
		t.Errorf("the file's operation does not lie over the profile's: %s", d)
	}
	if cfg.Retry.Max != -1 || cfg.Breaker.Consecutive != -1 {
		t.Errorf("0 does not mean none: retry.max %d, breaker.consecutive %d", cfg.Retry.Max, cfg.Breaker.Consecutive)
	}
	if d := cmp.Diff(wholeDegrade(), cfg.Degrade); d != "" {
		t.Error(d)
	}
	if warnings := f.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings are:\n%s", strings.Join(warnings, "\n"))
	}
}

func containsAll(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func TestProfilesHaveTheSpecificationsNumbers(t *testing.T) {
	tests := map[string]map[string]string{
		"standard": {
			"limits.max_concurrent": "256", "defaults.deadline": "45s", "defaults.fallback": "[error]", "queue.max": "500",
			"queue.warn": "50", "queue.critical": "100", "cache.ttl": "24h", "cache.max_entries": "10000", "retry.max": "3",
			"breaker.consecutive": "5", "breaker.failure_rate": "10%", "breaker.window": "5m", "monitor.response_time": "30s",
		},
		"analysis": {
			"limits.max_concurrent": "10", "defaults.deadline": "45s", "queue.max": "500", "queue.warn": "50", "queue.critical": "100",
			"cache.ttl": "24h", "cache.max_entries": "10000", "retry.max": "3", "breaker.consecutive": "5",
			"breaker.failure_rate": "10%", "breaker.window": "5m", "monitor.response_time": "30s",
			"defaults.fallback": "[cached, template, error]", `personas."Der Profi".locale`: "de-DE",
		},
		"interactive": {
			"monitor.response_time": "3s", "queue.max_age": "3s", "breaker.failure_rate": "5%", "cache.ttl": "24h",
			"limits.max_concurrent": "100", "defaults.deadline": "20s",
		},
	}
	for profile, want := range tests {
		f := read(t, config.Sources{Profile: profile, Upstreams: upstream()})
		for key, text := range want {
			if got := value(t, f, key).Value; got != text {
				t.Errorf("profile %s: %s is %s, want %s", profile, key, got, text)
			}
		}
		cfg := build(t, f)
		if err := cfg.Validate(); err != nil {
			t.Errorf("profile %s: %v", profile, err)
		}
		operations := len(cfg.Operations)
		if profile == "analysis" && operations != 4 || profile != "analysis" && operations != 0 {
			t.Errorf("profile %s has %d operations", profile, operations)
		}
		for name, o := range cfg.Operations {
			if len(o.Prompt) < 200 {
				t.Errorf("operation %s has the prompt %q", name, o.Prompt)
			}
		}
	}
}

// TestPrecedence takes sources away one by one, the strongest first.
func TestPrecedence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "forebay.yaml")
	if err := os.WriteFile(path, []byte("profile: analysis\nlimits:\n  max_concurrent: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := "MAX_CONCURRENT_REQUESTS=4"
	tests := []struct {
		src    config.Sources
		env    []string
		value  string
		origin string
	}{
		{config.Sources{Path: path, Flags: map[string]string{"limits.max_concurrent": "5"}}, []string{env}, "5", "flag --set limits.max_concurrent"},
		{config.Sources{Path: path}, []string{env}, "4", "environment MAX_CONCURRENT_REQUESTS"},
		{config.Sources{Path: path}, nil, "3", path + ":3:19"},
		{config.Sources{Profile: "analysis"}, nil, "10", "profile analysis"},
		{config.Sources{}, nil, "256", "default"},
		{config.Sources{Path: path}, []string{"MAX_CONCURRENT_REQUESTS="}, "3", path + ":3:19"},
		{config.Sources{}, []string{"FOREBAY_CONFIG=" + path}, "3", path + ":3:19"},
	}
	for _, tt := range tests {
		tt.src.Upstreams = upstream()
		got := value(t, read(t, tt.src, tt.env...), "limits.max_concurrent")
		if got.Value != tt.value || got.Origin != tt.origin {
			t.Errorf("%+v with %v gives %s from %q, want %s from %q", tt.src, tt.env, got.Value, got.Origin, tt.value, tt.origin)
		}
	}
}

func TestProfilePrecedence(t *testing.T) {
	content := []byte("profile: analysis\n")
	src := config.Sources{Content: content, Upstreams: upstream()}
	if p := read(t, src).Profile; p != "analysis" {
		t.Errorf("the file's profile is %s", p)
	}
	if p := read(t, src, "FOREBAY_PROFILE=interactive").Profile; p != "interactive" {
		t.Errorf("the environment's profile is %s", p)
	}
	src.Profile = "standard"
	if p := read(t, src, "FOREBAY_PROFILE=interactive").Profile; p != "standard" {
		t.Errorf("the flag's profile is %s", p)
	}
}

// TestSpecificationsVariables sets each variable of the specification to a value of
// its own and looks where it arrives.
func TestSpecificationsVariables(t *testing.T) {
	tests := []struct {
		env, key, value string
		warning         bool
	}{
		{"ENABLE_PERFORMANCE_MONITORING=false", "monitor.enabled", "false", true},
		{"ENABLE_REQUEST_QUEUING=false", "queue.enabled", "false", false},
		{"ENABLE_RESPONSE_CACHING=false", "cache.enabled", "false", false},
		{"ENABLE_GRACEFUL_DEGRADATION=false", "degrade.enabled", "false", false},
		{"MAX_RESPONSE_TIME_MS=25000", "monitor.response_time", "25s", false},
		{"QUEUE_THRESHOLD=40", "queue.warn", "40", false},
		{"CACHE_DEFAULT_TTL_HOURS=12", "cache.ttl", "12h", false},
		{"CACHE_DEFAULT_TTL_HOURS=0.5", "cache.ttl", "30m", false},
		{"MAX_QUEUE_SIZE=400", "queue.max", "400", false},
		{"MAX_CONCURRENT_REQUESTS=11", "limits.max_concurrent", "11", false},
		{"DEFAULT_TIMEOUT_MS=44000", "defaults.deadline", "44s", false},
		{"MAX_RETRIES=2", "retry.max", "2", false},
		{"MAX_FAILURE_RATE=0.2", "breaker.failure_rate", "20%", false},
		{"FAILURE_WINDOW_MS=60000", "breaker.window", "1m", false},
		{"CIRCUIT_BREAKER_THRESHOLD=6", "breaker.consecutive", "6", false},
		{"ENABLE_CACHE_COMPRESSION=true", "cache.compression", "true", false},
		{"ENABLE_CACHE_COMPRESSION=false", "cache.compression", "false", false},
		{"MAX_CACHE_SIZE=9000", "cache.max_entries", "9000", false},
		{"BEDROCK_QUEUE_TABLE=queue-table", "store.dynamodb.queue", "queue-table", false},
		{"BEDROCK_CACHE_TABLE=cache-table", "store.dynamodb.cache", "cache-table", false},
		{"BEDROCK_ALERT_TOPIC_ARN=arn:aws:sns:eu-central-1:123456789012:x", "alarms.topic", "arn:aws:sns:eu-central-1:123456789012:x", false},
	}
	for _, tt := range tests {
		name, _, _ := strings.Cut(tt.env, "=")
		// Tables that gateways share need a key that they share.
		f := read(t, config.Sources{Upstreams: upstream()}, tt.env, "FOREBAY_MASTER_KEY="+strings.Repeat("5a", 32))
		got := value(t, f, tt.key)
		if got.Value != tt.value || got.Origin != "environment "+name {
			t.Errorf("%s makes %s %s from %q, want %s", tt.env, tt.key, got.Value, got.Origin, tt.value)
		}
		warned := strings.Contains(strings.Join(f.Warnings(), "\n"), "accepted, no effect in this version: "+name)
		if warned != tt.warning {
			t.Errorf("%s warns: %v, want %v (%q)", tt.env, warned, tt.warning, f.Warnings())
		}
		if found := strings.Join(f.Found(), "\n"); !strings.Contains(found, name) {
			t.Errorf("%s is not among what was found: %s", name, found)
		}
	}
}

// TestVariablesArrive checks that what variables set is what the client gets.
func TestVariablesArrive(t *testing.T) {
	cfg := build(t, read(t, config.Sources{Upstreams: upstream()},
		"ENABLE_REQUEST_QUEUING=false", "ENABLE_RESPONSE_CACHING=false", "ENABLE_GRACEFUL_DEGRADATION=false",
		"MAX_QUEUE_SIZE=7", "MAX_CONCURRENT_REQUESTS=0", "DEFAULT_TIMEOUT_MS=1500", "MAX_RETRIES=0", "MAX_FAILURE_RATE=0",
		"FAILURE_WINDOW_MS=60000", "CIRCUIT_BREAKER_THRESHOLD=0", "MAX_CACHE_SIZE=0", "CACHE_DEFAULT_TTL_HOURS=1"))
	got := fmt.Sprint(cfg.Queue.Off, cfg.Cache.Off, cfg.Degrade.Off, cfg.Queue.Max, cfg.Queue.Warn, cfg.Limits.MaxConcurrent, cfg.Defaults.Deadline,
		cfg.Retry.Max, cfg.Breaker.FailureRate, cfg.Breaker.Window, cfg.Breaker.Consecutive, cfg.Cache.MaxEntries, cfg.Defaults.Cache.TTL)
	if want := "true true true 7 7 -1 1.5s -1 -1 1m0s -1 -1 1h0m0s"; got != want {
		t.Errorf("the client gets %s, want %s", got, want)
	}
	if d := cmp.Diff([]degrade.Strategy{degrade.Error}, cfg.Defaults.Fallback); d != "" {
		t.Error(d)
	}
}

func TestFaultsOfVariablesAndFlags(t *testing.T) {
	_, err := config.Read(config.Sources{
		Environ: []string{
			"MAX_QUEUE_SIZE=many", "DEFAULT_TIMEOUT_MS=soon", "ENABLE_RESPONSE_CACHING=yes", "FOREBAY_PROFILE=fast",
			"FOREBAY_KEYS=web,app:CANARY-SECRET:x:urgent,a:b:c:d:e",
		},
		Flags:     map[string]string{"listen": "nowhere", "queue.mx": "4", `models."x`: "y", "queue": "1"},
		Upstreams: []string{"not a url", "http://user:CANARY@127.0.0.1/v1"},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	golden(t, "testdata/variables.golden", err.Error()+"\n")
	if strings.Contains(err.Error(), "CANARY") {
		t.Error("a secret is in the message")
	}
}

func TestKeysOfTheEnvironment(t *testing.T) {
	want := []config.Key{
		{Name: "web", Secret: "0123456789abcdef0123", Tenant: "default", Scopes: []string{"call"}, Bands: []llm.Priority{llm.Low, llm.Normal}},
		{Name: "app", Secret: "fedcba98765432100123", Tenant: "acme", Scopes: []string{"call"}, Bands: []llm.Priority{llm.Normal, llm.Critical}},
	}
	file := []byte("keys: [{name: old, secret: 00000000000000000000}]\n")
	for _, text := range []string{
		"web:0123456789abcdef0123,app:fedcba98765432100123:acme:normal+critical",
		`[{"name": "web", "secret": "0123456789abcdef0123"}, {"name": "app", "secret": "fedcba98765432100123", "tenant": "acme", "bands": ["normal", "critical"]}]`,
	} {
		f := read(t, config.Sources{Content: file, Upstreams: upstream()}, "FOREBAY_KEYS="+text)
		if d := cmp.Diff(want, f.Keys); d != "" {
			t.Errorf("FOREBAY_KEYS=%s: %s", text, d)
		}
		if found := strings.Join(f.Found(), "\n"); !strings.Contains(found, "FOREBAY_KEYS: keys of web, app") {
			t.Errorf("found: %s", found)
		}
	}
}

func TestUpstreamsInOrder(t *testing.T) {
	f := read(t, config.Sources{Upstreams: []string{"http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1/"}}, "OPENAI_API_KEY=CANARY-0123456789", "OPENAI_BASE_URL=http://127.0.0.1:3/v1")
	cfg := build(t, f)
	want := []forebay.Target{{Provider: "upstream-1"}, {Provider: "upstream-2"}}
	if d := cmp.Diff(want, cfg.Models["*"].Targets); d != "" {
		t.Error(d)
	}
	if len(cfg.Providers) != 2 {
		t.Errorf("%d providers: the environment's is not wanted beside upstreams", len(cfg.Providers))
	}
	for _, v := range f.Origins() {
		if strings.HasSuffix(v.Key, "api_key") {
			t.Errorf("%s is set from %s: the key of OpenAI goes to nobody else", v.Key, v.Origin)
		}
	}
	f = read(t, config.Sources{Upstreams: upstream()}, "FOREBAY_UPSTREAM_KEY=CANARY-0123456789")
	if v := value(t, f, "providers.upstream-1.api_key"); v.Value != "***" {
		t.Errorf("the upstream's key is shown as %s", v.Value)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	tests := []struct {
		env  []string
		url  string
		key  bool
		says string
	}{
		{[]string{"OPENAI_API_KEY=CANARY-0123456789"}, "https://api.openai.com/v1", true, "OPENAI_API_KEY: key of the provider openai at https://api.openai.com/v1"},
		{[]string{"OPENAI_BASE_URL=http://127.0.0.1:11434/v1"}, "http://127.0.0.1:11434/v1", false, "OPENAI_BASE_URL: provider openai at http://127.0.0.1:11434/v1"},
		{[]string{"OPENAI_BASE_URL=http://127.0.0.1:1/v1", "OPENAI_API_KEY=CANARY-0123456789"}, "http://127.0.0.1:1/v1", true, "OPENAI_API_KEY: key of the provider openai at http://127.0.0.1:1/v1"},
	}
	for _, tt := range tests {
		f := read(t, config.Sources{}, tt.env...)
		if got := value(t, f, "providers.openai.base_url").Value; got != tt.url {
			t.Errorf("%v gives %s, want %s", tt.env, got, tt.url)
		}
		if cfg := build(t, f); cfg.Models["*"].Targets[0].Provider != "openai" {
			t.Errorf("%v gives the models %+v", tt.env, cfg.Models)
		}
		has := false
		for _, v := range f.Origins() {
			has = has || v.Key == "providers.openai.api_key"
		}
		if found := strings.Join(f.Found(), "\n"); has != tt.key || !strings.Contains(found, tt.says) || strings.Contains(found, "CANARY") {
			t.Errorf("%v: key %v, found %q", tt.env, has, found)
		}
	}
}

func TestNothingFound(t *testing.T) {
	_, err := config.Read(config.Sources{Environ: []string{}})
	if err == nil || !containsAll(err.Error(), "OPENAI_API_KEY", "OPENAI_BASE_URL", "--upstream", "--config") {
		t.Errorf("the message is %v", err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.yaml"): "does not exist",
		dir:                                "not a file",
	} {
		_, err := config.Read(config.Sources{Path: path, Environ: []string{}})
		var faults *config.Faults
		if !errors.As(err, &faults) || len(faults.Faults()) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want one fault that says %q", path, err, want)
		}
	}
}

// TestSecretsAreNotPrinted puts secrets everywhere they can be and prints
// everything that can be printed.
func TestSecretsAreNotPrinted(t *testing.T) {
	f := whole(t)
	printed := fmt.Sprintf("%v %+v %#v %q %q %q %v", *f, f.Keys, f.Keys, f.Origins(), f.Found(), f.Warnings(), build(t, f).Models)
	if strings.Contains(printed, "CANARY") {
		t.Errorf("a secret is printed: %s", printed)
	}
}

func TestStrangersAreWarnedOf(t *testing.T) {
	f := read(t, config.Sources{Upstreams: upstream()}, "FOREBAY_LISTN=127.0.0.1:1", "FOREBAY_SOMETHING_ELSE=1")
	want := []string{"environment FOREBAY_LISTN is not known and has no effect. Did you mean FOREBAY_LISTEN?", "environment FOREBAY_SOMETHING_ELSE is not known and has no effect."}
	if d := cmp.Diff(want, f.Warnings()); d != "" {
		t.Error(d)
	}
}

// TestDefaultsFit sets single numbers that the defaults do not fit.
func TestDefaultsFit(t *testing.T) {
	for _, set := range []map[string]string{
		{"queue.max": "1"},
		{"queue.critical": "2"},
		{"cache.memory": "64KiB"},
		{"retry.base": "10s"},
		{"breaker.open_for": "1h"},
		{"limits.max_concurrent": "1"},
		{"cache.memory": "1TiB", "cache.max_entries": "1000000"},
	} {
		cfg := build(t, read(t, config.Sources{Upstreams: upstream(), Flags: set}))
		if err := cfg.Validate(); err != nil {
			t.Errorf("%v: %v", set, err)
		}
	}
	// What only the packages themselves refuse is a fault of Read's all the same.
	_, err := config.Read(config.Sources{Environ: []string{}, Upstreams: upstream(), Flags: map[string]string{"cache.memory": "1TiB", "cache.max_entries": "1"}})
	var faults *config.Faults
	if !errors.As(err, &faults) {
		t.Errorf("an impossible cache gives %v", err)
	}
}

func TestLoad(t *testing.T) {
	t.Setenv("WEB_KEY", "0123456789abcdef0123")
	t.Setenv("OPENAI_API_KEY", "0123456789abcdef0123")
	cfg, err := config.Load("testdata/forebay.yaml")
	if err != nil || len(cfg.Providers) != 3 {
		t.Errorf("Load gives %d providers, %v", len(cfg.Providers), err)
	}
	if _, err := config.Load("testdata/faults/empty.yaml"); err == nil {
		t.Error("Load takes an empty file")
	}
}
