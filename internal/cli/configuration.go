package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/config"
)

func validateCommand(s Streams) *cobra.Command {
	var f settings
	c := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a configuration and list every fault",
		Long: `Check a configuration file, the environment and the flags together, without starting
anything and without a network. Every fault is listed with file, line and column; the
exit code is 0 for a sound configuration and 78 for a faulty one.`,
		Example: "  forebay validate forebay.yaml\n  forebay validate --upstream http://127.0.0.1:11434/v1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && f.file != "" {
				return usageError{errors.New("validate takes one file")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.file = args[0]
			}
			return validate(s, &f)
		},
	}
	f.register(c)
	return c
}

// validate says what a sound configuration has.
func validate(s Streams, f *settings) error {
	file, err := f.read(s)
	if err != nil {
		return err
	}
	cfg, err := file.Forebay()
	if err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	for _, w := range file.Warnings() {
		fmt.Fprintln(s.Err, "warning:", w)
	}
	_, err = fmt.Fprintf(s.Out, "ok: %s, %s, %s, %s\n", count(len(cfg.Providers), "provider"),
		count(len(cfg.Models), "model"), count(len(cfg.Operations), "operation"), count(len(file.Keys), "key"))
	return err
}

// count is a number of things in words: "1 key", "2 keys".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func configCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Look at the configuration in force",
		Example: "  forebay config show --origin",
	}
	group(c)
	c.AddCommand(configShowCommand(s))
	return c
}

func configShowCommand(s Streams) *cobra.Command {
	var f settings
	var origin bool
	var output string
	c := &cobra.Command{
		Use:   "show",
		Short: "Print every value, and with --origin where it came from",
		Long: `Print every value that is in force. A flag goes before the environment, the
environment before the file, the file before the profile. Secrets are shown as ***.`,
		Example: "  forebay config show --origin\n  forebay config show --config forebay.yaml --output json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q: table or json", output)}
			}
			file, err := f.read(s)
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(s.Out)
				enc.SetIndent("", "  ")
				return enc.Encode(map[string]any{"schema_version": 1, "values": file.Origins()})
			}
			_, err = fmt.Fprintln(s.Out, settingsTable(file.Origins(), origin))
			return err
		},
	}
	f.register(c)
	c.Flags().BoolVar(&origin, "origin", false, "say where each value came from")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

// settingsTable lists values, with their origins where asked.
func settingsTable(values []config.Value, origin bool) string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	for _, v := range values {
		row := table.Row{v.Key, v.Value}
		if origin {
			row = append(row, v.Origin)
		}
		t.AppendRow(row)
	}
	return lines(t)
}

// plainTable is a table without borders: readable, and easy to cut.
func plainTable() table.Style {
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	return style
}
