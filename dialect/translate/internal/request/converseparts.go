package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// mediaTypes are those of Converse's formats of images and documents.
var mediaTypes = map[string]string{
	"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
	"pdf": "application/pdf", "csv": "text/csv", "doc": "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"html": "text/html", "txt": "text/plain", "md": "text/markdown",
}

// media writes an image, a document, a sound or a search result as parts of the turn. It
// reports false for anything else.
func (c *ConverseCall) media(t *turn, m jsonbody.Value) bool {
	switch m.Name {
	case "image":
		c.image(t, m)
	case "document":
		c.document(t, m)
	case "audio":
		c.audio(t, m)
	case "searchResult":
		c.searchResult(t, m)
	default:
		return false
	}
	return true
}

// source returns the one member of a block's source, and notes the block's other members.
func (c *ConverseCall) source(v jsonbody.Value, known ...string) (source jsonbody.Value) {
	for m := range v.Members {
		if m.Name == "source" {
			for s := range m.Members {
				source = s
			}
			continue
		}
		named := false
		for _, name := range known {
			named = named || name == m.Name
		}
		if !named {
			c.Other(m)
		}
	}
	if source.Text == nil {
		c.Refuse(v, "has no source", sendInstead)
	}
	return source
}

// dataURI writes bytes as a data: URI.
func (c *ConverseCall) dataURI(dst []byte, v, source jsonbody.Value) []byte {
	format := v.Get("format")
	media := mediaTypes[format.String()]
	switch {
	case source.Name != "bytes":
		c.content(source)
	case media == "":
		c.Refuse(v, "has no format that is known", "")
	case c.Want(source, '"') && !isBase64(source.String()):
		c.Refuse(source, "is not valid base64", "Encode the bytes as RFC 4648 has it, with padding.")
	}
	dst = append(append(append(dst, `"data:`...), media...), ";base64,"...)
	return append(append(dst, source.String()...), '"')
}

func (c *ConverseCall) image(t *turn, v jsonbody.Value) {
	source := c.source(v, "format")
	part := c.dataURI([]byte(`{"type":"image_url","image_url":{"url":`), v, source)
	t.part(append(part, "}}"...))
}

func (c *ConverseCall) document(t *turn, v jsonbody.Value) {
	source := c.source(v, "format", "name", "context")
	if about := v.Get("context"); c.Want(about, '"') && !about.Blank() {
		t.text(about.Text)
	}
	switch source.Name {
	case "text":
		if c.Want(source, '"') {
			t.text(source.Text)
		}
	case "content":
		for s := range source.Elements {
			if text := s.Get("text"); c.Want(text, '"') {
				t.text(text.Text)
			}
		}
	default:
		name := v.Get("name").String()
		if name == "" {
			name = "document"
		}
		part := scan.AppendString([]byte(`{"type":"file","file":{"filename":`), name+"."+v.Get("format").String())
		t.part(append(c.dataURI(jsonbody.Key(part, "file_data"), v, source), "}}"...))
	}
}

func (c *ConverseCall) audio(t *turn, v jsonbody.Value) {
	source := c.source(v, "format")
	format := v.Get("format").String()
	if format != "wav" && format != "mp3" {
		c.Refuse(v, "has a format that chat does not take", "Send wav or mp3.")
	} else if source.Name != "bytes" {
		c.content(source)
	} else if c.Want(source, '"') {
		part := append([]byte(`{"type":"input_audio","input_audio":{"data":`), source.Text...)
		part = append(append(jsonbody.Key(part, "format"), '"'), format...)
		t.part(append(part, `"}}`...))
	}
}

// searchResult writes a search result as a text: title, source and texts, a line each.
func (c *ConverseCall) searchResult(t *turn, v jsonbody.Value) {
	var lines [][]byte
	for _, name := range []string{"title", "source"} {
		if s := v.Get(name); s.Kind() == '"' {
			lines = append(lines, s.Inner(), []byte(`\n`))
		}
	}
	for m := range v.Members {
		switch m.Name {
		case "title", "source":
		case "content":
			for s := range m.Elements {
				if text := s.Get("text"); c.Want(text, '"') {
					lines = append(lines, text.Inner(), []byte(`\n`))
				}
			}
		default:
			c.Other(m)
		}
	}
	if len(lines) > 0 {
		t.text(jsonbody.AppendText(nil, lines[:len(lines)-1]...))
	}
}
