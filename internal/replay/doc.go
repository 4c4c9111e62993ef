// Package replay sends a recorded trace of calls to a running gateway at the
// recorded arrival times and reports what became of every one of them.
//
// It is an open loop: a call starts when the trace says so, whether or not
// earlier ones have been answered, and its latency counts from that intended
// start. So a gateway that stalls cannot hide the stall by slowing its callers
// down (coordinated omission). Every call of the trace ends in exactly one
// class, and Report.Check proves that none was lost.
//
// Traces hold times and sizes, never texts: prompts are made up here, of the
// recorded size and the same for the same seed. The package reads no
// configuration and prints nothing but Report.WriteTable; flags, the progress
// bar and files belong to the command.
package replay
