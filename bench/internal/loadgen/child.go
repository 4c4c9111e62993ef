package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// RunIn runs s in a process of its own, which cmd starts and which has to call Serve:
// what the load costs then cannot be taken for what anything else costs.
func RunIn(ctx context.Context, cmd *exec.Cmd, s Spec) (*Result, error) {
	in, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errOut
	child, err := proc.Start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case <-child.Done():
	case <-ctx.Done():
		child.Stop()
	}
	if err := child.Wait(); err != nil {
		return nil, fmt.Errorf("load generator: %w: %s", err, errOut.Bytes())
	}
	var res Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		return nil, fmt.Errorf("load generator: %w", err)
	}
	return &res, nil
}

// Serve is the child of RunIn: it reads a Spec, runs it and writes the Result.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var spec Spec
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return err
	}
	res, err := Run(ctx, spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(res)
}
