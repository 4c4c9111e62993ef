package translate_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/translate"
)

const docsIntro = `# Bedrock and OpenAI: what becomes of each member

A client that speaks OpenAI's chat completions reaches models of Bedrock, and a client of Bedrock's Converse (any AWS SDK)
reaches servers that speak OpenAI's format. Forebay translates requests, whole answers and streams. Two formats never say
quite the same; this page says what becomes of each member.

- **translated**: it reaches the model (or the caller) in the other format's words.
- **dropped**: it has no counterpart. Of a request it is named in the header ` + "`X-Forebay-Dropped`" + `. Members that are not on
  this page are dropped and named too, unless they say nothing (null, false, or empty).
- **refused**: it would be missed without anybody noticing: content that the model would not see, a guardrail that would not
  guard, an address that Forebay would have to fetch. The request fails with ` + "`caller_invalid_request`" + `, which names the member
  and says what to do. Parts of a conversation of an unknown kind are refused too.
- **used**: it is for Forebay itself, or says how the answer is to come.

Requests in the format that a model's provider speaks are not translated: they pass byte for byte. Bodies of InvokeModel are a
certain model's own: those for vectors of Titan and Cohere are translated, all others are for targets of Bedrock alone. So is
CountTokens: an estimate would pass for a count. Where a model has targets of Bedrock and of others, such calls go to
Bedrock's, wherever these are listed; where it has none they are refused. Streams are translated event by event; one that
ends before its end mark ends with an error in either format.

<!-- generated from the tables in dialect/translate: go test ./dialect/translate -update -->
`

// docsSetup is how one begins; ´ stands for the backtick.
const docsSetup = `
## Set it up

´´´yaml
providers:
  bedrock-eu: {type: bedrock, region: eu-central-1}   # credentials of AWS's usual places, or api_key
models:
  haiku: {targets: [{provider: bedrock-eu, model: "eu.anthropic.claude-haiku-4-5-20251001-v1:0"}]}
´´´

´´´console
$ forebay validate forebay.yaml
$ forebay keys new --name web >> forebay.yaml     # a pair for callers; without keys the gateway serves loopback addresses alone
$ forebay serve --config forebay.yaml
´´´

OpenAI clients call ´http://127.0.0.1:8080/v1´ with the model ´haiku´ and the secret as their key; AWS SDKs have ´http://127.0.0.1:8080/bedrock´ as their endpoint, the pair as their
credentials, and ´haiku´ as the model's id ([reference](reference/http.md#bedrock)). The role needs ´bedrock:InvokeModel´ and ´bedrock:InvokeModelWithResponseStream´ on the inference profile and on the
models behind it.
`

// docs is the page that the tables make.
func docs() string {
	var b strings.Builder
	b.WriteString(docsIntro)
	b.WriteString(strings.ReplaceAll(docsSetup, "´", "`"))
	for _, d := range translate.Directions {
		fmt.Fprintf(&b, "\n## %s\n\n| member | what happens | becomes | why |\n|---|---|---|---|\n", d)
		for _, m := range translate.Members(d) {
			to := m.To
			if to != "" {
				to = "`" + strings.ReplaceAll(to, "|", `\|`) + "`"
				if strings.Contains(m.To, " ") {
					to = m.To
				}
			}
			why := m.Why
			if m.Fix != "" {
				why += " " + m.Fix
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Path, m.Fate, to, strings.ReplaceAll(why, "|", `\|`))
		}
	}
	return b.String()
}

func TestDocumentation(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "bedrock.md")
	want := docs()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/bedrock.md is not what the tables say: go test ./dialect/translate -run TestDocumentation -update")
	}
}

// TestTables checks that rows are told apart and say what they must.
func TestTables(t *testing.T) {
	for _, d := range translate.Directions {
		seen := map[string]bool{}
		for _, m := range translate.Members(d) {
			if seen[m.Path] {
				t.Errorf("%s: %s has two rows", d, m.Path)
			}
			seen[m.Path] = true
			switch m.Fate {
			case translate.Refused:
				if m.Why == "" || m.Fix == "" {
					t.Errorf("%s: %s is refused without a reason or a way out", d, m.Path)
				}
			case translate.Dropped:
				if m.Why == "" {
					t.Errorf("%s: %s is dropped without a reason", d, m.Path)
				}
			case translate.Translated, translate.Used:
			default:
				t.Errorf("%s: %s has the fate %q", d, m.Path, m.Fate)
			}
		}
	}
}

// TestEveryMemberOfOpenAI checks that the table has each member of a chat completion and
// of an embeddings request that OpenAI's API description has.
func TestEveryMemberOfOpenAI(t *testing.T) {
	f, err := os.Open(filepath.Join(recordings(t), "..", "conformance", "openai-openapi.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var api object
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	schemas := obj(obj(api["components"])["schemas"])
	for _, test := range []struct {
		direction      translate.Direction
		schema, prefix string
	}{
		{translate.ChatRequest, "CreateChatCompletionRequest", ""},
		{translate.ChatRequest, "ChatCompletionRequestUserMessage", "messages[]."},
		{translate.ChatRequest, "ChatCompletionRequestAssistantMessage", "messages[]."},
		{translate.ChatRequest, "ChatCompletionRequestToolMessage", "messages[]."},
		{translate.ChatRequest, "ChatCompletionRequestMessageContentPartText", "messages[].content[]."},
		{translate.ChatRequest, "ChatCompletionRequestMessageContentPartImage", "messages[].content[]."},
		{translate.ChatRequest, "ChatCompletionRequestMessageContentPartAudio", "messages[].content[]."},
		{translate.ChatRequest, "ChatCompletionRequestMessageContentPartFile", "messages[].content[]."},
		{translate.ChatRequest, "FunctionObject", "tools[].function."},
		{translate.EmbeddingsCalls, "CreateEmbeddingRequest", ""},
	} {
		var have []string
		for _, m := range translate.Members(test.direction) {
			have = append(have, m.Path)
		}
		names := properties(schemas, object{"$ref": "/" + test.schema})
		if len(names) == 0 {
			t.Errorf("the API description has no members of %s", test.schema)
		}
		for name := range names {
			if !slices.Contains(have, test.prefix+name) {
				t.Errorf("%s: no row for %s%s", test.direction, test.prefix, name)
			}
		}
	}
}

// properties gathers the members of a schema, those of its parts included.
func properties(schemas, schema object) map[string]bool {
	if ref := str(schema["$ref"]); ref != "" {
		schema = obj(schemas[ref[strings.LastIndexByte(ref, '/')+1:]])
	}
	names := map[string]bool{}
	for name := range obj(schema["properties"]) {
		names[name] = true
	}
	for _, part := range list(schema["allOf"]) {
		for name := range properties(schemas, obj(part)) {
			names[name] = true
		}
	}
	return names
}
