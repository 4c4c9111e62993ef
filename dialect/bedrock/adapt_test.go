package bedrock_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

func TestModelNames(t *testing.T) {
	for _, c := range []struct {
		id, name, family string
		embeddings       bool
	}{
		{"anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic", false},
		{"eu.anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "anthropic", false},
		{"us-gov.anthropic.claude-x", "anthropic.claude-x", "anthropic", false},
		{"global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0", "amazon.nova", false},
		{"apac.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "amazon.nova", false},
		{"jp.anthropic.x", "anthropic.x", "anthropic", false},
		{"au.anthropic.x", "anthropic.x", "anthropic", false},
		{"arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0", "meta.llama3-8b-instruct-v1:0", "meta", false},
		{"arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic", false},
		{"arn:aws:bedrock:eu-central-1:012345678901:application-inference-profile/abc123", "arn:aws:bedrock:eu-central-1:012345678901:application-inference-profile/abc123", "", false},
		{"arn:aws:sagemaker:us-east-1:1:endpoint/endpoint-quick-start", "arn:aws:sagemaker:us-east-1:1:endpoint/endpoint-quick-start", "", false},
		{"arn:broken", "arn:broken", "", false},
		{"amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2:0", "amazon.titan-embed", true},
		{"amazon.titan-tg1-large", "amazon.titan-tg1-large", "amazon.titan-text", false},
		{"amazon.rerank-v1:0", "amazon.rerank-v1:0", "amazon", false},
		{"eu.cohere.embed-v4:0", "cohere.embed-v4:0", "cohere", true},
		{"amazon.nova-2-multimodal-embeddings-v1:0", "amazon.nova-2-multimodal-embeddings-v1:0", "amazon.nova", true},
		{"openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0", "openai", false},
		{"gpt-4o", "gpt-4o", "", false},
		{"", "", "", false},
	} {
		if name, family, e := bedrock.ModelName(c.id), bedrock.Family(c.id), bedrock.IsEmbeddings(c.id); name != c.name || family != c.family || e != c.embeddings {
			t.Errorf("%s: %s, %s, %v", c.id, name, family, e)
		}
	}
}

func TestCapabilities(t *testing.T) {
	everything := bedrock.Capabilities{
		Temperature: true, TopP: true, TopK: true, BothSampling: true, Stop: true, BlankStops: true, Effort: true, CachePoints: true,
		System: true, Images: true, Documents: true, Tools: true, Streaming: true, ToolStreaming: true,
	}
	for _, id := range []string{"", "gpt-4o", "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"} {
		if diff := cmp.Diff(everything, bedrock.CapabilitiesOf(id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	for _, c := range []struct {
		id    string
		check func(bedrock.Capabilities) bool
	}{
		{"anthropic.claude-3-haiku-20240307-v1:0", func(c bedrock.Capabilities) bool { return c.MaxOutput == 4096 && !c.CachePoints && c.Images && c.Tools }},
		{"us.anthropic.claude-3-5-haiku-20241022-v1:0", func(c bedrock.Capabilities) bool { return c.MaxOutput == 8192 && c.CachePoints && !c.Images }},
		{"anthropic.claude-3-5-sonnet-20240620-v1:0", func(c bedrock.Capabilities) bool { return !c.CachePoints }},
		{"anthropic.claude-3-5-sonnet-20241022-v2:0", func(c bedrock.Capabilities) bool { return c.CachePoints && c.BothSampling }},
		{"eu.anthropic.claude-sonnet-4-20250514-v1:0", func(c bedrock.Capabilities) bool { return c.BothSampling && c.MaxOutput == 64000 }},
		{"us.anthropic.claude-opus-4-1-20250805-v1:0", func(c bedrock.Capabilities) bool { return !c.BothSampling && c.Temperature && c.MaxOutput == 32000 }},
		{"eu.anthropic.claude-haiku-4-5-20251001-v1:0", func(c bedrock.Capabilities) bool { return !c.BothSampling && c.Temperature }},
		{"global.anthropic.claude-opus-4-6-v1", func(c bedrock.Capabilities) bool { return !c.BothSampling && c.Temperature }},
		{"global.anthropic.claude-opus-4-7", func(c bedrock.Capabilities) bool { return !c.Temperature && !c.TopP && !c.TopK }},
		{"us.anthropic.claude-sonnet-5", func(c bedrock.Capabilities) bool { return !c.Temperature && c.Tools }},
		{"eu.anthropic.claude-sonnet-5-5-v1:0", func(c bedrock.Capabilities) bool { return !c.Temperature && !c.TopP && !c.TopK && c.Stop }},
		{"eu.anthropic.claude-haiku-5-5-v1:0", func(c bedrock.Capabilities) bool { return !c.Temperature }},
		{"eu.anthropic.claude-opus-4-5-20251101-v1:0", func(c bedrock.Capabilities) bool { return c.Effort && !c.BothSampling && c.MaxOutput == 64000 }},
		{"eu.anthropic.claude-sonnet-4-5-20250929-v1:0", func(c bedrock.Capabilities) bool { return !c.Effort && !c.BothSampling && c.MaxOutput == 64000 }},
		{"global.anthropic.claude-sonnet-4-6", func(c bedrock.Capabilities) bool { return c.Effort }},
		{"us.anthropic.claude-3-7-sonnet-20250219-v1:0", func(c bedrock.Capabilities) bool { return !c.Effort && c.BothSampling }},
		{"amazon.nova-micro-v1:0", func(c bedrock.Capabilities) bool { return !c.Images && !c.Documents && c.Tools && c.CachePoints }},
		{"eu.amazon.nova-2-lite-v1:0", func(c bedrock.Capabilities) bool { return c.Images && c.MaxOutput == 0 }},
		{"amazon.titan-text-express-v1", func(c bedrock.Capabilities) bool { return !c.System && !c.Tools && c.Temperature && c.Documents }},
		{"us.meta.llama3-3-70b-instruct-v1:0", func(c bedrock.Capabilities) bool { return c.Tools && !c.ToolStreaming && !c.Images }},
		{"us.meta.llama4-scout-17b-instruct-v1:0", func(c bedrock.Capabilities) bool { return c.Tools && !c.ToolStreaming && c.Images }},
		{"us.meta.llama3-2-1b-instruct-v1:0", func(c bedrock.Capabilities) bool { return !c.Tools }},
		{"meta.llama3-8b-instruct-v1:0", func(c bedrock.Capabilities) bool { return !c.Tools && !c.Stop }},
		{"mistral.mistral-7b-instruct-v0:2", func(c bedrock.Capabilities) bool { return !c.System }},
		{"mistral.mistral-large-2407-v1:0", func(c bedrock.Capabilities) bool { return c.ToolStreaming }},
		{"cohere.command-r-v1:0", func(c bedrock.Capabilities) bool { return c.Tools && !c.Images }},
		{"us.deepseek.r1-v1:0", func(c bedrock.Capabilities) bool { return !c.Tools && c.System }},
		{"openai.gpt-oss-120b-1:0", func(c bedrock.Capabilities) bool { return !c.Stop && c.Tools }},
		{"qwen.qwen3-32b-v1:0", func(c bedrock.Capabilities) bool { return !c.Stop }},
	} {
		if got := bedrock.CapabilitiesOf(c.id); !c.check(got) || got.Source == "" {
			t.Errorf("%s: %+v", c.id, got)
		}
	}
}

func TestAdapt(t *testing.T) {
	both := `{"messages":[],"inferenceConfig":{"temperature":0.50,"topP":0.9,"maxTokens":10}}`
	for _, c := range []struct {
		name, model, body, want string
		dropped                 []string
	}{
		{"nothing to do", "eu.anthropic.claude-sonnet-4-20250514-v1:0", both, both, nil},
		{"unknown model", "arn:aws:bedrock:x:1:application-inference-profile/x", both, both, nil},
		{"one of the two", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", both, `{"messages":[],"inferenceConfig":{"temperature":0.50,"maxTokens":10}}`, []string{"inferenceConfig.topP"}},
		{"only top_p", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", `{"inferenceConfig":{"topP":0.9}}`, `{"inferenceConfig":{"topP":0.9}}`, nil},
		{"in two places", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", `{"inferenceConfig":{"temperature":0.5},"additionalModelRequestFields":{"top_p":0.9,"top_k":5}}`, `{"inferenceConfig":{"temperature":0.5},"additionalModelRequestFields":{"top_k":5}}`, []string{"additionalModelRequestFields.top_p"}},
		{"none", "eu.anthropic.claude-sonnet-5-5", both, `{"messages":[],"inferenceConfig":{"maxTokens":10}}`, []string{"inferenceConfig.temperature", "inferenceConfig.topP"}},
		{"the default", "eu.anthropic.claude-sonnet-5-5", `{"inferenceConfig":{"temperature":1.0,"topP":1}}`, `{"inferenceConfig":{}}`, nil},
		{"top_k", "us.anthropic.claude-sonnet-5", `{"additionalModelRequestFields":{"top_k":5,"thinking":{"type":"adaptive"}}}`, `{"additionalModelRequestFields":{"thinking":{"type":"adaptive"}}}`, []string{"additionalModelRequestFields.top_k"}},
		{"null", "us.anthropic.claude-sonnet-5", `{"inferenceConfig":{"temperature":null}}`, `{"inferenceConfig":{"temperature":null}}`, nil},
		{"bound", "anthropic.claude-3-haiku-20240307-v1:0", `{"inferenceConfig":{"maxTokens":9000}}`, `{"inferenceConfig":{"maxTokens":4096}}`, []string{"inferenceConfig.maxTokens"}},
		{"stop", "openai.gpt-oss-20b-1:0", `{"inferenceConfig":{"stopSequences":["x"]}}`, `{"inferenceConfig":{}}`, []string{"inferenceConfig.stopSequences"}},
		{"effort", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", `{"messages":[],"outputConfig":{"effort":"low","textFormat":{"type":"json_schema"}}}`, `{"messages":[],"outputConfig":{"textFormat":{"type":"json_schema"}}}`, []string{"outputConfig.effort"}},
		{"effort alone", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", `{"messages":[],"outputConfig":{"effort":"low"}}`, `{"messages":[]}`, []string{"outputConfig.effort"}},
		{"effort in the model's own words", "anthropic.claude-3-haiku-20240307-v1:0", `{"additionalModelRequestFields":{"output_config":{"effort":"low"}}}`, `{"additionalModelRequestFields":{}}`, []string{"additionalModelRequestFields.output_config.effort"}},
		{"effort in Anthropic's body", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", `{"output_config":{"effort":"low","format":{"type":"json_schema"}}}`, `{"output_config":{"format":{"type":"json_schema"}}}`, []string{"output_config.effort"}},
		{"effort where it is known", "global.anthropic.claude-opus-4-6-v1", `{"outputConfig":{"effort":"low"}}`, `{"outputConfig":{"effort":"low"}}`, nil},
		{"blank stops", "eu.anthropic.claude-sonnet-4-20250514-v1:0", `{"inferenceConfig":{"stopSequences":["a"," \n","b","\u2003",""]}}`, `{"inferenceConfig":{"stopSequences":["a","b"]}}`, []string{"inferenceConfig.stopSequences[1]", "inferenceConfig.stopSequences[3]", "inferenceConfig.stopSequences[4]"}},
		{"blank stops alone", "anthropic.claude-x", `{"stop_sequences":["\n"],"max_tokens":5}`, `{"max_tokens":5}`, []string{"stop_sequences[0]"}},
		{"blank stops elsewhere", "meta.llama4-x", `{"inferenceConfig":{"stopSequences":["\n"]}}`, `{"inferenceConfig":{"stopSequences":["\n"]}}`, nil},
		{
			"cache points", "anthropic.claude-3-haiku-20240307-v1:0",
			`{"system":[{"text":"a"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"cachePoint":{"type":"default"}},{"text":"b"}]}],"toolConfig":{"tools":[{"toolSpec":{}},{"cachePoint":{"type":"default"}}]}}`,
			`{"system":[{"text":"a"}],"messages":[{"role":"user","content":[{"text":"b"}]}],"toolConfig":{"tools":[{"toolSpec":{}}]}}`,
			[]string{"system[1].cachePoint", "toolConfig.tools[1].cachePoint", "messages[0].content[0].cachePoint"},
		},
		{"anthropic's body", "eu.anthropic.claude-opus-4-7", `{"anthropic_version":"b","max_tokens":9,"temperature":0,"top_k":3,"messages":[]}`, `{"anthropic_version":"b","max_tokens":9,"messages":[]}`, []string{"temperature", "top_k"}},
		{"anthropic's marks", "anthropic.claude-3-haiku-20240307-v1:0", `{"max_tokens":5000,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[]}`, `{"max_tokens":4096,"system":[{"type":"text","text":"a"}],"messages":[]}`, []string{"max_tokens", "system[0].cache_control"}},
		{"content stays", "amazon.titan-text-lite-v1", `{"system":[{"text":"a"}],"messages":[]}`, `{"system":[{"text":"a"}],"messages":[]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := conversing(c.body)
			req.Model = c.model
			caps := bedrock.CapabilitiesOf(c.model)
			got, dropped, err := bedrock.Adapt(req, caps, false)
			if diff := cmp.Diff(c.dropped, dropped); diff != "" || err != nil || string(got) != c.want {
				t.Errorf("%s, %v (-want +got):\n%s", got, err, diff)
			}
			if string(req.Body) != c.body {
				t.Error("the request was changed")
			}
			if c.name == "content stays" {
				return
			}
			got, dropped, err = bedrock.Adapt(req, caps, true)
			if len(c.dropped) == 0 {
				if err != nil || string(got) != c.want || dropped != nil {
					t.Errorf("refusing: %s, %v", got, err)
				}
				return
			}
			e := llm.AsError(err)
			if e.Kind != llm.CallerInvalidRequest || e.Param != c.dropped[0] || !strings.Contains(e.Message, c.model) || e.Fix == "" || got != nil {
				t.Errorf("refusing: %v", err)
			}
		})
	}
}

func TestAdaptRefusesContent(t *testing.T) {
	tools := `"toolConfig":{"tools":[{"toolSpec":{}}]}`
	for _, c := range []struct {
		model, body, param string
		stream             bool
	}{
		{"amazon.titan-text-lite-v1", `{"system":[{"text":"a"}],"messages":[]}`, "system", false},
		{"amazon.titan-text-lite-v1", `{"messages":[],` + tools + `}`, "tools", false},
		{"amazon.nova-micro-v1:0", `{"messages":[{"role":"user","content":[{"image":{}}]}]}`, "images", false},
		{"amazon.nova-micro-v1:0", `{"messages":[{"role":"user","content":[{"document":{}}]}]}`, "documents", false},
		{"us.anthropic.claude-3-5-haiku-20241022-v1:0", `{"messages":[{"role":"user","content":[{"type":"image"}]}]}`, "images", false},
		{"us.meta.llama3-3-70b-instruct-v1:0", `{"messages":[],` + tools + `}`, "tools in a streamed answer", true},
		{"us.meta.llama3-3-70b-instruct-v1:0", `{"messages":[],` + tools + `}`, "", false},
		{"ai21.j2-ultra-v1", `{"messages":[]}`, "streaming", true},
	} {
		req := conversing(c.body)
		req.Model, req.Stream = c.model, c.stream
		caps := bedrock.CapabilitiesOf(c.model)
		_, _, err := bedrock.Adapt(req, caps, true)
		if c.param == "" {
			if err != nil {
				t.Errorf("%s: %v", c.model, err)
			}
		} else if e := llm.AsError(err); e.Kind != llm.CallerInvalidRequest || e.Param != c.param {
			t.Errorf("%s: %v", c.model, err)
		}
		if got, dropped, err := bedrock.Adapt(req, caps, false); err != nil || string(got) != c.body || dropped != nil {
			t.Errorf("%s goes on as %s, %v", c.body, got, err)
		}
	}
	bad := conversing(`{`)
	bad.Model = "amazon.titan-text-lite-v1"
	if _, _, err := bedrock.Adapt(bad, bedrock.CapabilitiesOf(bad.Model), false); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Error(err)
	}
}
