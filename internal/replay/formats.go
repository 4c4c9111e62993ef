package replay

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	azureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens"
	// azureTime is the layout of TIMESTAMP: a date and a time without a zone,
	// with seven decimals (Parse takes any number of them).
	azureTime = "2006-01-02 15:04:05"
)

// parseAzure reads a line such as "2023-11-16 18:15:46.6805900,374,44".
func parseAzure(line []byte) (record, error) {
	stamp, rest, ok := bytes.Cut(line, []byte{','})
	prompt, output, ok2 := bytes.Cut(rest, []byte{','})
	if !ok || !ok2 || bytes.IndexByte(output, ',') >= 0 {
		return record{}, fmt.Errorf("has not three fields (%s)", azureHeader)
	}
	at, err := time.Parse(azureTime, string(stamp))
	if err != nil || at.Year() < 1970 || at.Year() > 2200 { // the years that fit a Duration
		return record{}, fmt.Errorf("has no time of the form %q in TIMESTAMP", azureTime)
	}
	var rec record
	rec.at = time.Duration(at.UnixNano())
	if rec.arrival.PromptTokens, err = parseTokens(string(prompt)); err != nil {
		return record{}, fmt.Errorf("has in ContextTokens %w", err)
	}
	if rec.arrival.OutputTokens, err = parseTokens(string(output)); err != nil {
		return record{}, fmt.Errorf("has in GeneratedTokens %w", err)
	}
	return rec, nil
}

func parseTokens(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > maxTokens {
		return 0, fmt.Errorf("no whole number from 0 to %d", maxTokens)
	}
	return int(n), nil
}

// parseMooncake reads a line such as
// {"timestamp": 40, "input_length": 600, "output_length": 3, "hash_ids": [1, 2]}.
// All four members must be there; further ones are passed over, because newer
// traces of the family add some.
func parseMooncake(line []byte) (record, error) {
	var m struct {
		Timestamp *int64   `json:"timestamp"`
		Input     *int     `json:"input_length"`
		Output    *int     `json:"output_length"`
		Blocks    *[]int64 `json:"hash_ids"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return record{}, fmt.Errorf("is not a Mooncake record: %w", err)
	}
	if m.Timestamp == nil || m.Input == nil || m.Output == nil || m.Blocks == nil {
		return record{}, errors.New("lacks one of timestamp, input_length, output_length, hash_ids")
	}
	if *m.Timestamp < 0 || *m.Timestamp > maxSpan.Milliseconds() {
		return record{}, fmt.Errorf("has a timestamp outside 0 to %d ms", maxSpan.Milliseconds())
	}
	if min(*m.Input, *m.Output) < 0 || max(*m.Input, *m.Output) > maxTokens {
		return record{}, fmt.Errorf("has a length outside 0 to %d tokens", maxTokens)
	}
	return record{
		at:      time.Duration(*m.Timestamp) * time.Millisecond,
		arrival: Arrival{PromptTokens: *m.Input, OutputTokens: *m.Output, Blocks: *m.Blocks},
	}, nil
}
