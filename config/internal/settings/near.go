package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/internal/near"
)

// Suggest says what may stand in the place of an unknown name: the near one, or
// all of them.
func Suggest(name, what string, known []string) string {
	if best := near.Name(name, known); best != "" {
		return fmt.Sprintf("Did you mean %q?", best)
	}
	if len(known) == 0 {
		return fmt.Sprintf("There are no %s.", what)
	}
	const most = 24 // a list that still fits a few lines
	list := slices.Clone(known)
	end := ""
	if len(list) > most {
		list, end = list[:most], ", …"
	}
	return fmt.Sprintf("Known %s: %s%s.", what, strings.Join(list, ", "), end)
}
