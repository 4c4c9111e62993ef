package envelope

import (
	"errors"
	"fmt"
	"time"
)

// The defaults of Config.
const (
	defaultMinCompress = 1 << 10
	defaultMaxValue    = 64 << 20
	defaultRotateAfter = 90 * 24 * time.Hour
	defaultMaxOpenKeys = 4096
)

// Config says how a Keyring works. Masters and Keys are required, and the zero
// value of every other field means its default.
type Config struct {
	// Masters are the master keys. The first one wraps; the others are former ones,
	// which can still unwrap.
	Masters []Master
	// Keys keeps the data keys, wrapped.
	Keys KeyStore
	// NoCompression leaves values as they are. A compressed value's length tells how
	// well it compresses; set this where an attacker both chooses parts of values
	// and sees how long what is stored is.
	NoCompression bool
	// MinCompress is the length in bytes from which values are compressed. Zero
	// means 1 KiB: below, the format's own bytes eat most of what is saved.
	MinCompress int
	// MaxValue bounds a value in bytes, before compression, both when sealing and
	// when opening. At least 1 KiB. Zero means 64 MiB.
	MaxValue int
	// RotateAfter is the age of a data key from which its owner gets a new one for
	// new values; what the old one sealed can still be opened. At least a second. A
	// negative value means never. Zero means 90 days.
	RotateAfter time.Duration
	// MaxOpenKeys bounds the data keys that are kept in memory, unwrapped; one takes
	// about 1 KiB. Zero means 4096. With fewer than there are owners in use, a seal
	// or an open often waits for the KeyStore.
	MaxOpenKeys int
}

// Validate reports every fault of the configuration at once.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("envelope: "+format, args...))
	}
	if len(c.Masters) == 0 {
		fault("Masters is empty: give at least one master key")
	}
	seen := map[uint64]int{}
	for i, m := range c.Masters {
		if m.key == nil {
			fault("Masters[%d] holds no key: make it with NewMaster or ParseMasters", i)
			continue
		}
		if first, ok := seen[m.id]; ok {
			fault("Masters[%d] is the same key as Masters[%d]", i, first)
			continue
		}
		seen[m.id] = i
	}
	if c.Keys == nil {
		fault("Keys is nil: give a KeyStore")
	}
	if c.MinCompress < 0 {
		fault("MinCompress is %d; want zero (1 KiB) or more", c.MinCompress)
	}
	if c.MaxValue != 0 && c.MaxValue < 1<<10 {
		fault("MaxValue is %d; want zero (64 MiB) or at least 1024", c.MaxValue)
	}
	if c.RotateAfter > 0 && c.RotateAfter < time.Second {
		fault("RotateAfter is %v; want at least 1s, zero (90 days), or a negative value (never)", c.RotateAfter)
	}
	if c.MaxOpenKeys < 0 {
		fault("MaxOpenKeys is %d; want zero (4096) or more", c.MaxOpenKeys)
	}
	return errors.Join(faults...)
}

// withDefaults is c with its zero values replaced.
func (c Config) withDefaults() Config {
	if c.MinCompress == 0 {
		c.MinCompress = defaultMinCompress
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxValue
	}
	if c.RotateAfter == 0 {
		c.RotateAfter = defaultRotateAfter
	}
	if c.MaxOpenKeys == 0 {
		c.MaxOpenKeys = defaultMaxOpenKeys
	}
	return c
}
