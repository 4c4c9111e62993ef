package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/console"
)

// Alarms writes alarms as a table: those that fire first. Those that are judged elsewhere
// or are off are left out unless all is set.
func Alarms(w io.Writer, list *console.AlarmList, all bool, now time.Time) error {
	t := newTable(0, "alarm", "severity", "state", "for", "why")
	var quiet [][]any
	for i := range list.Data {
		a := &list.Data[i]
		if (a.Off || a.External) && !all {
			continue
		}
		if a.External {
			quiet = append(quiet, []any{Clean(a.Name), Clean(string(a.Severity)), "elsewhere", "-", "judged from CloudWatch's measurements"})
		}
		for _, s := range a.States {
			name := Clean(a.Name)
			if s.Of != "" {
				name += " " + Clean(s.Of)
			}
			state := Clean(string(s.State))
			if s.Silenced {
				state += ", silenced"
			}
			row := []any{name, Clean(string(a.Severity)), state, ago(s.Since, now), dash(s.Reason)}
			if s.State == alarm.Firing {
				t.AppendRow(row)
			} else {
				quiet = append(quiet, row)
			}
		}
	}
	for _, row := range quiet {
		t.AppendRow(row)
	}
	if err := write(w, t); err != nil {
		return err
	}
	return beside(w, list)
}

// beside writes silences and notifiers.
func beside(w io.Writer, list *console.AlarmList) error {
	for _, s := range list.Silences {
		if _, err := fmt.Fprintf(w, "silence %s: %s until %s, by %s  %s\n", Clean(s.ID), Clean(strings.TrimSpace(s.Alarm+" "+s.Of)), s.Until.Local().Format(time.DateTime), Clean(s.By), Clean(s.Comment)); err != nil {
			return err
		}
	}
	for _, n := range list.Notifiers {
		state := "works"
		if n.LastError != "" && n.Failed+n.Dropped > 0 {
			state = "last error: " + Clean(n.LastError)
		}
		if _, err := fmt.Fprintf(w, "notifier %s: %d sent, %d failed, %d dropped, %s\n", Clean(n.Name), n.Sent, n.Failed, n.Dropped, state); err != nil {
			return err
		}
	}
	return nil
}

// AlarmHistory writes changes of alarms, newest first.
func AlarmHistory(w io.Writer, h *console.AlarmHistory) error {
	if len(h.Data) == 0 {
		_, err := fmt.Fprintln(w, "No alarm has changed.")
		return err
	}
	t := newTable(0, "at", "alarm", "severity", "from", "to", "why")
	for i := range h.Data {
		e := &h.Data[i]
		name := Clean(e.Name)
		if e.Of != "" {
			name += " " + Clean(e.Of)
		}
		to := Clean(string(e.To))
		if e.Silenced {
			to += ", silenced"
		}
		t.AppendRow([]any{e.At.Local().Format(time.DateTime), name, Clean(string(e.Severity)), Clean(string(e.From)), to, dash(e.Reason)})
	}
	return write(w, t)
}

// AlarmTest writes what became of a test notice.
func AlarmTest(w io.Writer, r *console.AlarmTest) error {
	if len(r.Data) == 0 {
		_, err := fmt.Fprintln(w, "No notifier is configured: alarms are in the log and at /v1/alarms alone. Set alarms.notifiers.")
		return err
	}
	t := newTable(0, "notifier", "", "took", "why")
	for _, x := range r.Data {
		state := "sent"
		if !x.OK {
			state = "failed"
		}
		t.AppendRow([]any{Clean(x.Notifier), state, short(time.Duration(x.Seconds * float64(time.Second))), dash(x.Error)})
	}
	return write(w, t)
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return max(now.Sub(t), 0).Round(time.Second).String()
}
