package forebay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/store/storetest"
)

// Who is erased by one of several clients is in the memory of none of them some seconds later: not as a text by which similar requests are found, either, in one that nobody calls.
func TestErasedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory()
		master, err := envelope.NewMaster()
		if err != nil {
			t.Fatal(err)
		}
		var clients []*forebay.Client
		for range 2 {
			keys, err := envelope.New(t.Context(), envelope.Config{Masters: []envelope.Master{master}, Keys: store})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, newClient(t, func(cfg *forebay.Config) {
				policy(forebay.CachePolicy{Similar: forebay.SimilarAlways})(cfg)
				cfg.Cache.Persistent = &cache.Persistent{Store: store, Journal: store, Keys: keys, Follow: time.Second}
			}, llmtest.Script(llmtest.OK("nine to five"))))
		}
		do(t, clients[1], turn(asked))
		if clients[1].SimilarTexts() != 1 {
			t.Fatal("no text is kept")
		}
		if err := clients[0].Cache().Erase(t.Context(), "t", "u"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if n := clients[1].SimilarTexts(); n != 0 {
			t.Errorf("%d texts are kept of one who was erased", n)
		}
	})
}
