// Package head says what stands in the head of every answer of the gateway: request
// ids, trace contexts, and the texts of the headers that tell what the cache did, where
// the time went and what the call cost. All of it is a function of its arguments, but
// for ids, which are drawn.
package head
