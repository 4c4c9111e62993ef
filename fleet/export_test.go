package fleet

import (
	"context"
	"time"
)

// Step beats once at a time of the test's.
func (f *Fleet) Step(ctx context.Context, now time.Time) error { return f.step(ctx, now) }
