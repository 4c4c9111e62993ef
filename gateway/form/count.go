package form

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Counted reads the body of Bedrock's CountTokens: the body of a call of Converse or, of
// the model's own, of InvokeModel, whose tokens are to be counted. What is in it is not read.
func Counted(body []byte) (inner []byte, invoke bool, err error) {
	var in struct {
		Input struct {
			Converse    jsontext.Value `json:"converse"`
			InvokeModel *struct {
				Body []byte `json:"body"`
			} `json:"invokeModel"`
		} `json:"input"`
	}
	if err := Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	switch converse := in.Input.Converse; {
	case in.Input.InvokeModel != nil && converse == nil:
		return in.Input.InvokeModel.Body, true, nil
	case in.Input.InvokeModel == nil && converse.Kind() == '{':
		return converse, false, nil
	}
	return nil, false, Member("input", "has to be one of converse and invokeModel", `Send {"input": {"converse": {"messages": ...}}} or {"input": {"invokeModel": {"body": BASE64}}}.`)
}
