package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/internal/cli/alarmexport"
	"github.com/forebay-ai/forebay/internal/cli/show"
)

func alarmsCommand(s Streams) *cobra.Command {
	var v viewed
	var all bool
	c := &cobra.Command{
		Use:     "alarms",
		Short:   "Print alarms and their states; silence, test and export them",
		Example: "  forebay alarms\n  forebay alarms history\n  forebay alarms export\n  forebay alarms silence breaker-open --for 2h --comment maintenance\n  forebay alarms test",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var list console.AlarmList
			return v.print(c.Context(), s, "/v1/alarms", &list, func() error { return show.Alarms(s.Out, &list, all, time.Now()) })
		},
	}
	v.register(c, s, "metrics or admin")
	c.Flags().BoolVar(&all, "all", false, "those that are off or judged elsewhere too")
	var f settings
	c.AddCommand(alarmHistoryCommand(s), silenceCommand(s), unsilenceCommand(s), alarmTestCommand(s), alarmexport.Command(alarmexport.Host{
		Out: s.Out, Err: s.Err, Register: f.register, NoArguments: noArguments, Usage: func(err error) error { return usageError{err} },
		Read: func() (*config.File, error) { return f.read(s) },
	}))
	return c
}

func alarmHistoryCommand(s Streams) *cobra.Command {
	var v viewed
	c := &cobra.Command{
		Use: "history", Short: "Print changes of alarms, newest first", Example: "  forebay alarms history --name breaker-open", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var h console.AlarmHistory
			return v.print(c.Context(), s, asked(c, "/v1/alarms/history", "name", "limit"), &h, func() error { return show.AlarmHistory(s.Out, &h) })
		},
	}
	v.register(c, s, "metrics or admin")
	c.Flags().String("name", "", "of this alarm alone")
	c.Flags().String("limit", "", "changes at most (default 100)")
	return c
}

func silenceCommand(s Streams) *cobra.Command {
	var r remote
	var in console.NewSilence
	c := &cobra.Command{
		Use: "silence ALARM", Short: "Keep an alarm, or * for all, from being sent for a while",
		Example: "  forebay alarms silence breaker-open --of bedrock-eu/haiku --for 2h --comment \"provider's maintenance\"", Args: from(1, 1, "the name of one alarm"),
		RunE: func(c *cobra.Command, args []string) error {
			in.Alarm = args[0]
			var made alarm.Silence
			if err := r.json(c.Context(), http.MethodPost, "/v1/alarms/silences", in, &made); err != nil {
				return err
			}
			_, err := fmt.Fprintf(s.Out, "%s is silent until %s; end it with: forebay alarms unsilence %s\n", printable(made.Alarm), made.Until.Local().Format(time.DateTime), made.ID)
			return err
		},
	}
	r.registerFor(c, s, "admin")
	c.Flags().StringVar(&in.For, "for", "1h", "how long: 1m to 30d")
	c.Flags().StringVar(&in.Of, "of", "", "for one target or operation alone")
	c.Flags().StringVar(&in.Comment, "comment", "", "why; for those who see it")
	return c
}

func unsilenceCommand(s Streams) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "unsilence ID", Short: "End a silence", Example: "  forebay alarms unsilence s-1", Args: from(1, 1, "the ID of one silence (forebay alarms shows them)"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := r.raw(c.Context(), http.MethodDelete, "/v1/alarms/silences/"+url.PathEscape(args[0]), nil); err != nil {
				return err
			}
			_, err := fmt.Fprintln(s.Out, "the silence has ended")
			return err
		},
	}
	r.registerFor(c, s, "admin")
	return c
}

func alarmTestCommand(s Streams) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "test [NOTIFIER]", Short: "Send a test notice, and say what became of it",
		Example: "  forebay alarms test\n  forebay alarms test slack", Args: from(0, 1, "the name of a notifier, or none"),
		RunE: func(c *cobra.Command, args []string) error {
			var in any
			if len(args) == 1 {
				in = map[string]string{"notifier": args[0]}
			}
			var result console.AlarmTest
			if err := r.json(c.Context(), http.MethodPost, "/v1/alarms/test", in, &result); err != nil {
				return err
			}
			if err := show.AlarmTest(s.Out, &result); err != nil {
				return err
			}
			for _, x := range result.Data {
				if !x.OK {
					return fmt.Errorf("%s did not take the notice", printable(x.Notifier))
				}
			}
			return nil
		},
	}
	r.registerFor(c, s, "admin")
	return c
}
