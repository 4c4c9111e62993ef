package translate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// vectorModel answers calls for vectors: the vector of a text is its length and its number.
type vectorModel struct {
	answer func(req *llm.Request) string
	takes  time.Duration
	fail   func(n int) error
	hangs  int // the first calls that take an hour

	mu        sync.Mutex
	bodies    []string
	now, most int
}

func (m *vectorModel) Call(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
	m.mu.Lock()
	m.bodies = append(m.bodies, string(req.Body))
	n := len(m.bodies)
	m.now++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.now--
		m.mu.Unlock()
	}()
	takes := m.takes
	if n <= m.hangs {
		takes = time.Hour
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, llm.AsError(ctx.Err())
	}
	if m.fail != nil {
		if err := m.fail(n); err != nil {
			return nil, err
		}
	}
	body := m.answer(req)
	return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(body), Last: true, Usage: llm.Usage{Input: 2}}}, nil
}

func titan(req *llm.Request) string {
	var body struct{ InputText string }
	_ = json.Unmarshal(req.Body, &body)
	return fmt.Sprintf(`{"embedding":[%d,0.50,-1e-3],"inputTextTokenCount":7}`, len(body.InputText))
}

func cohere(req *llm.Request) string {
	var body struct{ Texts []string }
	_ = json.Unmarshal(req.Body, &body)
	var vectors []string
	for _, text := range body.Texts {
		vectors = append(vectors, fmt.Sprintf("[%d,0.50]", len(text)))
	}
	return `{"embeddings":[` + strings.Join(vectors, ",") + `],"id":"x","response_type":"embeddings_floats"}`
}

func embedRequest(body string) *llm.Request {
	return &llm.Request{Dialect: openai.Dialect{}, Endpoint: llm.Embeddings, Body: []byte(body), Notes: &llm.Notes{}}
}

func TestEmbeddingsOnBedrock(t *testing.T) {
	for _, test := range []struct {
		name, model, body string
		answer            func(*llm.Request) string
		bodies            []string
		want              string
	}{
		{
			"one text", "amazon.titan-embed-text-v2:0", `{"model":"e","input":"Hello","dimensions":256,"user":"u"}`, titan,
			[]string{`{"inputText":"Hello","dimensions":256}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[5,0.50,-1e-3]}],"model":"amazon.titan-embed-text-v2:0","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"several texts", "eu.amazon.titan-embed-text-v2:0", `{"input":["a","bb","ccc"]}`, titan,
			[]string{`{"inputText":"a"}`, `{"inputText":"bb"}`, `{"inputText":"ccc"}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.50,-1e-3]},{"object":"embedding","index":1,"embedding":[2,0.50,-1e-3]},{"object":"embedding","index":2,"embedding":[3,0.50,-1e-3]}],"model":"eu.amazon.titan-embed-text-v2:0","usage":{"prompt_tokens":6,"total_tokens":6}}`,
		},
		{
			"the only length", "amazon.titan-embed-text-v1", `{"input":"a","dimensions":1536}`, titan,
			[]string{`{"inputText":"a"}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.50,-1e-3]}],"model":"amazon.titan-embed-text-v1","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"images' model", "amazon.titan-embed-image-v1", `{"input":"a","dimensions":384}`, titan,
			[]string{`{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":384}}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.50,-1e-3]}],"model":"amazon.titan-embed-image-v1","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"base64", "amazon.titan-embed-text-v2:0", `{"input":"a","encoding_format":"base64"}`, titan,
			[]string{`{"inputText":"a"}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAD9vEoO6"}],"model":"amazon.titan-embed-text-v2:0","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"by type", "amazon.titan-embed-text-v2:0", `{"input":"a"}`,
			func(*llm.Request) string { return `{"embeddingsByType":{"float":[1]},"inputTextTokenCount":1}` },
			[]string{`{"inputText":"a"}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"amazon.titan-embed-text-v2:0","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"Cohere", "cohere.embed-v4:0", `{"input":["a","bb"],"dimensions":512,"input_type":"search_query"}`, cohere,
			[]string{`{"texts":["a","bb"],"input_type":"search_query","output_dimension":512}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0.50]},{"object":"embedding","index":1,"embedding":[2,0.50]}],"model":"cohere.embed-v4:0","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
		{
			"Nova", "amazon.nova-2-multimodal-embeddings-v1:0", `{"input":"a","dimensions":1024}`,
			func(*llm.Request) string { return `{"embeddings":[{"embeddingType":"TEXT","embedding":[1,2]}]}` },
			[]string{`{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX","embeddingDimension":1024,"text":{"truncationMode":"NONE","value":"a"}}}`},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,2]}],"model":"amazon.nova-2-multimodal-embeddings-v1:0","usage":{"prompt_tokens":2,"total_tokens":2}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &vectorModel{answer: test.answer}
			s, err := translate.Provider(m, bedrock.Converse{}).Call(t.Context(), test.model, embedRequest(test.body))
			if err != nil {
				t.Fatal(err)
			}
			res := collect(t, s, "")
			slices.Sort(m.bodies)
			if diff := cmp.Diff(test.bodies, m.bodies); diff != "" {
				t.Errorf("bodies (-want +got):\n%s", diff)
			}
			if string(res.Body) != test.want {
				t.Errorf("got  %s\nwant %s", res.Body, test.want)
			}
			if _, err := openai.ReadWhole(llm.Embeddings, res.Body); err != nil {
				t.Errorf("the dialect does not read it: %v", err)
			}
		})
	}
}

// TestBase64Vectors checks the packed form against package openai's own.
func TestBase64Vectors(t *testing.T) {
	vector := []float32{0, 1, -1.5, 3.1415927, math.MaxFloat32, 1e-40}
	numbers, _ := json.Marshal(vector)
	m := &vectorModel{answer: func(*llm.Request) string { return `{"embedding":` + string(numbers) + `}` }}
	s, err := translate.Provider(m, bedrock.Converse{}).Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(`{"input":"a","encoding_format":"base64"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, s, "").Body
	want := openai.AppendEmbeddings(nil, &openai.Vectors{Model: "amazon.titan-embed-text-v2:0", Data: [][]float32{vector}, Base64: true, Usage: llm.Usage{Input: 2}})
	if !bytes.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestManyTexts checks the bounds of a request that needs several calls.
func TestManyTexts(t *testing.T) {
	texts := func(n int) string { return `{"input":[` + strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + `]}` }
	synctest.Test(t, func(t *testing.T) {
		m := &vectorModel{answer: titan, takes: time.Second}
		p := translate.Provider(m, bedrock.Converse{})
		began := time.Now()
		s, err := p.Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(texts(64)))
		if err != nil {
			t.Fatal(err)
		}
		if res := collect(t, s, ""); res.Usage.Input != 128 || len(m.bodies) != 64 || m.most != 4 || time.Since(began) != 16*time.Second {
			t.Errorf("usage %+v, %d calls, %d at once, %v", res.Usage, len(m.bodies), m.most, time.Since(began))
		}
		_, err = p.Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(texts(65)))
		if e := llm.AsError(err); e.Kind != llm.CallerInvalidRequest || e.Value != "64" || e.Param != "input" {
			t.Errorf("65 texts: %v", err)
		}
		c := &vectorModel{answer: cohere}
		s, err = translate.Provider(c, bedrock.Converse{}).Call(t.Context(), "cohere.embed-multilingual-v3", embedRequest(texts(100)))
		if err != nil || len(c.bodies) != 2 {
			t.Fatalf("%d calls, %v", len(c.bodies), err)
		}
		if v := parsed(collect(t, s, "").Body); len(list(v["data"])) != 100 {
			t.Errorf("%d vectors", len(list(v["data"])))
		}
	})
}

// TestOneOfSeveralFails checks that the first failure is the error, ends the others, and
// comes behind what those used that succeeded.
func TestOneOfSeveralFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := llm.Errorf(llm.ProviderRateLimited, "too many")
		m := &vectorModel{answer: titan, takes: time.Second}
		m.fail = func(n int) error {
			if n >= 3 {
				return broken
			}
			return nil
		}
		s, err := translate.Provider(m, bedrock.Converse{}).Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(`{"input":["a","b","c","d","e","f","g","h"]}`))
		if err != nil {
			t.Fatal(err)
		}
		res, err := llm.Collect(s)
		if err != error(broken) || m.now != 0 || len(m.bodies) > 6 {
			t.Errorf("%v after %d calls, %d still going on", err, len(m.bodies), m.now)
		}
		if res.Usage != (llm.Usage{Input: 4}) || len(res.Body) != 0 {
			t.Errorf("of two calls that succeeded: %+v %s", res.Usage, res.Body)
		}
		odd := &vectorModel{answer: func(*llm.Request) string { return `{"embeddings":[[1],[2],[3]]}` }}
		if s, err = translate.Provider(odd, bedrock.Converse{}).Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(`{"input":["a"]}`)); err != nil {
			t.Fatal(err)
		}
		if res, err = llm.Collect(s); llm.KindOf(err) != llm.ProviderMalformed || res.Usage != (llm.Usage{Input: 2}) {
			t.Errorf("of an answer that cannot be used: %+v, %v", res.Usage, err)
		}
		hung := &vectorModel{answer: titan, takes: time.Second, hangs: 3, fail: func(int) error { return broken }}
		began := time.Now()
		_, err = translate.Provider(hung, bedrock.Converse{}).Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(`{"input":["a","b","c","d"]}`))
		if err != error(broken) || time.Since(began) != time.Second {
			t.Errorf("%v after %v: the other calls were waited for", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		m.fail = nil
		_, err = translate.Provider(m, bedrock.Converse{}).Call(ctx, "amazon.titan-embed-text-v2:0", embedRequest(`{"input":["a","b"]}`))
		if llm.KindOf(err) != llm.CallerCancelled || m.now != 0 {
			t.Errorf("%v, %d still going on", err, m.now)
		}
	})
}

func TestEmbeddingsRefused(t *testing.T) {
	for body, param := range map[string]string{
		`{"input":[[1,2]]}`:                 "input[0]",
		`{"input":["a",7]}`:                 "input[1]",
		`{"input":[]}`:                      "input",
		`{}`:                                "input",
		`{"input":{}}`:                      "input",
		`{"input":"a","dimensions":"many"}`: "dimensions",
		`{"input":"a","dimensions":8}`:      "dimensions",
		`{"input":"a","input":"b"}`:         "input",
	} {
		_, err := translate.Provider(&vectorModel{answer: titan}, bedrock.Converse{}).Call(t.Context(), "amazon.titan-embed-text-v1", embedRequest(body))
		if e := llm.AsError(err); e.Kind != llm.CallerInvalidRequest || e.Param != param {
			t.Errorf("%s: %v (%s), want a fault of %s", body, err, e.Param, param)
		}
	}
	for _, answer := range []string{`{"embedding":7}`, `{}`, `[]`, `{"embeddings":[[1],[2]]}`} {
		stream, err := translate.Provider(&vectorModel{answer: func(*llm.Request) string { return answer }}, bedrock.Converse{}).
			Call(t.Context(), "amazon.titan-embed-text-v2:0", embedRequest(`{"input":"a"}`))
		if err == nil { // what was used comes before the failure
			_, err = llm.Collect(stream)
		}
		if e := llm.AsError(err); e.Kind != llm.ProviderMalformed || e.Model == "" {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestEmbeddingsOnOpenAI(t *testing.T) {
	answer := `{"object":"list","data":[{"object":"embedding","index":1,"embedding":[3,4]},{"object":"embedding","index":0,"embedding":[1,2.50]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":9,"total_tokens":9}}`
	one := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,2.50]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":9,"total_tokens":9}}`
	for _, test := range []struct{ model, body, answer, sent, want, dropped string }{
		{
			"amazon.titan-embed-text-v2:0", `{"inputText":"Hi","dimensions":512,"normalize":true,"embeddingTypes":["float"]}`, one,
			`{"model":"text-embedding-3-small","dimensions":512,"input":"Hi","encoding_format":"float"}`,
			`{"embedding":[1,2.50],"embeddingsByType":{"float":[1,2.50]},"inputTextTokenCount":9}`, "",
		},
		{
			"amazon.titan-embed-image-v1", `{"inputText":"Hi","embeddingConfig":{"outputEmbeddingLength":256}}`, one,
			`{"model":"text-embedding-3-small","dimensions":256,"input":"Hi","encoding_format":"float"}`,
			`{"embedding":[1,2.50],"inputTextTokenCount":9}`, "",
		},
		{
			"cohere.embed-english-v3", `{"texts":["a","b"],"input_type":"search_query","truncate":"END"}`, answer,
			`{"model":"text-embedding-3-small","input":["a","b"],"encoding_format":"float"}`,
			`{"embeddings":[[1,2.50],[3,4]],"response_type":"embeddings_floats","texts":["a","b"]}`, "input_type truncate",
		},
		{
			"cohere.embed-v4:0", `{"texts":["a","b"],"input_type":"search_query","embedding_types":["float" ],"output_dimension":2}`, answer,
			`{"model":"text-embedding-3-small","dimensions":2,"input":["a","b"],"encoding_format":"float"}`,
			`{"embeddings":{"float":[[1,2.50],[3,4]]},"response_type":"embeddings_by_type","texts":["a","b"]}`, "input_type",
		},
	} {
		t.Run(test.model, func(t *testing.T) {
			inner := &answering{body: []byte(test.answer)}
			req := &llm.Request{Dialect: bedrock.Invoke{}, Endpoint: llm.Embeddings, Model: test.model, Body: []byte(test.body), Notes: &llm.Notes{}}
			s, err := translate.Provider(inner, openai.Dialect{}).Call(t.Context(), "text-embedding-3-small", req)
			if err != nil {
				t.Fatal(err)
			}
			res := collect(t, s, "")
			if sent := string(inner.seen[0].Body); sent != test.sent || inner.seen[0].Dialect != (openai.Dialect{}) {
				t.Errorf("sent %s\nwant %s", sent, test.sent)
			}
			if string(res.Body) != test.want || res.Usage.Input != 9 {
				t.Errorf("got  %s (%+v)\nwant %s", res.Body, res.Usage, test.want)
			}
			if members, _ := req.Notes.List(); strings.Join(members, " ") != test.dropped {
				t.Errorf("noted %v, want %s", members, test.dropped)
			}
		})
	}
}
