// Package awsclient makes the clients of AWS that one process uses, once: Load reads region,
// credentials and certificates from the environment as every AWS SDK does, and New gives a
// Set, which has one client for each service over one pool of connections.
//
// A Set is made at the start of a process, which on Lambda is the cold start, and handed
// on: there is no package-level one. Prewarm resolves credentials and opens connections
// before the first call needs them; WithConnectionPool puts a Set into the context of each
// invocation, and throws away connections that died while the process was frozen.
//
// The pool keeps as many idle connections as there may be calls at a time, resumes TLS
// sessions, replaces connections when they get old, and counts what it does (Stats).
package awsclient
