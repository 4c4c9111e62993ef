// Command forebay-lambda is the gateway as a Lambda function, for provided.al2023: behind
// a Function URL, API Gateway or a load balancer, for direct invocations, and as the worker of
// durable jobs. It only connects the process to package lambdaapp. Build it with
// CGO_ENABLED=0 GOOS=linux GOARCH=arm64 and -tags lambda.norpc, as bootstrap.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/internal/lambdaapp"
)

func main() {
	started := lambdaapp.ProcessStart()
	// A start allocates some megabytes and keeps most of them: collecting meanwhile is time
	// that the first caller waits for.
	usual := debug.SetGCPercent(-1)
	app, err := lambdaapp.Open(context.Background(), lambdaapp.Options{Environ: os.Environ(), Started: started, Log: os.Stderr})
	if err != nil {
		lambdaapp.FailInit(os.Getenv("AWS_LAMBDA_RUNTIME_API"), err)
		fmt.Fprintln(os.Stderr, "forebay-lambda:", err)
		os.Exit(1)
	}
	percent, limit := lambdaapp.Memory(os.Getenv, usual)
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
	awslambda.Start(app.Function())
}
