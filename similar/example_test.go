package similar_test

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/similar"
)

func ExampleIndex() {
	var scope similar.Group // a hash of tenant, user, model, parameters, earlier turns
	now := time.Now()
	index := similar.New(similar.Config{})
	index.Add(scope, [32]byte{1}, "How do I reset the password of my account?", now.Add(time.Hour))

	for _, text := range []string{
		"Hello! How can I reset the password of my account?",
		"How do I reset the password of my wife's account?",
	} {
		match, ok := index.Find(scope, text, similar.DefaultThreshold, now)
		fmt.Println(ok, match.Key[0])
	}
	// Output:
	// true 1
	// false 0
}

func ExampleAgree() {
	for _, other := range []string{
		"Wie kann ich zwei Karten sperren?",
		"Wie kann ich 2 Karten nicht sperren?",
		"Wie kann ich 2 Karten entsperren?",
	} {
		ok, difference := similar.Agree("Wie kann ich 2 Karten sperren?", other)
		fmt.Printf("%v %q\n", ok, difference)
	}
	// Output:
	// true ""
	// false "negations"
	// false "comparisons"
}
