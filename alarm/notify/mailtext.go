package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/forebay-ai/forebay/alarm"
)

// messageID names the mail about a notice to a recipient: the same at every try.
func messageID(n alarm.Notice, to, from string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %t %q", n.ID, n.Resolved, strings.ToLower(to)))
	domain := from[strings.LastIndexByte(from, '@')+1:]
	return "forebay." + hex.EncodeToString(sum[:16]) + "@" + domain
}

// mailOf writes the mail about n to one recipient.
func mailOf(n alarm.Notice, from, to *mail.Address, id string) (*gomail.Msg, error) {
	page := &strings.Builder{}
	if err := mailPage().Execute(page, pageOf(n)); err != nil {
		return nil, err
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(to)
	m.Subject(headline(n, 200)) // one line of printed characters: no header can be added
	m.SetMessageIDWithValue(id)
	if n.At.IsZero() {
		m.SetDate()
	} else {
		m.SetDateWithValue(n.At)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday replies
	m.SetGenHeader("X-Forebay-Notice", eventID(n.ID))
	if n.Severity == alarm.Critical && !n.Resolved {
		m.SetImportance(gomail.ImportanceHigh)
	}
	m.SetBodyString(gomail.TypeTextPlain, plainText(n))
	m.AddAlternativeString(gomail.TypeTextHTML, page.String())
	return m, nil
}

// plainText is a notice for those who read text.
func plainText(n alarm.Notice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", headline(n, 300))
	for _, it := range shown(n) {
		fmt.Fprintf(&b, "%s: %s, %s\n", itemName(it), it.Severity, it.State)
		for _, line := range [...]struct{ label, text string }{
			{"", it.Message}, {"", it.Reason}, {"Since ", since(it.Since)}, {"What to do: ", it.Do}, {"Runbook: ", link(it.Runbook)},
		} {
			if text := oneLine(line.text, 2000); text != "" {
				fmt.Fprintf(&b, "  %s%s\n", line.label, text)
			}
		}
		b.WriteByte('\n')
	}
	if more := left(n); more != "" {
		fmt.Fprintf(&b, "%s\n\n", more)
	}
	fmt.Fprintf(&b, "Sent by %s at %s. Notice %s.\n", oneLine(n.Source, 100), since(n.At), oneLine(n.ID, 128))
	return b.String()
}

// page is what the HTML of a mail is made of.
type page struct {
	Headline, Left, Source, At, ID string
	Colour                         template.CSS
	Items                          []pageItem
}

type pageItem struct{ Name, Severity, State, Message, Reason, Since, Do, Runbook string }

func pageOf(n alarm.Notice) page {
	p := page{
		Headline: headline(n, 300), Left: left(n), Source: oneLine(n.Source, 100), At: since(n.At), ID: oneLine(n.ID, 128),
		Colour: "#8a5a00",
	}
	switch {
	case n.Resolved:
		p.Colour = "#1b6e3c"
	case n.Severity == alarm.Critical:
		p.Colour = "#a4161a"
	}
	for _, it := range shown(n) {
		p.Items = append(p.Items, pageItem{
			itemName(it), string(it.Severity), string(it.State), oneLine(it.Message, 2000), oneLine(it.Reason, 2000),
			since(it.Since), oneLine(it.Do, 2000), link(it.Runbook),
		})
	}
	return p
}

// mailPage is the HTML of a mail: no pictures, nothing loaded from anywhere, styles where
// mail programs leave them.
func mailPage() *template.Template {
	return template.Must(template.New("mail").Parse(mailHTML))
}

const mailHTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Headline}}</title></head>
<body style="margin:0;padding:16px;font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;color:#1a1a1a;background:#ffffff">
<h1 style="font-size:18px;margin:0 0 16px;color:{{.Colour}}">{{.Headline}}</h1>
{{range .Items}}<div style="margin:0 0 16px;padding:0 0 0 12px;border-left:4px solid {{$.Colour}}">
<p style="margin:0"><strong>{{.Name}}</strong> {{.Severity}}{{with .State}}, {{.}}{{end}}</p>
{{with .Message}}<p style="margin:4px 0">{{.}}</p>{{end}}
{{with .Reason}}<p style="margin:4px 0">{{.}}</p>{{end}}
{{with .Since}}<p style="margin:4px 0">Since {{.}}</p>{{end}}
{{with .Do}}<p style="margin:4px 0">What to do: {{.}}</p>{{end}}
{{with .Runbook}}<p style="margin:4px 0"><a href="{{.}}">Runbook</a></p>{{end}}
</div>
{{end}}{{with .Left}}<p>{{.}}</p>{{end}}
<p style="font-size:13px;color:#595959">Sent by {{.Source}} at {{.At}}. Notice {{.ID}}.</p>
</body></html>
`
