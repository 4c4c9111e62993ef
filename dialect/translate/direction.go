package translate

import (
	"github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"
	"github.com/forebay-ai/forebay/dialect/translate/internal/request"
)

// What becomes of a member, and a row of the table that says it.
type (
	// Fate is what becomes of a member on the way into the other format.
	Fate = jsonbody.Fate
	// Member is one member of a format and what becomes of it.
	Member = jsonbody.Member
)

// The fates.
const (
	// Translated members reach the model, or the caller, in the other format's words.
	Translated = jsonbody.Translated
	// Dropped members have no counterpart. Of a request they are named in the list that
	// the translation returns.
	Dropped = jsonbody.Dropped
	// Refused members would be missed without anybody noticing: the request fails.
	Refused = jsonbody.Refused
	// Used members are for Forebay itself, or say how the answer is to come.
	Used = jsonbody.Used
)

// Direction is what is translated into what.
type Direction string

// The directions.
const (
	ChatRequest     Direction = "OpenAI chat request to Converse"
	ConverseRequest Direction = "Converse request to OpenAI chat"
	ConverseAnswer  Direction = "Converse answer to OpenAI chat"
	ChatAnswer      Direction = "OpenAI chat answer to Converse"
	EmbeddingsCalls Direction = "Embeddings"
)

// Directions lists the directions in the order in which documentation has them.
var Directions = [...]Direction{ChatRequest, ConverseRequest, ConverseAnswer, ChatAnswer, EmbeddingsCalls}

// Members returns the rows of a direction, in the order of the format. A member that is
// not in it is dropped and named.
func Members(d Direction) []Member {
	rows := map[Direction][]Member{
		ChatRequest: request.ChatMembers, ConverseRequest: request.ConverseMembers,
		ConverseAnswer: converseAnswerMembers, ChatAnswer: chatAnswerMembers, EmbeddingsCalls: embeddingsMembers,
	}[d]
	return append([]Member(nil), rows...)
}
