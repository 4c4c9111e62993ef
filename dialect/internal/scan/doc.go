// Package scan is the JSON machinery that dialects share: Cursor walks over a text
// and checks its grammar without building anything, Strict refuses what two readers
// could understand differently and says where the fault is, and Node holds a value in
// memory for the few places that rebuild one.
//
// It exists beside jsontext because of two things: the request path reads five of a
// body's members and skips the rest, which a cursor does without an allocation, and
// what is passed on keeps every byte's spelling, which no decoder does. It knows no
// wire format, no member's name and no error of the request path; dialect/... does.
// It does no I/O and keeps no state.
package scan
