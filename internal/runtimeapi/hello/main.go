// Command hello is the least that a Lambda function in Go can be: it streams a greeting to
// a Function URL. Measurements set others beside it.
package main

import (
	"context"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context, *events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
		return &events.LambdaFunctionURLStreamingResponse{StatusCode: 200, Body: strings.NewReader("hello")}, nil
	})
}
