package openai_test

import (
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
)

func TestSetModel(t *testing.T) {
	for _, test := range []struct{ name, body, model, want string }{
		{"last", `{"messages":[],"model":"a"}`, "b", `{"messages":[],"model":"b"}`},
		{
			"all else untouched", "{ \"x\" : {\"model\":\"a\"},\n\t\"model\" :\r\n \"a\" , \"seed\":1.50e+2, \"u\":\"\\u00e9\" }\n", "longer-name",
			"{ \"x\" : {\"model\":\"a\"},\n\t\"model\" :\r\n \"longer-name\" , \"seed\":1.50e+2, \"u\":\"\\u00e9\" }\n",
		},
		{"quotes", `{"model":"a"}`, "b\"\\\n", `{"model":"b\"\\\n"}`},
		{"same", `{"model":"a"}`, "a", `{"model":"a"}`},
		{"escaped name", `{"m\u006fdel":"a"}`, "b", `{"m\u006fdel":"b"}`},
		{"not a string", `{"model":{"a":[1]}}`, "b", `{"model":"b"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			got, err := openai.SetModel(body, test.model)
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			}
			if string(body) != test.body {
				t.Errorf("the argument was changed to %s", body)
			}
		})
	}
	for _, test := range []struct{ name, body, param string }{
		{"none", `{"messages":[]}`, "model"},
		{"two", `{"model":"a","model":"b"}`, "model"},
		{"two, one escaped", `{"model":"a","mod\u0065l":"b"}`, "model"},
		{"array", `["model"]`, ""},
		{"cut", `{"model":"a"`, ""},
		{"empty", ``, ""},
		{"too deep", `{"model":"a","x":` + nested(openai.MaxDepth) + `}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := openai.SetModel([]byte(test.body), "b")
			checkRefusal(t, err, test.param, nil)
		})
	}
}

func TestWithoutMember(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"none", `{"model":"a"}`, `{"model":"a"}`},
		{"only", `{ "cache":{"ttl":1} }`, `{  }`},
		{"first", `{"cache":{"ttl":1}, "model":"a"}`, `{ "model":"a"}`},
		{"middle", `{"model":"a" ,"cache":null, "n":1}`, `{"model":"a" , "n":1}`},
		{"last", `{"model":"a" , "cache":[1]}`, `{"model":"a" }`},
		{"deeper ones stay", `{"x":{"cache":1}}`, `{"x":{"cache":1}}`},
		{"no members", `{}`, `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := openai.WithoutMember([]byte(test.body), "cache")
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			}
		})
	}
	if _, err := openai.WithoutMember([]byte(`{"cache":1,"cache":2}`), "cache"); err == nil {
		t.Error("two members of the same name passed")
	}
}
