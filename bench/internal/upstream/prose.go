package upstream

import (
	"math/rand/v2"
	"strings"
)

// vocabulary is what Prose is made of: the commonest words of English and some of
// the trade.
var vocabulary = strings.Fields(`
the of and to in is that for it with as was on are be this by from or an have not which at but their more can
will one when there if all would these other than been who some into only do may about time new also two has its
over such our like most any made after many could first then must should where through between each before under
same because while during without within another however therefore usually often several different important
possible general large small early later number part place case work system order point question answer result
reason change example value process problem service request message queue cache store record entry index table
column key token model prompt user tenant limit budget latency throughput memory disk network server client
connection retry timeout failure error success response payload header stream chunk batch worker thread lock
write read delete update insert commit durable snapshot backup restore region cluster shard replica leader follower
river mountain winter summer morning evening family school history music letter paper window garden market city
country water light sound colour language science nature energy measure weather engine travel company customer
invoice contract delivery product quality support account balance payment currency percent quarter report analysis
consider explain describe compare suggest require provide include reduce increase improve avoid follow continue
however, moreover, although instead finally, today, yesterday, carefully quickly probably exactly approximately`)

// Prose is an answer as the upstream gives it, of exactly size bytes (400 at the
// least), whose text is words in a random order that seed decides. zstd makes about
// half of it, as it does of what models write; the repeated words of the other
// answers would shrink to nothing.
func Prose(size int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := append(make([]byte, 0, size), wholeHead...)
	end := size - len(wholeTail)
	for len(b) < end {
		b = append(append(b, vocabulary[r.IntN(len(vocabulary))]...), ' ')
	}
	return append(b[:end], wholeTail...)
}
