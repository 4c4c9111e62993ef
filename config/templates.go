package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/degrade"
)

// The bounds of a directory of templates. A text of 64 KiB is the longest that
// package degrade takes.
const (
	maxTemplates     = 1000
	maxTemplateBytes = 64 << 10
)

// anyName stands for every operation or every locale in templates.
const anyName = "default"

// readTemplates reads the directories of the personas, and checks all texts as
// package degrade will.
func (f *File) readTemplates() {
	v := f.values
	f.texts = map[string]map[string]string{}
	for _, persona := range v.Names("personas") {
		s := v.Get("personas", persona, "templates")
		if s == nil {
			continue
		}
		texts, err := readTexts(f.resolve(s.Value.(string)))
		if err != nil {
			s.Wrong(fmt.Sprintf("%s: %v", s.Key, err), "Give a directory, relative to the configuration file, with OPERATION.txt and default.txt.")
			continue
		}
		f.texts[persona] = texts
		checked := degrade.Config{Personas: map[string]degrade.Persona{persona: {Templates: texts}}}
		if err := checked.Validate(); err != nil {
			s.Wrong(s.Key+": "+err.Error(), "Correct the text.")
		}
	}
	v.Each(func(s *settings.Setting) {
		path := pathOf(s)
		switch {
		case s.Row.Path == "personas.*.locale":
			c := degrade.Config{Personas: map[string]degrade.Persona{path[1]: {Locale: s.Value.(string)}}}
			if c.Validate() != nil {
				s.Wrong(fmt.Sprintf("%s: %s is not a language tag", s.Key, settings.Quote(s.Value.(string))), "Write de or de-DE.")
			}
		case s.Row.Path == "templates.*.*":
			c := degrade.Config{Templates: map[string]map[string]string{emptyForAny(path[1]): {emptyForAny(path[2]): s.Value.(string)}}}
			if err := c.Validate(); err != nil {
				s.Wrong(s.Key+": "+reason(err), "Correct the text; a locale is default, de or de-DE.")
			}
		}
	})
}

// reason is what package degrade says of a text, without the name that it has there.
func reason(err error) string {
	if _, rest, ok := strings.Cut(err.Error(), "]: "); ok {
		return rest
	}
	return err.Error()
}

func emptyForAny(name string) string {
	if name == anyName {
		return ""
	}
	return name
}

// resolve makes a path in the file relative to the file's directory.
func (f *File) resolve(path string) string {
	if filepath.IsAbs(path) || f.dir == "" {
		return path
	}
	return filepath.Join(f.dir, path)
}

// readTexts reads the texts of a directory by operation.
func readTexts(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("the directory does not exist")
	case err != nil:
		return nil, errors.New("this is not a directory that can be read")
	}
	texts := map[string]string{}
	for _, e := range entries {
		operation, ok := strings.CutSuffix(e.Name(), ".txt")
		if !ok || e.IsDir() {
			continue
		}
		if len(texts) == maxTemplates {
			return nil, fmt.Errorf("more than %d texts", maxTemplates)
		}
		text, err := readText(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		texts[emptyForAny(operation)] = text
	}
	if len(texts) == 0 {
		return nil, errors.New("the directory has no .txt file")
	}
	return texts, nil
}

func readText(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", errors.New("this is not a file that can be read")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", errors.New("the file may not be read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTemplateBytes+1))
	if err != nil {
		return "", errors.New("the file cannot be read to its end")
	}
	if len(text) > maxTemplateBytes {
		return "", fmt.Errorf("the text has more than %d bytes", maxTemplateBytes)
	}
	return strings.TrimRight(string(text), "\n"), nil
}
