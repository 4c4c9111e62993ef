package degrade

import (
	"fmt"
	"strings"
)

// document is what a file holds: a text, and what stands before it.
type document struct {
	body    string
	version string // empty where there is no front matter
	skipped int    // lines before the body
}

// mistake is a fault and its line, counted from 1.
type mistake struct {
	line    int
	message string
}

const (
	fence           = "---"
	versionKey      = "version"
	maxVersionBytes = 32
)

// parseDocument cuts the front matter off content.
func parseDocument(content string) (document, *mistake) {
	content = strings.TrimPrefix(content, "\ufeff")
	content = strings.TrimRight(strings.ReplaceAll(content, "\r\n", "\n"), " \t\n")
	first, rest, _ := strings.Cut(content, "\n")
	if strings.TrimRight(first, " \t") != fence {
		return document{body: content}, nil
	}
	var doc document
	for line := 2; ; line++ {
		var current string
		more := rest != ""
		current, rest, _ = strings.Cut(rest, "\n")
		current = strings.TrimSpace(current)
		switch {
		case !more:
			return document{}, &mistake{1, "the front matter does not end: a line of --- is missing (a text that begins with --- has an empty line before it)"}
		case current == fence && doc.version == "":
			return document{}, &mistake{line, "the front matter has no version: write version: 1 between the lines of ---"}
		case current == fence:
			doc.body, doc.skipped = rest, line
			return doc, nil
		case doc.version != "":
			return document{}, &mistake{line, fmt.Sprintf("%.60q: the front matter has one line, the version, and nothing else", current)}
		}
		var fault string
		if doc.version, fault = parseVersion(current); fault != "" {
			return document{}, &mistake{line, fault}
		}
	}
}

// parseVersion reads "version: V".
func parseVersion(line string) (version, fault string) {
	key, value, found := strings.Cut(line, ":")
	if !found || strings.TrimSpace(key) != versionKey {
		return "", fmt.Sprintf("%.60q: the front matter has one line, such as version: 1, and nothing else", line)
	}
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxVersionBytes || strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return "", fmt.Sprintf("%.60q cannot be a version: 1 to %d of A-Z a-z 0-9 . _ -", value, maxVersionBytes)
	}
	return value, ""
}
