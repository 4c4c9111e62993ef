package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

func jobsWatchCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a job: its states, and its answer as it is made",
		Long: `Follow a job until its end: its states go to standard error, and the answer of a request
that asks for a stream goes to standard output as text, as it is made. With --json every
event is printed as it came, one a line. A gateway that is restarted is waited for.

` + exitHelp + `.`,
		Example: `  forebay jobs watch job_01mqzk3v5x8y2
  forebay jobs watch job_01mqzk3v5x8y2 --json`,
		Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			j, err := r.follow(c.Context(), s, args[0], &pieces{s: s, json: r.asJSON})
			if err != nil {
				return err
			}
			return endOf(j)
		},
	}
	r.register(c, s)
	r.registerOutput(c)
	return c
}

// event is one of a job's events.
type event struct {
	id, kind string
	data     []byte
}

// silence is how long the stream of events may say nothing. The gateway sends a
// comment every 15 s.
const silence = time.Minute

// maxEvent bounds the line of an event. A chunk of a model is far smaller.
const maxEvent = 16 << 20

// errBroken says that the events ended before the job did.
var errBroken = errors.New("the events broke off")

// follow prints a job's events until its end, whatever happens to the connection.
func (r *remote) follow(ctx context.Context, s Streams, id string, out *pieces) (last reply, err error) {
	p := persistence{out: s.Err}
	from := ""
	for {
		err := r.events(ctx, id, from, func(e event) error {
			p.worked()
			if e.id != "" {
				from = e.id
			}
			if e.kind == "error" {
				return refusalOf(e.data)
			}
			return out.print(e, &last)
		})
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case err == nil && last.ID != "" && last.final():
			return last, out.end()
		case err == nil:
			err = &unreachable{errBroken}
		}
		if err := p.failed(ctx, err); err != nil {
			return last, err
		}
	}
}

// refusalOf is what the gateway says in place of further events.
func refusalOf(data []byte) error {
	var p struct {
		problem
		Status int `json:"status"`
	}
	if json.Unmarshal(data, &p) != nil || p.Detail == "" {
		p.Detail = errBroken.Error()
	}
	return &refusal{p.Status, p.Detail}
}

// events reads the events of a job behind the one with the ID from, until they end.
func (r *remote) events(ctx context.Context, id, from string, each func(event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream"}}
	if from != "" {
		header.Set("Last-Event-ID", from)
	}
	res, err := r.send(ctx, http.MethodGet, pathOf(id)+"/events", header, http.NoBody)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxEvent)
	var e event
	for lines.Scan() {
		watchdog.Reset(silence)
		if lines.Text() != "" {
			e.add(lines.Text())
			continue
		}
		if e.kind != "" {
			if err := each(e); err != nil {
				return err
			}
		}
		e = event{}
	}
	if lines.Err() != nil {
		return &unreachable{errBroken}
	}
	return nil
}

// add takes in a line of an event.
func (e *event) add(line string) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		e.id = value
	case "event":
		e.kind = value
	case "data":
		if e.data != nil {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
	}
}

// pieces prints events for people: states as talk, chunks as text.
type pieces struct {
	s       Streams
	json    bool
	said    string // the state that was told last
	printed bool   // some text of the answer that is not void
	open    bool   // its last line has no end yet
	text    answerText
}

// print prints one event, and notes the job in it.
func (p *pieces) print(e event, last *reply) error {
	if e.kind == "state" {
		j, err := readJob(e.data)
		if err != nil {
			return err
		}
		*last = j
	}
	switch {
	case p.json:
		line, err := json.Marshal(map[string]any{"id": e.id, "event": e.kind, "data": json.RawMessage(e.data)})
		if err != nil {
			return fmt.Errorf("the event %.40q is no JSON: %w", e.kind, err)
		}
		return printRaw(p.s.Out, line, true)
	case e.kind == "state":
		p.state(last)
	case e.kind == "restart":
		return p.restart()
	case e.kind == "chunk":
		var chunk struct{ Data string }
		if err := json.Unmarshal(e.data, &chunk); err != nil {
			return fmt.Errorf("a chunk of the answer cannot be read: %w", err)
		}
		return p.write(p.text.add(chunk.Data))
	}
	return nil
}

// state says which state the job is in, unless that was said.
func (p *pieces) state(j *reply) {
	said := j.State
	switch {
	case j.State == "processing" && j.Attempt > 1:
		said += fmt.Sprintf(", attempt %d", j.Attempt)
	case j.State == "queued" && j.Error != nil:
		said += fmt.Sprintf(" again after attempt %d: %s", j.Attempt, printable(j.Error.Message))
	case j.State == "queued" && j.Place != nil:
		said += fmt.Sprintf(", place %d", *j.Place)
	}
	if said != p.said {
		p.said = said
		p.newLine()
		fmt.Fprintln(p.s.Err, said)
	}
}

// restart says that what was printed is void.
func (p *pieces) restart() error {
	if !p.printed {
		p.text = answerText{}
		return nil
	}
	err := p.end()
	p.printed, p.text = false, answerText{}
	fmt.Fprintln(p.s.Err, "the answer begins anew; what stands above is void")
	return err
}

func (p *pieces) write(text string) error {
	if text == "" {
		return nil
	}
	p.printed, p.open = true, !strings.HasSuffix(text, "\n")
	if isTerminal(p.s.Out) {
		text = harmless(text)
	}
	_, err := io.WriteString(p.s.Out, text)
	return err
}

// newLine keeps what is said apart from the answer, where both go to a terminal.
func (p *pieces) newLine() {
	if p.open && isTerminal(p.s.Out) {
		fmt.Fprintln(p.s.Out)
		p.open = false
	}
}

// end prints what is left.
func (p *pieces) end() error {
	if err := p.write(p.text.rest()); err != nil || !p.open {
		return err
	}
	p.open = false
	_, err := fmt.Fprintln(p.s.Out)
	return err
}

// harmless is text without what would control a terminal.
func harmless(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || !unicode.IsControl(c) {
			return c
		}
		return '?'
	}, text)
}

// answerText makes text of an answer that comes in pieces: of a stream of OpenAI's
// protocol what the model says, of everything else the bytes.
type answerText struct {
	line   strings.Builder // begun, and not at its end yet
	known  bool            // whether it is a stream is decided
	stream bool
}

// add takes in a piece and returns the text that it completes.
func (a *answerText) add(piece string) string {
	if !a.known {
		a.line.WriteString(piece)
		if a.line.Len() < len("data:") {
			return ""
		}
		piece = a.line.String()
		a.line.Reset()
		a.known, a.stream = true, strings.HasPrefix(piece, "data:") || strings.HasPrefix(piece, "event:") || strings.HasPrefix(piece, ":")
	}
	if !a.stream {
		return piece
	}
	var text strings.Builder
	for {
		line, after, whole := strings.Cut(piece, "\n")
		a.line.WriteString(line)
		if !whole {
			return text.String()
		}
		text.WriteString(said(a.line.String()))
		a.line.Reset()
		piece = after
	}
}

// rest is what was held back at the end.
func (a *answerText) rest() string {
	left := a.line.String()
	a.line.Reset()
	if a.stream {
		return said(left)
	}
	return left
}

// said is what the model says in a line of a stream; empty in all others.
func said(line string) string {
	data, ok := strings.CutPrefix(strings.TrimRight(line, "\r"), "data:")
	if !ok {
		return ""
	}
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string
			}
		}
	}
	var text strings.Builder
	if json.Unmarshal([]byte(data), &chunk) == nil { // [DONE] is none
		for _, choice := range chunk.Choices {
			text.WriteString(choice.Delta.Content)
		}
	}
	return text.String()
}
