package envelope

import (
	"bufio"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// keyBytes is the length of master keys, data keys and all that is derived: AES-256.
const keyBytes = 32

// What is derived from a master key. A purpose's text is part of the format.
const (
	purposeMasterID  = "forebay envelope master id 1"
	purposeWrap      = "forebay envelope wrap 1"
	purposeOwnKey    = "forebay envelope own key 1"
	purposeOwnKeyID  = "forebay envelope own key id 1"
	purposeTags      = "forebay envelope tags 1"
	redacted         = "***"
	maxMastersInText = 1000 // far above any rotation history; bounds what a wrong file can cost
)

// Master is a master key: 32 secret bytes that wrap data keys. It does not print
// itself: every way of formatting, logging or encoding it gives "***". The zero
// value holds no key and is refused by New.
type Master struct {
	id uint64
	// Behind two pointers, because package fmt cannot call the methods of a Master in
	// an unexported field: then it prints the first pointer as an address, or, for
	// verbs that do not suit pointers, what is behind it, the second one.
	key **[keyBytes]byte
}

// NewMaster makes a random master key.
func NewMaster() (Master, error) {
	var key [keyBytes]byte
	if _, err := rand.Read(key[:]); err != nil {
		return Master{}, fmt.Errorf("envelope: random master key: %w", err)
	}
	return newMaster(key)
}

func newMaster(key [keyBytes]byte) (Master, error) {
	p := &key
	m := Master{key: &p}
	id, err := m.deriveID(purposeMasterID)
	m.id = id
	return m, err
}

// ID is the key's fingerprint, which is safe to show and to store: it comes from the
// key by HKDF. It is zero only for the zero Master.
func (m Master) ID() uint64 { return m.id }

// String implements fmt.Stringer.
func (m Master) String() string { return redacted }

// Format implements fmt.Formatter, for every verb.
func (m Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (m Master) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON, YAML and maps alike.
func (m Master) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// encode is the key as a line of a master key file.
func (m Master) encode() string { return base64.StdEncoding.EncodeToString((*m.key)[:]) }

// derive gives the 32 bytes that belong to a purpose.
func (m Master) derive(purpose string) ([]byte, error) { return derive((*m.key)[:], purpose, keyBytes) }

// deriveID gives the number that belongs to a purpose, never zero.
func (m Master) deriveID(purpose string) (uint64, error) {
	b, err := derive((*m.key)[:], purpose, 8)
	if err != nil {
		return 0, err
	}
	return nonZero(binary.BigEndian.Uint64(b)), nil
}

func derive(secret []byte, purpose string, length int) ([]byte, error) {
	b, err := hkdf.Key(sha256.New, secret, nil, purpose, length)
	if err != nil {
		return nil, fmt.Errorf("envelope: derive a key: %w", err)
	}
	return b, nil
}

// nonZero gives up one of 2^64 values, so that zero can mean none.
func nonZero(n uint64) uint64 {
	if n == 0 {
		return 1
	}
	return n
}

// ParseMasters reads master keys: on lines or separated by commas, each 32 bytes in
// base64 (with or without padding) or in hexadecimal. The first is the current one,
// the others are former ones that can still unwrap. What follows a '#' on a line is
// a comment. Text without a key, a key given twice and a key of only zeros are
// errors. No error holds any part of the text.
func ParseMasters(text string) ([]Master, error) {
	var masters []Master
	seen := map[uint64]int{}
	lines := bufio.NewScanner(strings.NewReader(text))
	line := 0
	for lines.Scan() {
		line++
		keys, _, _ := strings.Cut(lines.Text(), "#")
		for word := range strings.SplitSeq(keys, ",") {
			word = strings.TrimSpace(word)
			if word == "" {
				continue
			}
			m, err := parseMaster(word)
			if err != nil {
				return nil, fmt.Errorf("envelope: master keys, line %d: %w", line, err)
			}
			if first, ok := seen[m.id]; ok {
				return nil, fmt.Errorf("envelope: master keys, line %d: the same key is on line %d: remove one of them", line, first)
			}
			if len(masters) == maxMastersInText {
				return nil, fmt.Errorf("envelope: master keys, line %d: more than %d keys", line, maxMastersInText)
			}
			seen[m.id] = line
			masters = append(masters, m)
		}
	}
	if lines.Err() != nil { // only a line too long for the scanner; its error says nothing more
		return nil, fmt.Errorf("envelope: master keys, line %d: the line is too long to hold keys", line+1)
	}
	if len(masters) == 0 {
		return nil, errors.New("envelope: no master key: give 32 random bytes in base64, as `openssl rand -base64 32` prints them")
	}
	return masters, nil
}

func parseMaster(word string) (Master, error) {
	var b []byte
	var err error
	switch len(word) {
	case hex.EncodedLen(keyBytes):
		b, err = hex.DecodeString(word)
	case base64.StdEncoding.EncodedLen(keyBytes):
		b, err = base64.StdEncoding.Strict().DecodeString(word)
	case base64.RawStdEncoding.EncodedLen(keyBytes):
		b, err = base64.RawStdEncoding.Strict().DecodeString(word)
	default:
		return Master{}, fmt.Errorf("a key of %d characters: want 44 or 43 of base64, or 64 of hexadecimal (32 bytes)", len(word))
	}
	// The decoders' errors quote what they met, so they are not passed on.
	if err != nil || len(b) != keyBytes {
		return Master{}, errors.New("a key that is neither base64 nor hexadecimal of 32 bytes: is it cut or mistyped?")
	}
	key := [keyBytes]byte(b)
	if key == [keyBytes]byte{} {
		return Master{}, errors.New("a key of only zeros: give 32 random bytes, as `openssl rand -base64 32` prints them")
	}
	return newMaster(key)
}
