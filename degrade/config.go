package degrade

// Persona is a kind of reader that answers are written for.
type Persona struct {
	// ID is what requests name. Empty means the persona's key in Config.Personas;
	// anything else must equal it.
	ID string
	// Name is what {{persona}} inserts. Empty means ID.
	Name string
	// Locale is the language of texts for this persona where the call names none,
	// as a BCP 47 tag such as de-DE. Empty means no preference.
	Locale string
	// Tone describes how texts address the persona. It is for those who write
	// texts and prompts: nothing is computed from it, and texts cannot insert it.
	Tone string
	// Templates are the persona's own texts by operation, for every language; the
	// text under "" serves every operation that has none. They go before all others.
	Templates map[string]string
	// Files are more of the persona's own texts, as files have them.
	Files []File
}

// File is a prepared text as a file has it.
//
// It may begin with front matter: a line of three dashes, the line "version: V"
// and another line of three dashes, where V is 1 to 32 of A-Z a-z 0-9 . _ -. All
// after that is the text. A text that itself begins with three dashes has an empty
// line before them. A byte order mark and white space at the end are not part of
// the text, and its lines end in a line feed whatever the file has.
type File struct {
	// Path names the file in errors. It is not opened.
	Path string
	// Operation and Locale say what the text is for; empty means every operation
	// and every language.
	Operation, Locale string
	// Content is what the file holds: UTF-8, at most MaxTextBytes.
	Content string
}

// Config says which prepared texts there are. The zero Config is the built-in
// texts, in English and German, and the built-in persona.
type Config struct {
	// Off takes the texts away: Text finds none.
	Off bool
	// Personas adds to the built-in persona ("Der Profi", de-DE), or replaces it
	// under the same key. The persona under "" is the default: it serves calls that
	// name no persona, or one that is not configured.
	Personas map[string]Persona
	// Templates are texts by operation and then by locale. Operation "" stands for
	// every operation and locale "" for every language. They go before the built-in
	// texts. A text may use {{operation}}, {{persona}}, {{support_id}} and
	// {{retry_after}}, see Case, and the names in Variables.
	Templates map[string]map[string]string
	// Files are more of these texts, as files have them. A text for one operation
	// and one locale may stand in one place only.
	Files []File
	// Variables are further values that texts may insert, such as support_phone:
	// names of 1 to 40 of a-z 0-9 _ that begin with a letter, at most 100 of them,
	// and texts of at most 1024 bytes. They are the same for every call. A variable
	// that no text uses is no fault.
	Variables map[string]string
}

const (
	// MaxTextBytes bounds one text, front matter included, and once more the text
	// with the operator's variables filled in. A fallback is a notice, not a
	// document; the bound keeps a file given by mistake out of every answer.
	MaxTextBytes = 64 << 10
	// maxVariables, maxVariableName and maxVariableBytes bound Config.Variables: they
	// are for telephone numbers and addresses of web pages, not for texts.
	maxVariables     = 100
	maxVariableName  = 40
	maxVariableBytes = 1024
	// maxOperationBytes is the longest name of an operation in a text's key: as long
	// as the gateway's headers take.
	maxOperationBytes = 256
	// maxLocaleBytes is what RFC 5646 §4.4.1 recommends as the least that
	// software should hold; no tag in use is longer.
	maxLocaleBytes = 35
)

// Validate reports every fault of the configuration at once, or nil. Faults of a
// text name it: templates["op"]["de"], or the file's path and line. The error
// unwraps to the single faults ([]error).
func (c Config) Validate() error {
	_, err := build(c)
	return err
}
