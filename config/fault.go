package config

import "github.com/forebay-ai/forebay/config/internal/settings"

// Fault is one thing that is wrong with the configuration: where, what, and what
// to do about it.
type Fault = settings.Fault

// Faults is the error of a configuration that cannot be used. Its method Faults
// returns every fault, in the order of the file, then of the environment and flags.
type Faults = settings.Faults
