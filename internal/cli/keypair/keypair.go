// Package keypair has the command that makes keys of callers: names are the operator's,
// ids and secrets are drawn. It prints them, keeps nothing, and knows no configuration.
package keypair

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"
)

// Pair is a key: as an AWS-style pair for signatures, and its secret alone as a bearer key.
type Pair struct {
	Name        string `json:"name"`
	AccessKeyID string `json:"access_key_id"`
	Secret      string `json:"secret"`
	Tenant      string `json:"tenant,omitempty"`
}

// New draws a pair: an id of 20 characters, 80 random bits behind a prefix, in the alphabet of AWS's
// own, and a secret of 32 random bytes.
func New(name, tenant string) Pair {
	id, secret := make([]byte, 10), make([]byte, 32)
	_, _ = rand.Read(id) // never fails: the runtime stops the process instead
	_, _ = rand.Read(secret)
	return Pair{Name: name, Tenant: tenant, AccessKeyID: "FBAY" + base32.StdEncoding.EncodeToString(id), Secret: base64.RawURLEncoding.EncodeToString(secret)}
}

// Write prints p: as an entry of the configuration's keys (yaml), as the variables that
// AWS's SDKs read (env), or as an entry of FOREBAY_KEYS (json).
func (p Pair) Write(w io.Writer, output string) error {
	switch output {
	case "yaml":
		text := fmt.Sprintf("keys:\n  - name: %s\n    access_key_id: %s\n    secret: %s\n", p.Name, p.AccessKeyID, p.Secret)
		if p.Tenant != "" {
			text += "    tenant: " + p.Tenant + "\n"
		}
		_, err := io.WriteString(w, text)
		return err
	case "env":
		_, err := fmt.Fprintf(w, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", p.AccessKeyID, p.Secret)
		return err
	case "json":
		e := json.NewEncoder(w)
		return e.Encode([]Pair{p})
	}
	return fmt.Errorf("--output %.32q: write yaml, env or json", output)
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`) // as the configuration has it

// Command is "keys" with "new" in it. group makes a command one that only has others,
// noArguments refuses arguments, and usage marks a fault in how a command was called: as
// all commands of the program do.
func Command(out io.Writer, group func(*cobra.Command), noArguments cobra.PositionalArgs, usage func(error) error) *cobra.Command {
	var name, tenant, output string
	c := &cobra.Command{Use: "keys", Short: "Make keys for callers", Example: "  forebay keys new --name web"}
	made := &cobra.Command{
		Use:   "new",
		Short: "Draw a key: an access key id and a secret",
		Long: `Draw a key and print it as an entry of keys in the configuration. The secret is the
caller's bearer key; with the access key id it is an AWS-style pair, with which an AWS
SDK signs its requests to the Bedrock door (http://HOST:PORT/bedrock as endpoint).
Nothing is kept: the key counts once it stands in the configuration.`,
		Example: "  forebay keys new --name web\n  forebay keys new --name web --tenant acme --output env",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			for _, n := range []string{name, tenant} {
				if n != "" && !plainName.MatchString(n) || name == "" {
					return usage(fmt.Errorf("%.64q is not a plain name: write 1 to 64 of A-Z a-z 0-9 . _ -", n))
				}
			}
			if output != "yaml" && output != "env" && output != "json" {
				return usage(fmt.Errorf("--output %.32q: write yaml, env or json", output))
			}
			return New(name, tenant).Write(out, output)
		},
	}
	made.Flags().StringVar(&name, "name", "sdk", "the key's name in logs and accounts")
	made.Flags().StringVar(&tenant, "tenant", "", "whom the calls belong to; without it, default")
	made.Flags().StringVarP(&output, "output", "o", "yaml", "yaml (for the configuration), env (for an AWS SDK) or json (for FOREBAY_KEYS)")
	c.AddCommand(made)
	group(c)
	return c
}
