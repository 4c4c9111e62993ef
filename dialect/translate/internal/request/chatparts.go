package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// part is one part of a message's content.
type part struct {
	jsonbody.Value
	kind    jsonbody.Value
	content jsonbody.Value // the member that is called like the kind
	cached  jsonbody.Value
}

// part reads a part. A fault is kept by the task.
func (c *ChatCall) part(v jsonbody.Value) part {
	p := part{Value: v}
	if v.Kind() != '{' {
		c.Mistyped(v, "an object")
		return p
	}
	p.kind = v.Get("type")
	if p.kind.Kind() != '"' {
		c.Refuse(v, "has no type", "Use text, image_url, input_audio or file.")
		return p
	}
	kind := p.kind.String()
	for m := range v.Members {
		switch m.Name {
		case "type":
		case kind:
			p.content = m
		case "cache_control", "prompt_cache_breakpoint":
			p.cached = m
		default:
			c.Other(m)
		}
	}
	if !p.content.Given() {
		c.Refuse(v, "has no member "+jsonbody.Printable(kind), "")
	}
	return p
}

// content writes a message's content as blocks of a turn.
func (c *ChatCall) content(content jsonbody.Value, role string) {
	if content.Kind() == '"' {
		c.text(content, role)
		return
	}
	if !c.Want(content, '[') {
		return
	}
	for v := range content.Elements {
		p := c.part(v)
		if c.Err != nil {
			return
		}
		switch kind := p.kind.String(); {
		case kind == "text", kind == "refusal" && role == roleAssistant:
			c.text(p.content, role)
		case role == roleAssistant:
			c.Refuse(v, "is no text, and Bedrock's assistants say nothing else", "Send it in a message of role user.")
		default:
			if block, ok := c.media(p); ok {
				c.turns.dst = append(c.turns.begin(role), block...)
				c.turns.document = c.turns.document || kind == "file"
			}
		}
		c.cachePoint(p.cached, role)
	}
}

// text writes a text block. Bedrock refuses requests with a blank one.
func (c *ChatCall) text(text jsonbody.Value, role string) {
	if c.Want(text, '"') && !text.Blank() {
		dst := append(c.turns.begin(role), `{"text":`...)
		c.turns.dst = append(append(dst, text.Text...), '}')
		c.turns.text = true
	}
}

// cachePoint writes a cache point behind what was written last for role.
func (c *ChatCall) cachePoint(hint jsonbody.Value, role string) {
	if hint.Empty() || c.Err != nil {
		return
	}
	point := cachePoint(hint)
	switch {
	case c.cachePoints >= maxCachePoints:
		c.Drop(hint)
		return
	case role == "system" || role == "developer":
		if len(c.system) == 0 { // nothing was written that could be cached
			c.Drop(hint)
			return
		}
		c.system = append(append(c.system, ','), point...)
	default:
		if role != roleAssistant {
			role = roleUser
		}
		if c.turns.role != role { // nothing of the message was written
			c.Drop(hint)
			return
		}
		c.turns.dst = append(append(c.turns.dst, ','), point...)
	}
	c.cachePoints++
}

func cachePoint(hint jsonbody.Value) []byte {
	switch ttl := hint.Get("ttl").String(); ttl {
	case "5m", "1h":
		return []byte(`{"cachePoint":{"type":"default","ttl":"` + ttl + `"}}`)
	}
	return []byte(`{"cachePoint":{"type":"default"}}`)
}

// media makes the block of an image, a sound or a document.
func (c *ChatCall) media(p part) (block []byte, ok bool) {
	if c.Err != nil {
		return nil, false
	}
	switch p.kind.String() {
	case "image_url":
		return c.image(p.content)
	case "input_audio":
		return c.audio(p.content)
	case "file":
		return c.document(p.content)
	}
	c.Refuse(p.Value, "is of a type that cannot be translated", "Use text, image_url, input_audio or file.")
	return nil, false
}

// imageFormats are those of Converse, by media type.
var imageFormats = map[string]string{
	"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp",
}

func (c *ChatCall) image(v jsonbody.Value) ([]byte, bool) {
	address := v
	if v.Kind() == '{' {
		for m := range v.Members {
			if m.Name == "url" {
				address = m
			} else if m.Name != "detail" || m.String() != "auto" {
				c.Other(m)
			}
		}
	}
	if !c.Want(address, '"') {
		c.Mistyped(v, "an object with a url")
		return nil, false
	}
	media, data, ok := dataURI(address.String())
	if !ok {
		c.Refuse(address, "is no data: URI: Bedrock takes images as bytes, and this gateway fetches no address that a caller names", "Send the image as a data: URI in base64.")
		return nil, false
	}
	format := imageFormats[media]
	if format == "" {
		c.Refuse(address, "is an image of a type that Bedrock does not take", "Send png, jpeg, gif or webp.")
		return nil, false
	}
	return c.bytesBlock(address, "image", format, "", data)
}

func (c *ChatCall) audio(v jsonbody.Value) ([]byte, bool) {
	var format, data jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "format":
			format = m
		case "data":
			data = m
		default:
			c.Other(m)
		}
	}
	switch f := format.String(); f {
	case "wav", "mp3":
		return c.bytesBlock(data, "audio", f, "", data.String())
	}
	c.Refuse(v, "has no format that is known", "Send wav or mp3.")
	return nil, false
}

// documentFormats are those of Converse, by media type.
var documentFormats = map[string]string{
	"application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	"text/html": "html", "text/plain": "txt", "text/markdown": "md",
}

// endings are the formats by the endings of file names.
var endings = map[string]string{
	".pdf": "pdf", ".csv": "csv", ".doc": "doc", ".docx": "docx", ".xls": "xls", ".xlsx": "xlsx",
	".html": "html", ".htm": "html", ".txt": "txt", ".md": "md", ".markdown": "md",
}

func (c *ChatCall) document(v jsonbody.Value) ([]byte, bool) {
	var data, name jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "file_data":
			data = m
		case "filename":
			name = m
		default:
			c.Other(m)
		}
	}
	if c.Err != nil {
		return nil, false
	}
	if !c.Want(data, '"') {
		c.Refuse(v, "has no file_data", "Send the file's content as a data: URI in base64.")
		return nil, false
	}
	file := name.String()
	ending := strings.ToLower(path.Ext(file))
	media, content, ok := dataURI(data.String())
	if !ok {
		content = data.String() // OpenAI takes bare base64 too
	}
	format := documentFormats[media]
	if format == "" {
		format = endings[ending]
	}
	if format == "" {
		c.Refuse(data, "is a file of a type that Bedrock does not take", "Send pdf, csv, doc, docx, xls, xlsx, html, txt or md, and say which in the data: URI or the filename.")
		return nil, false
	}
	if endings[ending] != "" {
		file = file[:len(file)-len(ending)]
	}
	return c.bytesBlock(data, "document", format, c.documentName(file), content)
}

// documentName makes a name that Bedrock takes: letters, digits, single spaces, hyphens,
// parentheses and square brackets. Names in a request differ from one another.
func (c *ChatCall) documentName(file string) string {
	const longest = 200 - len(" (1234567)") // Bedrock's bound, and room for a number
	name := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-()[]", r):
			return r
		case unicode.IsSpace(r), r == '_', r == '.':
			return ' '
		}
		return '-'
	}, scan.Cut(file, longest))), " ")
	if strings.Trim(name, "- ") == "" {
		name = "document"
	}
	return c.unused(name)
}

// unused is the name, or one with a number behind it where a document has that name
// already. It goes on from the last number: a request may have very many documents.
func (c *ChatCall) unused(name string) string {
	if c.documents == nil {
		c.documents = map[string]int{}
	}
	free := name
	for c.documents[free] > 0 {
		c.documents[name]++
		free = name + " (" + strconv.Itoa(c.documents[name]) + ")"
	}
	c.documents[free] = 1
	return free
}

// bytesBlock makes a block whose source is bytes, which stand in JSON as base64.
func (c *ChatCall) bytesBlock(at jsonbody.Value, kind, format, name, data string) ([]byte, bool) {
	if !isBase64(data) {
		c.Refuse(at, "is not valid base64", "Encode the bytes as RFC 4648 has it, with padding.")
		return nil, false
	}
	dst := make([]byte, 0, len(data)+128)
	dst = append(append(append(dst, `{"`...), kind...), `":{"format":"`...)
	dst = append(append(dst, format...), '"')
	if name != "" {
		dst = scan.AppendString(append(dst, `,"name":`...), name)
	}
	dst = append(append(dst, `,"source":{"bytes":"`...), data...)
	return append(dst, `"}}}`...), true
}

// dataURI takes a data: URI in base64 apart.
func dataURI(uri string) (media, data string, ok bool) {
	const scheme = "data:"
	if len(uri) < len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return "", "", false
	}
	head, data, ok := strings.Cut(uri[len(scheme):], ",")
	if !ok {
		return "", "", false
	}
	media, parameters, _ := strings.Cut(head, ";")
	if at := strings.LastIndexByte(parameters, ';'); !strings.EqualFold(parameters[at+1:], "base64") {
		return "", "", false
	}
	return strings.ToLower(media), data, true
}

// isBase64 checks what Bedrock would refuse the request for.
func isBase64(data string) bool {
	if len(data) == 0 || len(data)%4 != 0 {
		return false
	}
	for range 2 {
		data = strings.TrimSuffix(data, "=")
	}
	for _, ch := range []byte(data) {
		if !('a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '+' || ch == '/') {
			return false
		}
	}
	return len(data) > 0
}
