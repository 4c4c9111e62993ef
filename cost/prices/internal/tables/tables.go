package tables

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/cost"
)

// The tables' names.
const (
	GenAI   = "genai-prices"
	LiteLLM = "litellm"
	Portkey = "portkey"
)

// Version says which state of a table was read.
type Version struct{ Name, Commit, Date string }

// Versions returns the states that the embedded prices were generated from. They stand in
// the folder's SOURCES.md as well.
func Versions() []Version {
	return []Version{
		{GenAI, "47df840a5ab1", "2026-08-21"},
		{LiteLLM, "dc2baf9d80f9", "2026-08-06"},
		{Portkey, "f654307ec968", "2026-08-21"},
	}
}

// Field is a member of a price.
type Field int

// The fields.
const (
	Input Field = iota
	Output
	CacheRead
	CacheWrite
	CacheWriteHour
	Fields // how many there are
)

// String names the field as differences do.
func (f Field) String() string {
	return [...]string{"input", "output", "cache_read", "cache_write", "cache_write_1h"}[f]
}

// Unsaid is the amount of what a table does not say.
const Unsaid int64 = -1

// Amounts are the prices of the fields, or Unsaid.
type Amounts [Fields]int64

// Silent returns amounts of which none is said.
func Silent() Amounts { return Amounts{Unsaid, Unsaid, Unsaid, Unsaid, Unsaid} }

// Said says whether anything is.
func (a Amounts) Said() bool { return a != Silent() }

// Band is amounts for prompts up to a length; 0 is the last one.
type Band struct {
	UpTo    int64
	Amounts Amounts
}

// Step is what holds from a moment on.
type Step struct {
	From  time.Time
	Bands []Band
}

// Quote is what a table says of a model.
type Quote struct {
	Table string
	// Steps are the standard prices. Variants are those of other tiers.
	Steps    []Step
	Variants map[cost.Tier][]Step
}

// At returns the bands of a tier at a moment, or nil.
func (q *Quote) At(tier cost.Tier, at time.Time) []Band {
	steps := q.Steps
	if tier != cost.Standard {
		steps = q.Variants[tier]
	}
	var bands []Band
	for i, s := range steps {
		if i == 0 || !s.From.After(at) {
			bands = s.Bands
		}
	}
	return bands
}

// Set is the three tables.
type Set struct {
	GenAI   *GenAITable
	LiteLLM map[string]*Quote // by "provider/id"; for Bedrock "bedrock/region/id" too
	Portkey map[string]*Quote // by "provider/id", and "provider/region/id"
}

// Read reads the tables in a folder.
func Read(dir string) (*Set, error) {
	var s Set
	text, err := unzip(filepath.Join(dir, "genai-prices-v2-data.json.gz"))
	if err != nil {
		return nil, err
	}
	if s.GenAI, err = readGenAI(text); err != nil {
		return nil, fmt.Errorf("%s: %w", GenAI, err)
	}
	if text, err = unzip(filepath.Join(dir, "litellm_model_prices_and_context_window.json.gz")); err != nil {
		return nil, err
	}
	if s.LiteLLM, err = readLiteLLM(text); err != nil {
		return nil, fmt.Errorf("%s: %w", LiteLLM, err)
	}
	if text, err = unzip(filepath.Join(dir, "portkey-models.tar.gz")); err != nil {
		return nil, err
	}
	if s.Portkey, err = readPortkey(text); err != nil {
		return nil, fmt.Errorf("%s: %w", Portkey, err)
	}
	return &s, nil
}

func unzip(name string) ([]byte, error) {
	packed, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return io.ReadAll(r)
}

// Providers returns the providers whose models are read, as Forebay calls them.
func Providers() []string { return []string{"anthropic", "bedrock", "openai"} }

// micro makes micro-dollars per million tokens of a number that is in units of
// 10^exponent dollars a token, to the nearest, because tables are made with floating
// point numbers and carry tails.
func micro(n json.Number, exponent int) (int64, error) {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return 0, fmt.Errorf("%q is no number", n)
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(12+exponent)), nil))
	r.Mul(r, scale).Add(r, big.NewRat(1, 2))
	return new(big.Int).Div(r.Num(), r.Denom()).Int64(), nil
}

// skipped are parts of the names of models that are not priced by tokens of text alone.
var skipped = [...]string{
	"audio", "realtime", "image", "tts", "transcribe", "whisper", "dall-e", "sora", "moderation", "sonic", "voxtral",
	"canvas", "reel", "stable", "stability", "sd3", "titan-image", "marengo", "pegasus", "rerank", "commitment", "multimodal",
	"1024-x", "512-x", "256-x", "50-steps", "max-steps", "standard/", "hd/", "low/", "medium/", "high/", "container", "computer-use", "@", "ft:", ".ft-",
	"live", "video", "-vision-7b", ":extended",
}

// Priced says whether a model's name is of the kind that is read.
func Priced(id string) bool {
	return !slices.ContainsFunc(skipped[:], func(part string) bool { return strings.Contains(strings.ToLower(id), part) })
}
