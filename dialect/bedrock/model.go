package bedrock

import "strings"

// geographies are the prefixes of cross-region inference profiles: the areas within
// which a call may be answered.
var geographies = map[string]bool{
	"us": true, "eu": true, "apac": true, "ap": true, "jp": true, "au": true, "ca": true,
	"us-gov": true, "global": true,
}

// ModelName is the bare id of a model: without the address (ARN) of a foundation model,
// an inference profile or an imported model, without the geography of an inference
// profile, in lower case. What hides its model, such as the ARN of an application
// inference profile, stays as it is.
func ModelName(model string) string {
	name := strings.ToLower(model)
	if strings.HasPrefix(name, "arn:") {
		kind, rest, ok := strings.Cut(name, "/")
		if !ok {
			return name
		}
		kind = kind[strings.LastIndexByte(kind, ':')+1:]
		switch kind {
		case "foundation-model", "inference-profile", "custom-model", "prompt-router", "default-prompt-router":
			name = rest
		default:
			return name
		}
	}
	if prefix, rest, ok := strings.Cut(name, "."); ok && geographies[prefix] {
		return rest
	}
	return name
}

// Family is whose model it is and of what kind: anthropic, amazon.nova, amazon.titan-text,
// amazon.titan-embed, meta, mistral, cohere, deepseek, openai and so on. It is what
// stands before the first dot of ModelName, but for Amazon's own, of which it is what
// comes before the generation. It is empty where the id does not tell.
func Family(model string) string {
	vendor, rest, ok := strings.Cut(ModelName(model), ".")
	if !ok || strings.HasPrefix(vendor, "arn:") {
		return ""
	}
	if vendor != "amazon" {
		return vendor
	}
	for _, kind := range [...]string{"titan-text", "titan-embed", "titan-image", "nova"} {
		if strings.HasPrefix(rest, kind) {
			return "amazon." + kind
		}
	}
	if strings.HasPrefix(rest, "titan-tg1") { // what titan-text-premier was called
		return "amazon.titan-text"
	}
	return vendor
}

// IsEmbeddings says that the model makes vectors, not texts: all of Bedrock's have
// embed in their names.
func IsEmbeddings(model string) bool {
	return strings.Contains(ModelName(model), "embed")
}
