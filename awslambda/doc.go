// Package awslambda lets an http.Handler, above all the gateway, and a worker of durable
// jobs run as a Lambda function.
//
// A Function is one handler for every event that such a function gets, told apart by
// their shape (Shape):
//
//   - pings that keep an environment warm, seen first and answered without touching
//     anything else, so that they are in no metric and cost nothing;
//   - HTTP: Function URLs (streamed, or whole), API Gateway's HTTP and REST APIs (the
//     latter streamed where it is set up so), Application Load Balancers;
//   - direct invocations in the specification's form, {"operation": …, "payload": …},
//     which go the way of POST /v1/operations/{operation};
//   - what tells a worker to look for jobs: schedules of EventBridge, records of a DynamoDB
//     stream, {"forebay": {"work": true}}.
//
// Every other event is refused with an error that names these.
//
// Lambda freezes the process between invocations, so nothing runs then: the handler, its
// stream and the worker have ended before the next event is asked for, and Config.Flush
// has written what was measured. An answer that was begun and fails ends with an error,
// never as if it were whole. The time that an invocation has bounds its call, less
// Config.Margin, so that the answer, or the error, still goes out.
//
// The package knows nothing of configuration, models and stores: internal/lambdaapp wires
// it for cmd/forebay-lambda. Programs of their own use New and Start with any
// http.Handler. Build them with -tags lambda.norpc for provided.al2023.
package awslambda
