// Package textdir reads a directory of prepared texts: which files are texts, for
// which operation and locale by their names, and what they hold. It follows no link
// out of the directory and reads no more of a file than a text may have. What the
// texts say is for package degrade to judge, and which directories there are for
// package config.
package textdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/internal/ident"
)

// maxTexts bounds the texts of one directory: four operations in all 24
// official languages of the European Union are 96.
const maxTexts = 1000

// anyName stands for every operation and every locale.
const anyName = "default"

func unlessAny(name string) string {
	if name == anyName {
		return ""
	}
	return name
}

// operationName is the form of names of operations, as package config has it.
func operationName(s string) bool { return ident.Is(s, 1, 64, "._-") }

// Read reads the texts of a directory, in the order of their names; what they say is
// not checked. operations are the names that are configured. Hidden files and those
// that do not end in .txt are no texts. Links are followed within the
// directory, as Kubernetes lays out a ConfigMap, and not out of it.
func Read(dir string, operations []string) ([]degrade.File, error) {
	root, err := os.OpenRoot(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("the directory does not exist")
	case err != nil:
		return nil, errors.New("this is not a directory that can be read")
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, errors.New("this is not a directory that can be read")
	}
	var files []degrade.File
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".txt")
		if !ok || strings.HasPrefix(stem, ".") {
			continue
		}
		if len(files) == maxTexts {
			return nil, fmt.Errorf("more than %d texts", maxTexts)
		}
		file := degrade.File{Path: filepath.Join(dir, e.Name())}
		if file.Operation, file.Locale, ok = textName(stem, operations); !ok {
			return nil, fmt.Errorf("%s: the name is neither OPERATION.txt nor OPERATION.LOCALE.txt: an operation has 1 to 64 of A-Z a-z 0-9 . _ -", file.Path)
		}
		if file.Content, err = readText(root, e.Name()); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Path, err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, errors.New("the directory has no .txt file")
	}
	return files, nil
}

// localeName is the form of locales in names of files. The language has two or
// three letters (ISO 639), so that words behind a point are not taken for one.
func localeName(s string) bool {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '_' || r == '-' })
	if len(parts) == 0 || len(parts) != 1+strings.Count(s, "_")+strings.Count(s, "-") || !ident.Letters(parts[0], 2, 3) {
		return false
	}
	for _, part := range parts[1:] {
		if !ident.Is(part, 1, 8, "") {
			return false
		}
	}
	return true
}

// textName reads OPERATION or OPERATION.LOCALE.
func textName(stem string, operations []string) (operation, locale string, ok bool) {
	operation = stem
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && !slices.Contains(operations, stem) {
		if last := stem[i+1:]; last == anyName || localeName(last) {
			operation, locale = stem[:i], unlessAny(last)
		}
	}
	return unlessAny(operation), locale, operationName(operation)
}

// readText reads one file, at most a little more than is accepted.
func readText(root *os.Root, name string) (string, error) {
	info, err := root.Stat(name)
	switch {
	case err != nil:
		if link, lerr := root.Lstat(name); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			return "", errors.New("the link leads out of the directory, or nowhere: put the file itself there")
		}
		return "", errors.New("the file may not be read")
	case !info.Mode().IsRegular(): // not opened: a pipe would wait for a writer
		return "", errors.New("this is not a file")
	}
	f, err := root.Open(name)
	if err != nil {
		return "", errors.New("the file may not be read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, degrade.MaxTextBytes+1))
	if err != nil {
		return "", errors.New("the file cannot be read to its end")
	}
	if len(text) > degrade.MaxTextBytes {
		return "", fmt.Errorf("the text has more than %d bytes", degrade.MaxTextBytes)
	}
	return string(text), nil
}
