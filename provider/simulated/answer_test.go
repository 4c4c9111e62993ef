package simulated_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/simulated"
)

func embeddings(input string) *llm.Request {
	return &llm.Request{
		Endpoint: llm.Embeddings, Model: "vectors", Dialect: dialect.Dialect{},
		Body: []byte(`{"model":"vectors","input":` + input + `}`),
	}
}

const tools = `,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object",` +
	`"properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":3},"unit":{"enum":["C"]},` +
	`"at":{"$ref":"#/$defs/at"}},"$defs":{"at":{"type":"array","items":{"type":"boolean"}}}}}},` +
	`{"type":"function","function":{"name":"other"}}]`

// said is what the tests look at in a whole answer.
type said struct {
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content   *string `json:"content"`
			ToolCalls []struct {
				ID       string `json:"id"`
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
	}
}

func ask(t *testing.T, body string) said {
	t.Helper()
	req := chat(false)
	req.Body = []byte(body)
	res, err := collect(t, provider(t, simulated.Config{}), req)
	if err != nil {
		t.Fatal(err)
	}
	var s said
	if err := json.Unmarshal(res.Body, &s); err != nil || len(s.Choices) != 1 {
		t.Fatalf("%v in %s", err, res.Body)
	}
	return s
}

func TestToolCalls(t *testing.T) {
	for _, c := range []struct{ name, content, more, tool string }{
		{"demanded", "hi", `,"tool_choice":"required"` + tools, "weather"},
		{"named", "hi", `,"tool_choice":{"type":"function","function":{"name":"other"}}` + tools, "other"},
		{"marked", "hi [call tool]", tools, "weather"},
		{"marked but forbidden", "hi [call tool]", `,"tool_choice":"none"` + tools, ""},
		{"left to the model", "hi", `,"tool_choice":"auto"` + tools, ""},
		{"marked without tools", "hi [call tool]", "", ""},
		{"unreadable tools", "hi [call tool]", `,"tools":[1]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ask(t, fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]%s}`, c.content, c.more))
			choice := s.Choices[0]
			if c.tool == "" {
				if choice.FinishReason != "stop" || choice.Message.Content == nil || len(choice.Message.ToolCalls) > 0 {
					t.Errorf("%+v, want a text", choice)
				}
				return
			}
			calls := choice.Message.ToolCalls
			if choice.FinishReason != "tool_calls" || len(calls) != 1 || calls[0].Function.Name != c.tool || calls[0].ID == "" {
				t.Fatalf("%+v, want a call of %s", choice, c.tool)
			}
			var arguments map[string]any
			if err := json.Unmarshal([]byte(calls[0].Function.Arguments), &arguments); err != nil {
				t.Fatal(err)
			}
			if c.tool == "weather" {
				checkArguments(t, arguments)
			}
		})
	}
}

func checkArguments(t *testing.T, arguments map[string]any) {
	t.Helper()
	city, _ := arguments["city"].(string)
	days, _ := arguments["days"].(float64)
	at, _ := arguments["at"].([]any)
	if !strings.HasPrefix(city, "[simulated]") || days < 3 || arguments["unit"] != "C" || len(at) != 1 {
		t.Errorf("arguments %v do not fit the schema", arguments)
	}
}

func TestResponseFormat(t *testing.T) {
	for format, key := range map[string]string{
		`{"type":"json_object"}`: "answer",
		`{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":` +
			`{"score":{"type":["number","null"]},"deep":{"anyOf":[{"type":"null"}]}}}}}`: "score",
		`{"type":"json_schema","json_schema":{"schema":{"$ref":"#"}}}`: "", // refers to itself
	} {
		s := ask(t, `{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":`+format+`}`)
		var object map[string]any
		if err := json.Unmarshal([]byte(*s.Choices[0].Message.Content), &object); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if _, ok := object[key]; key != "" && !ok {
			t.Errorf("%s: %v has no %s", format, object, key)
		}
	}
}

type vectorsAnswer struct {
	Data []struct {
		Index     int
		Embedding json.RawMessage
	}
	Usage struct {
		PromptTokens int `json:"prompt_tokens"`
	}
}

func vectorsOf(t *testing.T, input string) vectorsAnswer {
	t.Helper()
	res, err := collect(t, provider(t, simulated.Config{Dimensions: 8}), embeddings(input))
	if err != nil {
		t.Fatal(err)
	}
	var a vectorsAnswer
	if err := json.Unmarshal(res.Body, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEmbeddings(t *testing.T) {
	for input, n := range map[string]int{
		`"one"`: 1, `["one","two"]`: 2, `[1,2,3]`: 1, `[[1],[2,3]]`: 2, `["a","b"],"dimensions":3`: 2,
	} {
		a := vectorsOf(t, input)
		if len(a.Data) != n || a.Usage.PromptTokens == 0 {
			t.Errorf("%s: %d vectors, usage %+v, want %d", input, len(a.Data), a.Usage, n)
			continue
		}
		var v []float64
		if err := json.Unmarshal(a.Data[n-1].Embedding, &v); err != nil {
			t.Fatal(err)
		}
		want := 8
		if strings.Contains(input, "dimensions") {
			want = 3
		}
		var sum float64
		for _, x := range v {
			sum += x * x
		}
		if len(v) != want || math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s: %d numbers of length %v, want %d of length 1", input, len(v), sum, want)
		}
	}
	// The same text has the same vector wherever it stands.
	one, two := vectorsOf(t, `"two"`), vectorsOf(t, `["one","two"]`)
	if diff := cmp.Diff(string(one.Data[0].Embedding), string(two.Data[1].Embedding)); diff != "" {
		t.Error(diff)
	}
}

func TestEmbeddingsInBase64(t *testing.T) {
	var numbers []float32
	if err := json.Unmarshal(vectorsOf(t, `"x"`).Data[0].Embedding, &numbers); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := json.Unmarshal(vectorsOf(t, `"x","encoding_format":"base64"`).Data[0].Embedding, &text); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var decoded []float32
	for ; len(raw) >= 4; raw = raw[4:] {
		decoded = append(decoded, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	if diff := cmp.Diff(numbers, decoded); diff != "" {
		t.Error(diff)
	}
}
