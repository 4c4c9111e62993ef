package sdktest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client, direct := r.client(t), r.direct(t)
	texts := openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a forebay", "a mill race", "a weir"}}
	for _, c := range []struct {
		name       string
		ask        openai.EmbeddingNewParams
		vectors    int
		dimensions int
	}{
		{"one text", openai.EmbeddingNewParams{Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a forebay")}}, 1, 1536},
		{"texts", openai.EmbeddingNewParams{Input: texts, EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat}, 3, 1536},
		{"tokens", openai.EmbeddingNewParams{Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokens: []int64{1, 2, 3}}}, 1, 1536},
		{"dimensions", openai.EmbeddingNewParams{Input: texts, Dimensions: openai.Int(8)}, 3, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.ask.Model = "vectors"
			want, err := direct.Embeddings.New(t.Context(), c.ask)
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.Embeddings.New(t.Context(), c.ask)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.RawJSON(), got.RawJSON()); diff != "" {
				t.Errorf("the answer is not the provider's:\n%s", diff)
			}
			if len(got.Data) != c.vectors || got.Usage.PromptTokens == 0 || got.Model != "vectors" {
				t.Fatalf("%d vectors, usage %v, model %q", len(got.Data), got.Usage, got.Model)
			}
			for i, v := range got.Data {
				if v.Index != int64(i) || len(v.Embedding) != c.dimensions || math.Abs(length(v.Embedding)-1) > 1e-3 {
					t.Errorf("vector %d has index %d, %d dimensions and length %v", i, v.Index, len(v.Embedding), length(v.Embedding))
				}
			}
			var res *http.Response
			if _, err := client.Embeddings.New(t.Context(), c.ask, option.WithResponseInto(&res)); err != nil {
				t.Fatal(err)
			}
			says(t, "the second Cache-Status", res.Header.Get("Cache-Status"), "hit")
		})
	}
}

// TestEmbeddingsBase64 compares both encodings. openai-go decodes numbers alone, so
// base64 is read from the raw answer, as its users have to do.
func TestEmbeddingsBase64(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.client(t)
	ask := openai.EmbeddingNewParams{
		Model: "vectors", Dimensions: openai.Int(16),
		Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a forebay")},
	}
	numbers, err := client.Embeddings.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	ask.EncodingFormat = openai.EmbeddingNewParamsEncodingFormatBase64
	var raw []byte
	if _, err := client.Embeddings.New(t.Context(), ask, option.WithResponseBodyInto(&raw)); err != nil {
		t.Fatal(err)
	}
	var encoded struct{ Data []struct{ Embedding []byte } }
	if err := json.Unmarshal(raw, &encoded); err != nil { // encoding/json reads base64 into bytes
		t.Fatalf("%v in %s", err, raw)
	}
	var decoded []float64
	for b := encoded.Data[0].Embedding; len(b) >= 4; b = b[4:] {
		decoded = append(decoded, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	}
	rounded := make([]float64, len(numbers.Data[0].Embedding))
	for i, x := range numbers.Data[0].Embedding {
		rounded[i] = float64(float32(x))
	}
	if diff := cmp.Diff(rounded, decoded); diff != "" || len(decoded) != 16 {
		t.Errorf("base64 %s is not the same vector:\n%s", base64.StdEncoding.EncodeToString(encoded.Data[0].Embedding), diff)
	}
	if log := r.calls(t); log.Total != 2 {
		t.Errorf("the provider got %d calls, want 2: the encodings do not share an entry", log.Total)
	}
}

func length(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}
