// Package simulated is a model back end without a model. It answers every
// request with words drawn from the request's hash: the same request gets the
// same answer, the same usage and the same latency, in this process and in the
// next one. It has a capacity, and faults can be planned for it.
//
// It serves two ways: as a llm.Provider within the process, and over sockets as
// an upstream that speaks the OpenAI protocol (Handler), with a log of calls and
// routes to change its behaviour while it runs.
//
// Everything it says is labelled: texts begin with "[simulated]", answers carry
// the header x-simulated and the fingerprint "simulated", its models are owned by
// "simulated". It understands nothing, keeps nothing that it is sent, and has no
// access control: serve it on loopback only.
package simulated
