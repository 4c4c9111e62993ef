package lambdaapp_test

import (
	"testing"

	"github.com/forebay-ai/forebay/internal/lambdaapp"
)

// The collector has room within the function's memory, and what the environment says holds.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		environ map[string]string
		percent int
		limit   int64
	}{
		{map[string]string{}, 100, -1},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, 400, 402_653_175},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}, 400, 100_663_275},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "0"}, 100, -1},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "GOGC": "100"}, 100, -1},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "GOMEMLIMIT": "256MiB"}, 100, -1},
	} {
		if percent, limit := lambdaapp.Memory(func(name string) string { return c.environ[name] }, 100); percent != c.percent || limit != c.limit {
			t.Errorf("%v: %d %d", c.environ, percent, limit)
		}
	}
}
