// Package connect says how AWS is reached: region, credentials, certificates and endpoints,
// and one pool of connections for all clients of a process. It has no client of any service:
// package awsclient has some, and every NewFromConfig of the SDK takes what Load gives.
//
// Load reads the environment and AWS's files, and looks for credentials as every SDK does.
// In a program that is built for Lambda, with the tag lambda.norpc, it is FromEnvironment:
// Lambda puts region and credentials into the environment, and the chain that would look
// for them elsewhere, with its clients of STS, SSO and sign-in, takes milliseconds of each
// cold start and two megabytes of the binary.
//
// The pool keeps as many idle connections as there may be calls at a time, resumes TLS
// sessions, replaces connections when they get old or the process was frozen, and counts
// what it does (Stats).
package connect
