package openai

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// EncodeModels makes the body of a list of models, in the order given.
func EncodeModels(models []llm.ModelInfo) []byte {
	dst := []byte(`{"object":"list","data":[`)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendModel(dst, m)
	}
	return append(dst, "]}"...)
}

// EncodeModel makes the body that describes one model.
func EncodeModel(model llm.ModelInfo) []byte { return appendModel(nil, model) }

func appendModel(dst []byte, m llm.ModelInfo) []byte {
	dst = scan.AppendString(append(dst, `{"id":`...), m.ID)
	dst = strconv.AppendInt(append(dst, `,"object":"model","created":`...), m.Created, 10)
	dst = scan.AppendString(append(dst, `,"owned_by":`...), m.OwnedBy)
	return append(dst, '}')
}

// DecodeModels reads a provider's list of models. Entries without an id are left out.
// A body that is no such list is an *llm.Error of kind ProviderMalformed.
func DecodeModels(body []byte) ([]llm.ModelInfo, error) {
	data := scan.Parse(body, maxAnswerDepth).Get("data")
	if data == nil || data.Kind != '[' {
		return nil, llm.Errorf(llm.ProviderMalformed, "the provider's list of models cannot be read")
	}
	models := make([]llm.ModelInfo, 0, len(data.Members))
	for _, entry := range data.Members {
		id := entry.Get("id").String()
		if id == "" {
			continue
		}
		created, _ := entry.Get("created").Number()
		models = append(models, llm.ModelInfo{ID: id, OwnedBy: entry.Get("owned_by").String(), Created: created})
	}
	return models, nil
}
