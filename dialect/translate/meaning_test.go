package translate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// meaning is what a request asks, or an answer says, in words of neither format. It is
// read with encoding/json and by rules of its own, so that it is an oracle.
type meaning struct {
	System []string
	Turns  []turnMeaning
	Tools  []string
	Params map[string]string
}

type turnMeaning struct {
	Role   string
	Blocks []string
}

func (m *meaning) add(role string, blocks ...string) {
	if len(blocks) == 0 {
		return
	}
	if n := len(m.Turns); n > 0 && m.Turns[n-1].Role == role {
		m.Turns[n-1].Blocks = append(m.Turns[n-1].Blocks, blocks...)
		return
	}
	m.Turns = append(m.Turns, turnMeaning{role, blocks})
}

func (m *meaning) param(name string, v any) {
	if v == nil {
		return
	}
	if m.Params == nil {
		m.Params = map[string]string{}
	}
	b, _ := json.Marshal(v)
	m.Params[name] = string(b)
}

type object = map[string]any

func parsed(body []byte) object {
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		panic(fmt.Sprintf("%v: %s", err, body))
	}
	return o
}

func obj(v any) object       { o, _ := v.(object); return o }
func list(v any) []any       { l, _ := v.([]any); return l }
func str(v any) string       { s, _ := v.(string); return s }
func js(v any) string        { b, _ := json.Marshal(v); return string(b) }
func dataOf(u string) string { _, d, _ := strings.Cut(u, ";base64,"); return d }

// textBlocks are the texts of a content that say something.
func textBlocks(content any) []string {
	var blocks []string
	say := func(s string) {
		if strings.TrimSpace(s) != "" {
			blocks = append(blocks, "text:"+s)
		}
	}
	say(str(content))
	for _, p := range list(content) {
		part := obj(p)
		switch str(part["type"]) {
		case "text":
			say(str(part["text"]))
		case "refusal":
			say(str(part["refusal"]))
		case "image_url":
			blocks = append(blocks, "image:"+dataOf(str(obj(part["image_url"])["url"])))
		case "file":
			blocks = append(blocks, "document:"+dataOf(str(obj(part["file"])["file_data"])))
		case "input_audio":
			blocks = append(blocks, "audio:"+str(obj(part["input_audio"])["data"]))
		}
	}
	return blocks
}

// chatMeaning reads a chat request; of a whole answer its message counts as one turn.
func chatMeaning(body []byte) *meaning {
	m := &meaning{}
	o := parsed(body)
	for _, v := range list(o["messages"]) {
		m.chatMessage(obj(v))
	}
	for _, v := range list(o["tools"]) {
		f := obj(obj(v)["function"])
		schema := f["parameters"]
		if len(obj(schema)) == 0 {
			schema = object{"type": "object"}
		}
		strict, _ := f["strict"].(bool)
		about := str(f["description"])
		if strings.TrimSpace(about) == "" {
			about = ""
		}
		m.Tools = append(m.Tools, fmt.Sprint(f["name"], about, strict, js(schema)))
	}
	switch c := o["tool_choice"].(type) {
	case string:
		if c == "none" {
			m.Tools = nil
		} else if c != "auto" {
			m.param("choice", c)
		}
	case object:
		m.param("choice", obj(c["function"])["name"])
	}
	for from, to := range map[string]string{"max_tokens": "max", "temperature": "temperature", "top_p": "topP", "reasoning_effort": "effort", "service_tier": "tier", "metadata": "metadata"} {
		m.param(to, o[from])
	}
	m.param("max", o["max_completion_tokens"])
	if s, ok := o["stop"].(string); ok {
		o["stop"] = []any{s}
	}
	m.param("stop", o["stop"])
	if f := obj(o["response_format"]); str(f["type"]) == "json_schema" {
		m.param("schema", obj(f["json_schema"])["schema"])
	}
	return m
}

func (m *meaning) chatMessage(v object) {
	switch role := str(v["role"]); role {
	case "system", "developer":
		m.System = append(m.System, textBlocks(v["content"])...)
	case "tool":
		m.add("user", "result:"+str(v["tool_call_id"])+":"+strings.Join(textBlocks(v["content"]), "|"))
	default:
		m.add(role, textBlocks(v["content"])...)
		if r := str(v["refusal"]); r != "" {
			m.add(role, "text:"+r)
		}
		for _, c := range list(v["tool_calls"]) {
			f := obj(obj(c)["function"])
			var args any = object{}
			if a := str(f["arguments"]); strings.TrimSpace(a) != "" && a != "null" {
				args = parsed([]byte(a))
			}
			m.add(role, "call:"+str(obj(c)["id"])+":"+str(f["name"])+":"+js(args))
		}
	}
}

// called describes the tools that were called by their names.
func (m *meaning) called() (tools []string) {
	for _, t := range m.Turns {
		for _, b := range t.Blocks {
			if call, ok := strings.CutPrefix(b, "call:"); ok {
				name := strings.Split(call, ":")[1]
				tools = append(tools, name+`false{"type":"object"}`)
			}
		}
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}

// converseMeaning reads a call of Converse.
func converseMeaning(body []byte) *meaning {
	m := &meaning{}
	o := parsed(body)
	for _, v := range list(o["system"]) {
		if t, ok := obj(v)["text"]; ok {
			m.System = append(m.System, "text:"+str(t))
		}
	}
	for _, v := range list(o["messages"]) {
		m.add(str(obj(v)["role"]), converseBlocks(list(obj(v)["content"]))...)
	}
	config := obj(o["toolConfig"])
	for _, v := range list(config["tools"]) {
		if s := obj(obj(v)["toolSpec"]); s != nil {
			strict, _ := s["strict"].(bool)
			m.Tools = append(m.Tools, fmt.Sprint(s["name"], str(s["description"]), strict, js(obj(s["inputSchema"])["json"])))
		}
	}
	for kind, v := range obj(config["toolChoice"]) {
		switch kind {
		case "any":
			m.param("choice", "required")
		case "tool":
			m.param("choice", obj(v)["name"])
		}
	}
	inference := obj(o["inferenceConfig"])
	for from, to := range map[string]string{"maxTokens": "max", "temperature": "temperature", "topP": "topP"} {
		m.param(to, inference[from])
	}
	if len(list(inference["stopSequences"])) > 0 {
		m.param("stop", inference["stopSequences"])
	}
	m.param("effort", obj(o["outputConfig"])["effort"])
	m.param("tier", obj(o["serviceTier"])["type"])
	m.param("metadata", o["requestMetadata"])
	if s := str(obj(obj(obj(obj(o["outputConfig"])["textFormat"])["structure"])["jsonSchema"])["schema"]); s != "" {
		m.param("schema", parsed([]byte(s)))
	}
	return m
}

func converseBlocks(content []any) []string {
	var blocks []string
	for _, b := range content {
		for kind, v := range obj(b) {
			switch kind {
			case "text":
				if strings.TrimSpace(str(v)) != "" {
					blocks = append(blocks, "text:"+str(v))
				}
			case "citationsContent":
				for _, p := range list(obj(v)["content"]) {
					blocks = append(blocks, "text:"+str(obj(p)["text"]))
				}
			case "document":
				d := obj(v)
				if about := str(d["context"]); about != "" {
					blocks = append(blocks, "text:"+about)
				}
				source := obj(d["source"])
				if b, ok := source["bytes"]; ok {
					blocks = append(blocks, "document:"+str(b))
				} else if text := str(source["text"]); text != "" {
					blocks = append(blocks, "text:"+text)
				}
				for _, c := range list(source["content"]) {
					blocks = append(blocks, "text:"+str(obj(c)["text"]))
				}
			case "image", "audio":
				blocks = append(blocks, kind+":"+str(obj(obj(v)["source"])["bytes"]))
			case "toolUse":
				u := obj(v)
				blocks = append(blocks, "call:"+str(u["toolUseId"])+":"+str(u["name"])+":"+js(u["input"]))
			case "toolResult":
				u := obj(v)
				said := []string{}
				for _, c := range list(u["content"]) {
					if j, ok := obj(c)["json"]; ok {
						said = append(said, "text:"+js(j))
					} else {
						said = append(said, converseBlocks([]any{c})...)
					}
				}
				blocks = append(blocks, "result:"+str(u["toolUseId"])+":"+strings.Join(said, "|"))
			}
		}
	}
	return blocks
}
