package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/internal/near"
)

// usageError is a fault in how a command was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// noArguments refuses arguments. cobra's own check calls them unknown commands.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if c.Flags().Lookup("config") != nil {
		hint = " (a file is given with --config)"
	}
	return usageError{fmt.Errorf("%s takes no arguments, and got %q%s", nameOf(c), args[0], hint)}
}

// nameOf is the name of a command without that of the program.
func nameOf(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), "forebay ") }

// flagError adds to an unknown flag the one that was probably meant.
func flagError(c *cobra.Command, err error) error {
	var unknown interface{ GetSpecifiedName() string }
	if errors.As(err, &unknown) {
		known := longFlag.FindAllString(c.Flags().FlagUsages(), -1)
		err = fmt.Errorf("%w%s", err, near.DidYouMean(unknown.GetSpecifiedName(), known))
	}
	return usageError{err}
}

var longFlag = regexp.MustCompile(`--[a-z][a-z-]+`)

// group makes c a command that only has others: alone it shows its help, and what
// it does not have is a fault.
func group(c *cobra.Command) {
	c.Args, c.DisableFlagsInUseLine = cobra.ArbitraryArgs, true
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
}

// unknownCommand is the fault of a name that c has no command for.
func unknownCommand(c *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q", strings.TrimPrefix(c.CommandPath()+" "+name, "forebay "))
	if c.SuggestionsMinimumDistance == 0 {
		c.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets too late for us
	}
	if near := c.SuggestionsFor(name); len(near) > 0 {
		text += " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return usageError{errors.New(text)}
}

// helpCommand is cobra's, but an unknown topic is a fault.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		DisableFlagsInUseLine: true,

		Short:   "Show what a command does, with its flags and examples",
		Example: "  forebay help serve\n  forebay help config show",
		RunE: func(c *cobra.Command, args []string) error {
			topic := c.Root()
			for _, name := range args {
				next := find(topic, name)
				if next == nil {
					return unknownCommand(topic, name)
				}
				topic = next
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
	}
}

// find gives the command of c with this name, or nil.
func find(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// addCompletion adds cobra's command for the completion of shells, with examples
// as all others have.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd("completion") // the name asks for it whatever else there is
	c := find(root, "completion")
	group(c)
	c.Example = "  forebay completion bash > /etc/bash_completion.d/forebay"
	for _, shell := range c.Commands() {
		shell.Args = noArguments
		shell.Example = "  forebay completion " + shell.Name()
	}
}

// from takes least to most arguments, which are what.
func from(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s takes %s, and got %d arguments", nameOf(c), what, len(args))}
		}
		return nil
	}
}
