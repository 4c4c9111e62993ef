package form_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/gateway/form"
)

// What a header asks for where no model hears it is refused, in whichever of its values it
// stands; what is about a guardrail also where it is not known.
func TestNoSettings(t *testing.T) {
	const (
		guard, version = "X-Amzn-Bedrock-GuardrailIdentifier", "X-Amzn-Bedrock-GuardrailVersion"
		trace, tier    = "X-Amzn-Bedrock-Trace", "X-Amzn-Bedrock-Service-Tier"
		latency        = "X-Amzn-Bedrock-PerformanceConfig-Latency"
	)
	for _, c := range []struct {
		pairs [][2]string
		want  string // the header that is refused, if any
	}{
		{nil, ""},
		{[][2]string{{guard, ""}, {version, ""}, {trace, "DISABLED"}, {tier, "default"}, {latency, "standard"}}, ""},
		{[][2]string{{trace, ""}, {trace, "DISABLED"}}, ""},
		{[][2]string{{"X-Amzn-Bedrock-Accept", "*/*"}, {"X-Amzn-Bedrock-Request-Metadata", "{}"}, {"X-Guardrail", "1"}}, ""},
		{[][2]string{{guard, "g1"}}, guard},
		{[][2]string{{guard, ""}, {guard, "g1"}}, guard},
		{[][2]string{{guard, "g1"}, {guard, ""}}, guard},
		{[][2]string{{trace, "DISABLED"}, {trace, "ENABLED"}}, trace},
		{[][2]string{{tier, "default"}, {tier, ""}, {tier, "flex"}}, tier},
		{[][2]string{{latency, "standard, optimized"}}, latency},
		{[][2]string{{version, "DEFAULT"}}, version},
		{[][2]string{{"X-Amzn-Bedrock-GuardrailFoo", "1"}}, "X-Amzn-Bedrock-GuardrailFoo"},
		{[][2]string{{"x-amzn-bedrock-guardrail-strength", ""}}, "X-Amzn-Bedrock-Guardrail-Strength"},
		{[][2]string{{"X-Amzn-Bedrock-Guardrail", "1"}}, "X-Amzn-Bedrock-Guardrail"},
		{[][2]string{{trace, "ENABLED"}, {version, "2"}, {guard, "g1"}, {tier, "flex"}}, guard}, // the first by name
	} {
		h := http.Header{"Content-Type": {"application/json"}}
		for _, p := range c.pairs {
			h.Add(p[0], p[1])
		}
		err := form.NoSettings(h, "converse")
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.pairs, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%v is taken", c.pairs)
			continue
		}
		refused(t, err)
		if !strings.Contains(err.Error(), "the header "+strings.ToLower(c.want)+" is not for converse") {
			t.Errorf("%v: %v", c.pairs, err)
		}
	}
}
