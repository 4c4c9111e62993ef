package llm

import "log/slog"

// Secret is a string that does not print itself: every way of formatting,
// logging or encoding it gives "***". Reveal is the one way to the value.
type Secret string

const redacted = "***"

// Reveal returns the value. Call it where the value leaves the process, nowhere else.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return redacted }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON, YAML and maps alike.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
