package jobs

import (
	"bytes"
	"testing"
)

// FuzzPayload checks that what was encoded comes back, and that other bytes are refused
// or read, and never more than there is.
func FuzzPayload(f *testing.F) {
	f.Add([]byte{sealVersion, 1, 'a', 'b'}, "https://x")
	f.Add([]byte{sealVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "")
	f.Fuzz(func(t *testing.T, b []byte, webhook string) {
		address, payload, err := parsePayload(appendPayload(nil, webhook, b))
		if err != nil || address != webhook || !bytes.Equal(payload, b) {
			t.Errorf("%q %q came back as %q %q, %v", webhook, b, address, payload, err)
		}
		if address, payload, err := parsePayload(b); err == nil && len(address)+len(payload) > len(b) {
			t.Errorf("%q %q out of %q", address, payload, b)
		}
	})
}
