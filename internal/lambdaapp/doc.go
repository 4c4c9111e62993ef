// Package lambdaapp wires the Lambda function: configuration, client, gateway, durable
// jobs, and what they leave to be written at the end of an invocation.
//
// It differs from package app by what Lambda is. One environment serves one invocation at
// a time and is frozen in between, so that nothing may run there: no server, no alarms
// (they are CloudWatch's), no log of calls, no renewal behind stale answers. What is shared
// or has to last lives in a store; memory is that of one environment, and so is what a
// breaker, a limit or a budget without a store knows. An invocation after a pause first
// finds out what others did meanwhile: budgets here, the cache and the keys by themselves.
//
// Calls go to one client, which lives as long as the environment and keeps the memory
// tier of the cache. What concerns durable jobs goes to clients that are made for one
// invocation: a queue reads the store when it is made, so that it sees what others
// did meanwhile, and runs once. A worker's runs until nothing is due or the time is nearly
// over, and hands its leases back.
package lambdaapp
