// Package xray makes trace ids that AWS X-Ray takes, and converts between its header and
// the traceparent of W3C Trace Context.
//
// A trace id of X-Ray is one of W3C whose first four bytes are the time, in seconds since
// 1970: 1-67891233-abcdef012345678912345678 is 67891233abcdef012345678912345678. X-Ray
// finds traces by that time. Everything else in both forms is the same, so ids that were
// made by TraceID are good for either, and those of callers are carried on as they are.
package xray

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// Header is the name of X-Ray's header, which load balancers, API Gateway and Lambda's
	// function URLs send.
	Header = "X-Amzn-Trace-Id"
	// Environment is the variable in which Lambda's runtime keeps the same for the
	// invocation that runs.
	Environment = "_X_AMZN_TRACE_ID"
)

// longest bounds a header that is read: what follows the ids (Lineage, Self) is short.
const longest = 1024

// TraceID makes a trace id: the seconds of now, and 96 random bits that are not all zero.
// It has to be unique, not secret.
func TraceID(now time.Time) (id [16]byte) {
	binary.BigEndian.PutUint32(id[:4], uint32(now.Unix()))
	binary.BigEndian.PutUint32(id[4:8], rand.Uint32())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1)
	return id
}

// Time is when a trace id was made, where TraceID or X-Ray made it: to the second. ok is
// false where it is not within a month before now or a day after it, which says that the
// first bytes are something else.
func Time(id [16]byte, now time.Time) (t time.Time, ok bool) {
	t = time.Unix(int64(binary.BigEndian.Uint32(id[:4])), 0)
	return t, t.After(now.Add(-30*24*time.Hour)) && t.Before(now.Add(24*time.Hour))
}

// Trace is where a call stands in a trace.
type Trace struct {
	ID [16]byte
	// Parent is the span that the call belongs to; all zero where none is named, as by
	// load balancers.
	Parent [8]byte
	// Sampled says that the caller records the trace. A caller that leaves the decision
	// to us counts as one that does not.
	Sampled bool
}

// Parse reads the value of X-Ray's header or of Lambda's variable. Without a valid Root ok
// is false; parts that are not known are left out, and a Parent that is not valid too.
func Parse(value string) (t Trace, ok bool) {
	if len(value) > longest {
		return Trace{}, false
	}
	for part := range strings.SplitSeq(value, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			if t.ID, ok = parseRoot(text); !ok {
				return Trace{}, false
			}
		case "Parent":
			t.Parent = [8]byte{}
			decode(t.Parent[:], text)
		case "Sampled":
			t.Sampled = text == "1"
		}
	}
	return t, ok
}

// parseRoot reads 1-67891233-abcdef012345678912345678.
func parseRoot(text string) (id [16]byte, ok bool) {
	if len(text) != 35 || text[:2] != "1-" || text[10] != '-' {
		return id, false
	}
	if !decode(id[:4], text[2:10]) || !decode(id[4:], text[11:]) {
		return [16]byte{}, false
	}
	return id, id != [16]byte{}
}

// decode reads as many hexadecimal digits as dst has room for; dst stays as it was where
// text is something else. X-Ray's digits may be capitals.
func decode(dst []byte, text string) bool {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(dst) {
		return false
	}
	copy(dst, b)
	return true
}

// Header is t as the value of X-Ray's header.
func (t Trace) Header() string {
	digits := hex.EncodeToString(t.ID[:])
	var b strings.Builder
	b.WriteString("Root=1-" + digits[:8] + "-" + digits[8:])
	if t.Parent != [8]byte{} {
		b.WriteString(";Parent=" + hex.EncodeToString(t.Parent[:]))
	}
	if t.Sampled {
		b.WriteString(";Sampled=1")
	} else {
		b.WriteString(";Sampled=0")
	}
	return b.String()
}

// Traceparent is t as the value of a traceparent. That has to name a parent: where t has
// none, it is a random one, so that at least the trace goes on.
func (t Trace) Traceparent() string {
	if t.Parent == [8]byte{} {
		binary.BigEndian.PutUint64(t.Parent[:], rand.Uint64()|1)
	}
	flags := "-00"
	if t.Sampled {
		flags = "-01"
	}
	return "00-" + hex.EncodeToString(t.ID[:]) + "-" + hex.EncodeToString(t.Parent[:]) + flags
}

// traceparentSize is that of version 00: 2 digits, 32, 16 and 2, with dashes between.
const traceparentSize = 55

// ParseTraceparent reads a traceparent of version 00, or of a later one that begins like
// it.
func ParseTraceparent(value string) (t Trace, ok bool) {
	if len(value) < traceparentSize || len(value) > longest || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return Trace{}, false
	}
	if len(value) > traceparentSize && (value[:2] == "00" || value[traceparentSize] != '-') {
		return Trace{}, false
	}
	var version, flags [1]byte
	text := value[:traceparentSize]
	if strings.ToLower(text) != text || !decode(version[:], text[:2]) || version[0] == 0xff ||
		!decode(t.ID[:], text[3:35]) || !decode(t.Parent[:], text[36:52]) || !decode(flags[:], text[53:]) ||
		t.ID == [16]byte{} || t.Parent == [8]byte{} {
		return Trace{}, false
	}
	t.Sampled = flags[0]&1 != 0
	return t, true
}
