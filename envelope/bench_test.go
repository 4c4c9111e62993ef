package envelope_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// answer is text of about the redundancy of a model's answer.
func answer(n int) []byte {
	words := strings.Fields(`the model answers in short sentences that repeat common words of a language with numbers
		and names between them so compression finds matches here there but not always restaurant table booking please
		tomorrow evening seven people window seat confirm reference analysis report visitor growth percent quarter`)
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"`)
	for b.Len() < n {
		fmt.Fprintf(&b, "%s ", words[r.IntN(len(words))])
		if r.IntN(12) == 0 {
			fmt.Fprintf(&b, "%d. ", r.IntN(10000))
		}
	}
	return []byte(b.String())[:n]
}

func benchmarkSizes(b *testing.B, run func(b *testing.B, k *envelope.Keyring, plain []byte)) {
	for _, compress := range []bool{false, true} {
		for _, size := range []int{614, 2 << 10, 16 << 10} {
			b.Run(fmt.Sprintf("compress=%v/bytes=%d", compress, size), func(b *testing.B) {
				k := newKeyring(b, newMemStore(), []envelope.Master{newMaster(b)}, func(c *envelope.Config) { c.NoCompression = !compress })
				b.ReportAllocs()
				b.SetBytes(int64(size))
				run(b, k, answer(size))
			})
		}
	}
}

var benchContext = make([]byte, 64) // a key, an expiry, a number

func BenchmarkSeal(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, k *envelope.Keyring, plain []byte) {
		dst := make([]byte, 0, len(plain)+envelope.Overhead)
		for b.Loop() {
			if _, err := k.Seal(context.Background(), dst, alice, benchContext, plain); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, k *envelope.Keyring, plain []byte) {
		sealed, err := k.Seal(context.Background(), nil, alice, benchContext, plain)
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, len(plain))
		for b.Loop() {
			if _, err := k.Open(context.Background(), dst, alice, benchContext, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSealParallel(b *testing.B) {
	k := newKeyring(b, newMemStore(), []envelope.Master{newMaster(b)})
	plain := answer(2 << 10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		dst := make([]byte, 0, len(plain)+envelope.Overhead)
		for pb.Next() {
			if _, err := k.Seal(context.Background(), dst, alice, benchContext, plain); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkTag(b *testing.B) {
	k := newKeyring(b, newMemStore(), []envelope.Master{newMaster(b)})
	b.ReportAllocs()
	for b.Loop() {
		k.Tag(1, "visibility-check-analysis")
	}
}
