package form_test

import (
	"testing"

	"github.com/forebay-ai/forebay/gateway/form"
)

func TestNamesS3(t *testing.T) {
	for body, want := range map[string]bool{
		`{"messages":[{"role":"user","content":[{"document":{"source":{"s3Location":{"uri":"s3://b/k"}}}}]}]}`:             true,
		`{"messages":[{"content":[{"video":{"source":{"s3\u004cocation":{"uri":"s3://b/k"}}}}]}]}`:                         true,
		`{"messages":[{"content":[{"video":{"s\u006furce":{"s3Location":{}}}}]}]}`:                                         true,
		`{"messages":[{"content":[{"text":"\"source\":{\"s3Location\":{}}"}]}]}`:                                           false,
		`{"messages":[{"content":[{"text":"/source/s3Location"}]}]}`:                                                       false,
		`{"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"properties":{"s3Location":{"type":"string"}}}}}}]}}`: false,
		`{"source":"s3Location"}`: false,
		`{}`:                      false,
	} {
		if got := form.NamesS3([]byte(body)); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}
