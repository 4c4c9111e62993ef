// Package settings reads strict settings: a table of keys says what there may be,
// layers (defaults, profile, file, environment, flags) say what there is, and
// whatever does not fit is a fault with its place, the reason and the fix.
//
// It knows nothing of Forebay's own keys; package config has the table and gives
// the values their meaning. YAML is read into places and plain values first, within
// bounds on size, nesting and aliases, so that no file takes long or much memory.
// Excerpts in faults are masked: values of secret keys, of unknown keys and of what
// could not be read are never shown.
package settings
