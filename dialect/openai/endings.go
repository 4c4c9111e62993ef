package openai

import "github.com/forebay-ai/forebay/llm"

// maxChoices bounds the choices of an answer that are kept apart: it is OpenAI's
// bound of n. An answer with more has no finish reason.
const maxChoices = 128

// endings gathers why the choices of an answer end. In a stream they come in
// pieces, in any order and mixed; so only the end mark makes a reason of them.
type endings struct {
	whole bool // a whole answer: each choice comes once, at its place
	over  bool // more than maxChoices came
	n     int  // how many choices came
	few   [2]ending
	more  []ending // those behind the few: most answers have one choice
}

// ending is what one choice has said so far.
type ending struct {
	index int64
	// finished says that a finish reason came, and reason what it was, or what
	// restricts the answer more: finish_reason says stop beside a refusal, and beside
	// the calls of a tool that the request named.
	finished bool
	reason   llm.FinishReason
}

// severity orders the reasons by how much they restrict what may be done with an
// answer. Those that nobody here knows stand between: they may mean anything, but
// calls and refusals are seen for what they are.
func severity(reason llm.FinishReason) int {
	switch reason {
	case llm.FinishNone:
		return 0
	case llm.FinishStop:
		return 1
	case llm.FinishLength:
		return 2
	case llm.FinishToolCalls:
		return 4
	case llm.FinishRefusal:
		return 5
	case llm.FinishFilter:
		return 6
	}
	return 3
}

// learn takes in what a piece of the choice is or says.
func (e *ending) learn(reason llm.FinishReason) {
	if severity(reason) > severity(e.reason) {
		e.reason = reason
	}
}

// add takes in a piece of a choice. A nil receiver does nothing.
func (e *endings) add(piece ending) {
	if e == nil {
		return
	}
	for i := 0; i < e.n && !e.whole; i++ {
		if have := e.at(i); have.index == piece.index {
			if piece.reason != llm.FinishNone { // a text alone says nothing of the end
				have.learn(piece.reason)
				have.finished = have.finished || piece.finished
			}
			return
		}
	}
	switch {
	case e.n < len(e.few):
		e.few[e.n] = piece
	case e.n < maxChoices:
		e.more = append(e.more, piece)
	default:
		e.over = true
		return
	}
	e.n++
}

func (e *endings) at(i int) *ending {
	if i < len(e.few) {
		return &e.few[i]
	}
	return &e.more[i-len(e.few)]
}

// reason is that of the answer: the one of its choices that restricts the most, and
// none while a choice is not finished. Of choices up to the highest index that came
// none may be missing.
func (e *endings) reason() llm.FinishReason {
	var total ending
	for i := range e.n {
		c := e.at(i)
		if !c.finished || !e.whole && (c.index < 0 || c.index >= int64(e.n)) {
			return llm.FinishNone
		}
		total.learn(c.reason)
	}
	if e.over {
		return llm.FinishNone
	}
	return total.reason
}

// finishReason turns the wire's word into the reason. Known ones cost no allocation.
func finishReason(word []byte) llm.FinishReason {
	switch string(word) {
	case "stop":
		return llm.FinishStop
	case "length":
		return llm.FinishLength
	case "tool_calls", "function_call": // the latter before there were tools
		return llm.FinishToolCalls
	case "content_filter":
		return llm.FinishFilter
	}
	return llm.FinishReason(word)
}
