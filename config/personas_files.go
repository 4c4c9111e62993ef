package config

import (
	"path/filepath"
	"slices"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/config/internal/textdir"
	"github.com/forebay-ai/forebay/degrade"
)

// texts are what the directories of prepared texts hold.
type texts struct {
	general  []degrade.File            // of templates_dir
	personas map[string][]degrade.File // by the persona's name in the configuration
}

// textFault is what is wrong with a directory or a file in it, and the setting that
// names the directory.
type textFault struct {
	setting      *settings.Setting
	message, fix string
}

// textDirs are the settings that name directories of texts; the persona is empty
// for the one that serves all.
func (f *File) textDirs(visit func(persona string, s *settings.Setting)) {
	v := f.values
	if s := v.Get("templates_dir"); s != nil {
		visit("", s)
	}
	for _, persona := range v.Names("personas") {
		if s := v.Get("personas", persona, "templates"); s != nil {
			visit(persona, s)
		}
	}
}

// dirOf is the directory that a setting names: relative to the configuration's file
// where that says it, else to the working directory.
func (f *File) dirOf(s *settings.Setting) string {
	dir := s.Value.(string)
	if s.From.Rank != settings.FromFile {
		return dir
	}
	return f.resolve(dir)
}

// TemplateDirs lists the directories whose texts Degrade reads, each once; nil
// where there are none. They are what to watch for changes.
func (f *File) TemplateDirs() []string {
	var dirs []string
	f.textDirs(func(_ string, s *settings.Setting) {
		if dir := f.dirOf(s); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	})
	return dirs
}

// readTexts reads all directories of texts and checks each text by itself; they may
// use these variables, which are good.
func (f *File) readTexts(variables map[string]string) (texts, []textFault) {
	t := texts{personas: map[string][]degrade.File{}}
	var faults []textFault
	f.textDirs(func(persona string, s *settings.Setting) {
		files, err := textdir.Read(f.dirOf(s), f.values.Names("operations"))
		if err != nil {
			faults = append(faults, textFault{s, s.Key + ": " + err.Error(), "Give a directory, relative to the configuration file, with OPERATION.txt and default.txt."})
			return
		}
		alone := degrade.Config{Files: files, Variables: variables}
		for _, err := range singly(alone.Validate()) {
			faults = append(faults, textFault{s, s.Key + ": " + err.Error(), "Correct the file."})
		}
		if persona == "" {
			t.general = files
			return
		}
		t.personas[persona] = files
	})
	return t, faults
}

// resolve makes a path in the file relative to the file's directory.
func (f *File) resolve(path string) string {
	if filepath.IsAbs(path) || f.dir == "" {
		return path
	}
	return filepath.Join(f.dir, path)
}
