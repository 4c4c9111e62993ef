// Package awsclient makes the clients of AWS that one process uses, once: Load reads region,
// credentials and certificates from the environment as every AWS SDK does, and New gives a
// Set, which has one client for each service over one pool of connections. How AWS is
// reached, and the pool, are package connect's: a program that needs one service only starts
// faster with that and the SDK's own NewFromConfig.
//
// A Set is made at the start of a process, which on Lambda is the cold start, and handed
// on: there is no package-level one. Prewarm resolves credentials and opens connections
// before the first call needs them; WithConnectionPool puts a Set into the context of each
// invocation, and throws away connections that died while the process was frozen.
package awsclient
