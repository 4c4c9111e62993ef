// Package queue decides who calls a target next when not everybody can.
//
// A Line is the waiting line of one target, in memory: a request enters, takes a
// slot at once if one is free, else waits in its place until a slot, the end of its
// context or its deadline, or is refused when there is no room or no hope. The
// caller keeps its connection meanwhile, and may ask where it stands (llm.Waiting);
// the line is gone with the process.
//
// Jobs that outlast the process (package backlog) come here when they have been
// claimed, as durable entries. So there is one order for all who want a slot.
//
// Who comes next (type order, a pure data structure that knows no clock):
//
//   - Each band of priority has an offset. The band whose oldest request has the
//     smallest arrival time + offset goes first, so that waiting raises a claim and
//     no band starves.
//   - Critical requests keep a share of the slots handed out while they wait,
//     however old the others are, and each other band is sure of a small share.
//   - Within a band tenants take turns (deficit round robin with one request as the
//     quantum), and the requests of one tenant come in their order of arrival.
//
// Refusal is decided by time, not by number alone: the estimated wait is the place
// in that order times the mean time a slot is held, over the slots in use.
//
// Under sustained overload the deadlines alone would let everybody wait for as long
// as his deadline allows. There the delay of each band is controlled (type delay, a
// variant of CoDel): the newest of a tenant goes first, and whoever can not have a
// slot soon is told so at once. Durable entries stay first in, first out.
//
// The package does not count slots (package limit does), does not call anybody and
// starts no goroutine.
package queue
