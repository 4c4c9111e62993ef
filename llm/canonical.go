package llm

// Omission is one thing of a request's body that its canonical form leaves out.
type Omission struct {
	// Path is the JSON pointer to the member or text in the body.
	Path string `json:"path"`
	// Reason says why it makes no difference to the answer, or what was done with the
	// text; a few words.
	Reason string `json:"reason"`
}

// Omitter is implemented by dialects that can say what Canonical leaves out.
type Omitter interface {
	// Omissions lists what Canonical leaves out of req.Body with the same arguments, in
	// the order of the body: members that are not compared, and texts that are not
	// compared as they stand, which have a line for each thing that was done with them.
	// Order, white space between values and spelling are not listed. It is empty
	// where everything is compared. The errors are those of Canonical.
	Omissions(req *Request, verbatim bool) ([]Omission, error)
}

// TurnSplitter is implemented by dialects that can tell a conversation's last turn from
// all the rest of a request. It is what a search for similar requests needs: these
// may differ in what the user said last, and in nothing else.
type TurnSplitter interface {
	// LastTurn returns the text that the user said last, normalised as Canonical does
	// it, and rest, the canonical form with an empty text in its place. Two requests
	// with the same rest differ in that text alone: parameters and earlier turns are
	// the same.
	//
	// ok is false where an answer to a similar text would not do, or there is no such
	// text: the body is not well formed, or no chat; the last message is not the user's,
	// has no text, several or something beside it (an image, sound, a file); the model
	// may call tools or must follow a schema; several answers are asked for.
	LastTurn(req *Request) (text string, rest []byte, ok bool)
}

// OutputBounder is implemented by dialects that can tell, and lower, how long an answer
// may become.
type OutputBounder interface {
	// MaxOutput is the largest number of tokens that the answer may have, as the body
	// says it. Zero means that the body says nothing.
	MaxOutput(req *Request) int
	// Simplify returns a copy of the body that asks model, and asks for at most
	// maxOutput tokens: less where the body says less already. Zero leaves that as it
	// is. An error means that the body is not of the dialect.
	Simplify(req *Request, model string, maxOutput int) ([]byte, error)
}
