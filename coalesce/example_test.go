package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

func ExampleFlights_Do() {
	flights := coalesce.New(coalesce.Config{})
	s, err := flights.Do(context.Background(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) {
		return &slice{chunks: []llm.Chunk{text("Hello, "), text("world")}}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for {
		c, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s", c.Raw)
	}
	// Output: Hello, world
}
