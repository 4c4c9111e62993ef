package config

import (
	"embed"
	"fmt"

	"github.com/forebay-ai/forebay/config/internal/settings"
)

//go:embed profiles
var profileFiles embed.FS

// Profiles lists the profiles, the default first.
func Profiles() []string { return []string{"standard", "analysis", "interactive"} }

// profileLayer reads the named profile. The one that is called standard is the
// defaults alone. A fault in a profile's file is found by this package's tests.
func profileLayer(s *settings.Schema, name string) (*settings.Layer, error) {
	l := settings.NewLayer(s, settings.FromProfile, "profile "+name, "profile "+name)
	if name == Profiles()[0] {
		return l, nil
	}
	content, err := profileFiles.ReadFile("profiles/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("config: profile %s: %w", name, err)
	}
	l.ReadFile(content)
	if len(l.Faults) > 0 {
		return nil, fmt.Errorf("config: profile %s: %s", name, l.Faults[0].Message)
	}
	return l, nil
}
