package main

import (
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/prompts"
)

func TestCount(t *testing.T) {
	turns := []prompts.Turn{
		{Dialogue: "1", Text: "Hi"},
		{Dialogue: "1", Text: "Yes"},
		{Dialogue: "2", Text: "Hi"},  // seen, as a conversation too
		{Dialogue: "2", Text: "Yes"}, // likewise
		{Dialogue: "3", Text: "Yes"}, // seen, but not as a beginning
		{Dialogue: "4", Text: "Yes "},
		{Dialogue: "5", Text: "YES"},
		{Dialogue: "6", Text: "Hi", Context: "time"}, // seen, but not in this context
	}
	want := repeats{all: 8, bytes: 4, normal: 5, folded: 6, conversation: 3}
	if got := count(turns); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}
