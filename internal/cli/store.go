package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/envelope"
)

func storeCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "store",
		Short:   "Look after what is kept on disk",
		Example: "  forebay store rotate-key --config forebay.yaml",
	}
	group(c)
	c.AddCommand(rotateKeyCommand(s))
	return c
}

func rotateKeyCommand(s Streams) *cobra.Command {
	var f settings
	c := &cobra.Command{
		Use:   "rotate-key",
		Short: "Put a new master key in front of the old ones",
		Long: `Put a new master key in front of the old ones in the key file. At its next start the
gateway wraps its data keys with the new one; what is stored stays readable. After
that start the old lines can be taken out of the file.`,
		Example: "  forebay store rotate-key --config forebay.yaml\n  forebay store rotate-key --set store.dir=/var/lib/forebay",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			file, err := f.read(s)
			if err != nil {
				return err
			}
			path := file.MasterKeyFile()
			if path == "" {
				return errors.New("there is no key file: store.dir is not set, or store.master_key gives the keys")
			}
			if err := envelope.RotateMasters(path); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "%s begins with a new master key; it is used from the next start on\n", path)
			return err
		},
	}
	f.register(c)
	return c
}
