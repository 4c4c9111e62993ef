package bedrock

import (
	"slices"
	"strings"
)

// Capabilities says what a model takes. What it does not take it refuses with a
// ValidationException, for the whole request. A model that the table does not know takes
// everything: better that Bedrock refuses than that we do, or leave something out.
type Capabilities struct {
	// Family is whose model it is (Family); empty where the id does not tell.
	Family string
	// Source says where the row comes from; empty for a model that the table does not know.
	Source string

	// Temperature, TopP and TopK say that the model takes the parameter. The newest of
	// Anthropic's take no other value than the default of 1.
	Temperature, TopP, TopK bool
	// BothSampling says that temperature and top_p may stand in one request.
	BothSampling bool
	// Stop says that the model takes stop sequences, and BlankStops that they may be nothing
	// but white space: Anthropic's models want each to have something else in it
	// (BerriAI/litellm #3286).
	Stop, BlankStops bool
	// Effort says that the caller may say how much thought goes into the answer
	// (outputConfig.effort).
	Effort bool
	// CachePoints says that the prompt, or parts of it, may be marked for the provider's
	// prompt cache.
	CachePoints bool
	// MaxOutput is the longest answer that may be asked for, in tokens. Zero means unknown.
	MaxOutput int

	// System, Images, Documents and Tools say that such content is understood.
	System, Images, Documents, Tools bool
	// Streaming says that an answer can be streamed, and ToolStreaming that one to a request
	// with tools can.
	Streaming, ToolStreaming bool
}

// lacks is what a row of the table takes away.
type lacks uint16

const (
	temperature lacks = 1 << iota
	topP
	topK
	both
	stops
	caching
	system
	images
	documents
	tools
	streams
	toolStream
	effort

	sampling = temperature | topP | topK
)

// row is what is known of the models whose bare id (ModelName) begins with one of these.
type row struct {
	ids    []string
	lacks  lacks
	most   int
	source string
}

// Where the rows come from.
const (
	features  = "Bedrock user guide, supported models and model features of Converse"
	caches    = "; user guide, prompt caching"
	card      = "Anthropic's models overview: maximal output"
	oneOfTwo  = "model card; aws-samples/bedrock-access-gateway #208, #238: temperature and top_p cannot both be specified for this model"
	noSamples = "Bedrock's model card of Opus 4.7 and Anthropic's migration guide: a temperature, top_p or top_k other than the default is 400; onyx #12734 saw it on Converse with Sonnet 5"
	noEffort  = "; Anthropic's documentation of effort: from Opus 4.5 and Sonnet 4.6 on; anthropics/claude-code-action #1005 saw output_config.effort: Extra inputs are not permitted on Bedrock"
	noStop    = "seen on Converse: this model doesn't support the stopSequences field (crewAI #3317, dify-official-plugins #1767)"
	noStream  = "seen on ConverseStream: this model doesn't support tool use in streaming mode (langchain-aws #140, n8n #14206)"
)

// rows is the table, and the first row that fits decides.
var rows = []row{
	{[]string{"anthropic.claude-v2", "anthropic.claude-instant"}, effort | caching | images | tools | toolStream, 0, features + noEffort},
	{[]string{"anthropic.claude-3-5-haiku"}, effort | images, 8192, features + caches + "; " + card + noEffort},
	{[]string{"anthropic.claude-3-5-sonnet-20240620"}, effort | caching, 8192, features + caches + "; " + card + noEffort},
	{[]string{"anthropic.claude-3-5"}, effort, 8192, features + caches + "; " + card + noEffort},
	{[]string{"anthropic.claude-3-7"}, effort, 131072, card + ", with its beta for long answers" + noEffort},
	{[]string{"anthropic.claude-3-"}, effort | caching, 4096, features + caches + "; " + card + noEffort},
	{[]string{"anthropic.claude-opus-4-1-", "anthropic.claude-opus-4-1:"}, effort | both, 32000, oneOfTwo + "; " + card + noEffort},
	{[]string{"anthropic.claude-opus-4-5"}, both, 64000, oneOfTwo + "; " + card},
	{[]string{"anthropic.claude-sonnet-4-5", "anthropic.claude-haiku-4-5"}, effort | both, 64000, oneOfTwo + "; " + card + noEffort},
	{[]string{"anthropic.claude-opus-4-6", "anthropic.claude-sonnet-4-6"}, both, 0, oneOfTwo},
	{[]string{"anthropic.claude-opus-4-7", "anthropic.claude-opus-4-8"}, sampling, 0, noSamples},
	{[]string{"anthropic.claude-opus-4-2025"}, effort, 32000, features + "; " + card + noEffort},
	{[]string{"anthropic.claude-sonnet-4-2025"}, effort, 64000, features + "; " + card + noEffort},
	// The fifth generation, 5.5 included, thinks by default, which leaves no choice of sampling.
	{[]string{"anthropic.claude-sonnet-5", "anthropic.claude-opus-5", "anthropic.claude-haiku-5", "anthropic.claude-fable-5", "anthropic.claude-mythos-5"}, sampling, 0, noSamples},

	{[]string{"amazon.nova-micro"}, images | documents, 10000, features + "; Nova's user guide: 10k tokens of output"},
	{[]string{"amazon.nova-lite", "amazon.nova-pro"}, 0, 10000, features + "; Nova's user guide: 10k tokens of output"},
	{[]string{"amazon.nova-"}, 0, 0, features},
	{[]string{"amazon.titan-text-premier"}, topK | caching | system | images | documents | tools | toolStream, 3072, features + "; parameters of Titan's text models"},
	{[]string{"amazon.titan-text-lite"}, topK | caching | system | images | tools | toolStream, 4096, features + "; parameters of Titan's text models"},
	{[]string{"amazon.titan-text", "amazon.titan-tg1"}, topK | caching | system | images | tools | toolStream, 8192, features + "; parameters of Titan's text models"},

	{[]string{"meta.llama2", "meta.llama3-8b", "meta.llama3-70b"}, stops | topK | caching | images | tools | toolStream, 2048, features + "; langchain-aws #62: no stop sequences"},
	{[]string{"meta.llama3-2-1b", "meta.llama3-2-3b"}, topK | caching | images | tools | toolStream, 0, features},
	{[]string{"meta.llama3-2-", "meta.llama4"}, topK | caching | toolStream, 0, noStream},
	{[]string{"meta.llama"}, topK | caching | images | toolStream, 0, noStream},

	{[]string{"mistral.mistral-7b", "mistral.mixtral-8x7b"}, caching | system | images | tools | toolStream, 0, features},
	{[]string{"mistral.mistral-large-2402", "mistral.mistral-small-2402"}, caching | images | toolStream, 0, noStream},
	{[]string{"mistral."}, caching, 0, features},
	{[]string{"cohere.command-text", "cohere.command-light"}, caching | system | images | tools | toolStream, 0, features},
	{[]string{"cohere.command"}, caching | images, 0, features},
	{[]string{"ai21.jamba-instruct"}, caching | images | documents | tools | toolStream, 0, features},
	{[]string{"ai21.j2"}, caching | system | images | documents | tools | streams | toolStream, 0, features},
	{[]string{"ai21."}, caching | images, 0, features},
	{[]string{"deepseek.r1"}, caching | images | tools | toolStream, 0, features},
	{[]string{"deepseek."}, caching | images, 0, features},
	{[]string{"openai.gpt-oss"}, stops | caching | images, 0, noStop},
	{[]string{"qwen."}, stops | caching, 0, noStop},
}

// CapabilitiesOf looks a model up, by its id, the id of an inference profile of it, or an
// ARN that has one of them. What is not in the table takes everything.
func CapabilitiesOf(model string) Capabilities {
	name := ModelName(model)
	r := row{}
	if i := slices.IndexFunc(rows, func(r row) bool {
		return slices.ContainsFunc(r.ids, func(id string) bool { return strings.HasPrefix(name, id) })
	}); i >= 0 {
		r = rows[i]
	}
	has := func(l lacks) bool { return r.lacks&l == 0 }
	return Capabilities{
		Family: Family(model), Source: r.source, MaxOutput: r.most,
		Temperature: has(temperature), TopP: has(topP), TopK: has(topK), BothSampling: has(both),
		Stop: has(stops), BlankStops: Family(model) != "anthropic", Effort: has(effort), CachePoints: has(caching),
		System: has(system), Images: has(images), Documents: has(documents),
		Tools: has(tools), Streaming: has(streams), ToolStreaming: has(toolStream),
	}
}
