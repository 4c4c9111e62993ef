package jsonbody

// Fate is what becomes of a member on the way into the other format.
type Fate string

// The fates.
const (
	// Translated members reach the model, or the caller, in the other format's words.
	Translated Fate = "translated"
	// Dropped members have no counterpart. Of a request they are named in the list that
	// the translation returns.
	Dropped Fate = "dropped"
	// Refused members would be missed without anybody noticing: the request fails.
	Refused Fate = "refused"
	// Used members are for Forebay itself, or say how the answer is to come.
	Used Fate = "used"
)

// Member is a row of the table: one member of a format and what becomes of it.
type Member struct {
	// Path names the member, as messages[].content[].image_url.detail.
	Path string
	Fate Fate
	// To is where it goes in the other format; empty for what is dropped or refused.
	To string
	// Why says why it is dropped or refused, or what is done with it; may be empty.
	Why string
	// Fix says what a caller can do where it is refused; may be empty.
	Fix string

	Neutral string // a spelling that asks for nothing, so that nothing is lost with it
}

// Index makes the rows findable by their paths.
func Index(rows []Member) map[string]Member {
	table := make(map[string]Member, len(rows))
	for _, row := range rows {
		table[row.Path] = row
	}
	return table
}
