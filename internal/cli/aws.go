package cli

import (
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/internal/cli/awscmd"
)

func awsCommand(s Streams) *cobra.Command {
	var f settings
	return awscmd.Command(awscmd.Host{
		Out: s.Out, Register: f.register, Group: group, NoArguments: noArguments, Usage: func(err error) error { return usageError{err} },
		Tables: func() (t awscmd.Tables, err error) {
			file, err := f.read(s)
			if err == nil {
				t.Config, t.AWS = file.Tables()
			}
			return t, err
		},
	})
}
