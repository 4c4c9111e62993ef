// Package fleet lets several gateways act as one where it matters: they share what a provider grants per minute, they
// know of one another's spending, and they are told when another one's breaker opened.
//
// A Fleet beats once an interval: it tells a Store how this gateway is and reads how the others are. Nothing on a
// request's way waits for it. What it finds out it passes to functions that the caller gives (Config).
//
// # Quotas
//
// Each target's quota is divided by what the gateways ask for (Divide), and who has which part is kept in one record that
// changes only from version to version (Grants). A gateway uses less before it gives a part up, and uses more only after
// the part is recorded as its own. So the parts in use never add up to more than the whole, whatever is lost or delayed
// on the way. Who starts again where one was that fell silent (Config.Place) has its part back after three intervals. While the store does not answer a gateway keeps its part for Config.KeepFor. Then it goes down to an equal part of
// the gateways that it knew last, and after as long again, when the others have done so too, up to it. One that is silent for Config.GoneAfter, three
// times as long, loses its part to the others. The rule has one exception: a gateway that alone is cut off from the store goes on with
// an equal part that the others have taken over; the provider's own 429 answers bound that.
//
// # Budgets
//
// What a gateway has spent and reserved is told with its next beat and heard with the next beat of another. So two
// intervals after a call was admitted, and the time of two requests to the store, every gateway counts it; a
// budget can be overrun by what the others admit in that time, and by no more. Who joins has read the books, and takes over
// what was told since then and in the ten seconds before, which the books may not have had: so ten seconds may count
// twice, and it refuses a little early rather than late. Clocks may differ by some seconds for this. While the store
// does not answer each gateway goes on with what it knows, and tells the rest later.
//
// # Breakers
//
// An open breaker is a hint for the others: package breaker then asks for fewer failures in a row (Breaker.Doubt). It
// opens nothing by itself, because what one gateway cannot reach another one may.
//
// Caches need no fleet: their invalidations are in a journal that each gateway reads (cache.Persistent).
package fleet
