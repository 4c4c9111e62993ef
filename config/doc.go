// Package config turns a YAML file, the environment, flags and a profile into a
// forebay.Config, with the providers that it names, and into the settings of the
// binary around it: listeners, callers' keys, log.
//
// It is strict. An unknown key, a value of the wrong type or out of range, a name
// that nothing defines, a variable that is not set: each is a Fault with file,
// line, column, the reason and the fix, and all of them are reported at once.
// Nothing is skipped with a warning that would change what was asked for.
//
// A flag wins over the environment, that over the file, that over the profile,
// and that over the default; File.Origins tells where each value came from.
// Without a file, the environment of an OpenAI SDK (OPENAI_API_KEY,
// OPENAI_BASE_URL) or a list of upstreams is a whole configuration.
//
// One table, in keys.go, has every key with its type, bounds, default,
// environment variable and meaning. Reading, origins and the reference page
// (docs/reference/configuration.md) all come from it. Profiles are YAML files of
// the same keys under profiles/.
//
// The package opens no connection and starts nothing. It prints no secret: neither
// in faults, whose excerpts of the file are masked, nor in origins.
//
// The package is long on purpose: it has every setting of the product, and how each is
// read, and little else.
package config

//go:generate go test -run ^TestReferencePage$ -update
