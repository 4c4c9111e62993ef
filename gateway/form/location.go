package form

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// locationInS3 is where Converse, and bodies of models that are like it, name an object in
// S3 in place of its bytes.
// TwelveLabs' models call the member mediaSource.
const (
	locationInS3      = "/source/s3Location"
	mediaLocationInS3 = "/mediaSource/s3Location"
)

func inS3(pointer string) bool {
	return strings.HasSuffix(pointer, locationInS3) || strings.HasSuffix(pointer, mediaLocationInS3)
}

// NamesS3 says that a body names an object in S3 as part of its prompt: Bedrock would read
// it with the rights of whoever signs the call, which are not the caller's. The body has
// been read strictly before.
func NamesS3(body []byte) bool {
	if !bytes.Contains(body, []byte("s3Location")) && !bytes.Contains(body, []byte(`\u`)) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return false // its end
		}
		if t.Kind() == '"' && t.String() == "s3Location" && inS3(string(d.StackPointer())) {
			return true
		}
	}
}
