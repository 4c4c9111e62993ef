package translate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
)

// drawnText is a text that says something: with quotes, escapes and characters of all kinds.
func drawnText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"a", "Ünï", "\"\\\n", "😀", "<x> & </x>", "data:", "{[", "null"}).Draw(t, "first") + rapid.String().Draw(t, "rest")
	})
}

func drawnObject(t *rapid.T) object {
	o := object{}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		o[rapid.SampledFrom([]string{"city", "a b", "ü", ""}).Draw(t, "name")] = rapid.SampledFrom([]any{"x", 1.5, true, nil, []any{"y", object{"z": 1.0}}}).Draw(t, "value")
	}
	return o
}

// drawnChat draws a chat completion that loses nothing on its way to Converse.
func drawnChat() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		var messages []any
		say := func(m object) { messages = append(messages, m) }
		for i := range rapid.IntRange(0, 2).Draw(t, "system messages") {
			say(object{"role": []string{"system", "developer"}[i], "content": drawnContent(t, false)})
		}
		calls := 0
		for range rapid.IntRange(1, 5).Draw(t, "turns") {
			say(object{"role": "user", "content": drawnContent(t, true)})
			m := object{"role": "assistant", "content": drawnContent(t, false)}
			if n := rapid.IntRange(0, 3).Draw(t, "calls"); n > 0 {
				var list []any
				for range n {
					calls++
					arguments, _ := json.Marshal(drawnObject(t))
					list = append(list, object{"id": fmt.Sprintf("call-%d_x", calls), "type": "function", "function": object{"name": "tool", "arguments": string(arguments)}})
				}
				m["tool_calls"] = list
				if rapid.Bool().Draw(t, "no text") {
					m["content"] = nil
				}
				say(m)
				for i := range n {
					say(object{"role": "tool", "tool_call_id": fmt.Sprintf("call-%d_x", calls-n+1+i), "content": drawnContent(t, false)})
				}
			} else {
				say(m)
			}
		}
		say(object{"role": "user", "content": drawnContent(t, true)})
		o := object{"model": "m", "messages": messages}
		o["tools"] = []any{object{"type": "function", "function": object{"name": "tool", "description": drawnText().Draw(t, "description"), "parameters": drawnObject(t), "strict": rapid.Bool().Draw(t, "strict")}}}
		for name, values := range map[string][]any{
			"tool_choice": {"auto", "required", object{"type": "function", "function": object{"name": "tool"}}}, "max_tokens": {1, 4096.0}, "max_completion_tokens": {7},
			"temperature": {0, 0.5, 1.0}, "top_p": {0.25}, "stop": {"x", []any{"y", "z"}}, "reasoning_effort": {"low", "high"}, "service_tier": {"default", "flex", "priority"},
			"response_format": {object{"type": "json_schema", "json_schema": object{"name": "n", "schema": object{"type": "object", "required": []any{"a"}}}}},
		} {
			if rapid.Bool().Draw(t, name) {
				o[name] = rapid.SampledFrom(values).Draw(t, name+" value")
			}
		}
		body, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return body
	})
}

// drawnContent draws a content: a text, or parts of which some say nothing.
func drawnContent(t *rapid.T, media bool) any {
	if rapid.Bool().Draw(t, "string") {
		return drawnText().Draw(t, "text")
	}
	parts := []any{object{"type": "text", "text": drawnText().Draw(t, "text")}}
	for range rapid.IntRange(0, 3).Draw(t, "more parts") {
		kinds := []object{{"type": "text", "text": rapid.SampledFrom([]string{"", " \n", "more"}).Draw(t, "text")}}
		if media {
			kinds = append(kinds,
				object{"type": "image_url", "image_url": object{"url": "data:image/png;base64,QUJD"}},
				object{"type": "file", "file": object{"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUI="}},
				object{"type": "input_audio", "input_audio": object{"data": "QQ==", "format": "wav"}})
		}
		parts = append(parts, rapid.SampledFrom(kinds).Draw(t, "part"))
	}
	return parts
}

// TestChatKeepsItsMeaning translates drawn requests to Converse and back.
func TestChatKeepsItsMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawnChat().Draw(t, "body")
		there, dropped, err := translate.ChatToConverse(chatRequest(string(body)))
		if err != nil || len(dropped) > 0 {
			t.Fatalf("dropped %v, error %v", dropped, err)
		}
		want := chatMeaning(body)
		if diff := cmp.Diff(want, converseMeaning(there)); diff != "" {
			t.Fatalf("(-chat +converse):\n%s", diff)
		}
		roles := ""
		for _, m := range list(parsed(there)["messages"]) {
			roles += str(obj(m)["role"]) + " "
			for _, b := range list(obj(m)["content"]) {
				if text, ok := obj(b)["text"]; ok && strings.TrimSpace(str(text)) == "" {
					t.Fatal("a blank text, which Bedrock refuses")
				}
			}
		}
		if strings.Contains(roles, "user user") || strings.Contains(roles, "assistant assistant") || !strings.HasPrefix(roles, "user") {
			t.Fatalf("roles do not alternate: %s", roles)
		}
		back, dropped, err := translate.ConverseToChat(converseRequest(string(there), false), "m")
		if err != nil || len(dropped) > 0 {
			t.Fatalf("back: dropped %v, error %v", dropped, err)
		}
		if diff := cmp.Diff(want, chatMeaning(back)); diff != "" {
			t.Fatalf("(-chat +chat):\n%s", diff)
		}
		if again, _, _ := translate.ChatToConverse(chatRequest(string(body))); string(again) != string(there) {
			t.Fatal("the same request became another body")
		}
		if _, err := bedrock.ParseConverse(there); err != nil {
			t.Fatalf("the dialect refuses the body: %v", err)
		}
		if _, err := openai.ParseChat(back); err != nil {
			t.Fatalf("the dialect refuses the body: %v", err)
		}
	})
}

// drawnEvents draws a Converse stream, and the events' order is Bedrock's.
func drawnEvents(t *rapid.T) (stream []byte, text string) {
	emit := func(kind string, payload object) {
		stream = bedrock.AppendEvent(stream, kind, []byte(js(payload)))
	}
	emit("messageStart", object{"role": "assistant"})
	calls := 0
	for i := range rapid.IntRange(0, 6).Draw(t, "blocks") {
		kind := rapid.SampledFrom([]string{"text", "tool", "reason"}).Draw(t, "kind")
		if kind == "tool" {
			calls++
			emit("contentBlockStart", object{"contentBlockIndex": i, "start": object{"toolUse": object{"toolUseId": fmt.Sprint("t", i), "name": "f"}}})
		}
		deltas := rapid.IntRange(1, 3)
		if kind == "tool" {
			deltas = rapid.SampledFrom([]int{0, 3}) // arguments are whole, or there are none
		}
		for n := range deltas.Draw(t, "deltas") {
			piece := drawnText().Draw(t, "piece")
			delta := object{"text": piece}
			switch kind {
			case "text":
				text += piece
			case "tool":
				delta = object{"toolUse": object{"input": []string{`{"x":`, `1`, `}`}[n]}}
			case "reason":
				delta = object{"reasoningContent": object{"text": piece}}
			}
			emit("contentBlockDelta", object{"contentBlockIndex": i, "delta": delta, "p": "abc"})
		}
		if kind == "reason" {
			emit("contentBlockDelta", object{"contentBlockIndex": i, "delta": object{"reasoningContent": object{"signature": "s"}}})
		}
		emit("contentBlockStop", object{"contentBlockIndex": i})
	}
	stop := rapid.SampledFrom([]string{"end_turn", "max_tokens", "stop_sequence"}).Draw(t, "stop")
	if calls > 0 {
		stop = "tool_use"
	}
	emit("messageStop", object{"stopReason": stop})
	n := rapid.IntRange(0, 1<<20)
	emit("metadata", object{"metrics": object{"latencyMs": 1}, "usage": object{"inputTokens": n.Draw(t, "in"), "outputTokens": n.Draw(t, "out"), "cacheReadInputTokens": n.Draw(t, "read"), "cacheWriteInputTokens": n.Draw(t, "write")}})
	return stream, text
}

// TestStreamsKeepTheirMeaning translates drawn streams to chat and back.
func TestStreamsKeepTheirMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		stream, text := drawnEvents(rt)
		want := converseSays(wholeOf(t, bedrock.Converse{}, stream, true))
		if want.Text != text {
			rt.Fatalf("the dialect reads %q, want %q", want.Text, text)
		}
		byteWise := rapid.Bool().Draw(rt, "byte by byte")
		res, whole := throughConverse(t, stream, true, byteWise, text)
		if diff := cmp.Diff(want, chatSays(whole)); diff != "" {
			rt.Fatalf("(-converse +chat):\n%s", diff)
		}
		_, back := throughChat(t, res.Body, true, byteWise, text)
		got := converseSays(back)
		got.Signature = want.Signature
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-converse +converse):\n%s", diff)
		}
	})
}
