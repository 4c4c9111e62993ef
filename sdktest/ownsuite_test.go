package sdktest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ownTests are the tests of openai-go itself that concern what the gateway serves.
var ownTests = []string{
	"TestChatCompletionNewWithOptionalParams",
	"TestChatCompletionGet",
	"TestChatCompletionUpdate",
	"TestChatCompletionListWithOptionalParams",
	"TestChatCompletionDelete",
	"TestChatCompletionMessageListWithOptionalParams",
	"TestEmbeddingNewWithOptionalParams",
}

// TestOpenAIGoOwnSuite runs openai-go's own tests for chat and embeddings, which are
// part of its module, against the gateway in the place of the server that its
// authors use.
func TestOpenAIGoOwnSuite(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	// The bound is for compiling the tests, which takes minutes the first time.
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-vet=off",
		"-run", "^("+strings.Join(ownTests, "|")+")$", "github.com/openai/openai-go/v3")
	cmd.Env = append(os.Environ(), "TEST_API_BASE_URL="+r.gateway.url+"/v1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	passed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^--- PASS: (\w+) `).FindAllStringSubmatch(string(out), -1) {
		passed[m[1]] = true
	}
	for _, name := range ownTests {
		if !passed[name] {
			t.Errorf("%s did not pass", name)
		}
	}
}
