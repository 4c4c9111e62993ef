package config

import (
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/route"
)

func strategies() []string {
	var all []string
	for _, s := range route.Strategies() {
		all = append(all, string(s))
	}
	return all
}

// targetKeys say where a target runs and what it takes. One table on purpose: rows read
// best together.
func targetKeys() []*settings.Key {
	const at = "models.*.targets[]."
	return []*settings.Key{
		{
			Path: "models.*.strategy", Kind: settings.Choice, Choices: strategies(), Initial: string(route.Ordered),
			Doc: "Which target is tried first: ordered (as they are listed), weighted (by weight), fastest (whose first token came soonest lately) or cheapest (by price). The others follow when it fails.",
		},
		{
			Path: at + "weight", Kind: settings.Number, Example: "2",
			Doc: "The target's share of the calls with the strategy weighted, beside the weights of the others. Without it, 1.",
		},
		{
			Path: at + "region", Kind: settings.Text, Example: "eu-central-1",
			Doc: "Where the target runs. When most targets of a region refuse calls, those of other regions go first.",
		},
		{
			Path: at + "residency", Kind: settings.Text, Example: "eu",
			Doc: "The area that data does not leave there: eu, or a part of it such as eu-de. Calls that are bound to an area go to targets marked with it, or with a part of it, and to no others.",
		},
		{
			Path: at + "context_window", Kind: settings.Int, Low: 0, High: 1 << 40, Initial: "0",
			Doc: "Tokens that the model takes, prompt and answer together. A request that is too long for one target goes on to one with a larger window, if that is known. 0 means unknown.",
		},
		{
			Path: at + "requests_per_minute", Kind: settings.Int, Low: 0, High: 1 << 40, Initial: "0",
			Doc: "What the provider grants. Calls beyond it go to other targets, or wait. 0 means no bound.",
		},
		{
			Path: at + "tokens_per_minute", Kind: settings.Int, Low: 0, High: 1 << 50, Initial: "0",
			Doc: "What the provider grants. A call reserves its prompt and the longest answer that it allows, and gives back at its end what it did not use. 0 means no bound.",
		},
		{
			Path: at + "output_burndown", Kind: settings.Number, Example: "5",
			Doc: "Tokens of the quota that one token of an answer costs at the end: 5 for Claude models from 3.7 on Amazon Bedrock. Without it, 1.",
		},
		{
			Path: at + "max_concurrent", Kind: settings.Int, Low: 0, High: 1_000_000, Initial: "0",
			Doc: "Calls in progress to this target. 0 means limits.max_concurrent.",
		},
	}
}

// courseKeys say how a call goes about failures. Operations have them, and defaults.
func courseKeys(under string) []*settings.Key {
	return []*settings.Key{
		{
			Path: under + ".first_token_timeout", Kind: settings.Duration, Low: 0, High: day, Example: "10s",
			Doc: "Bounds the wait for the first useful token of a stream; the next target is tried then. While there is another target, half of the time that is left is the bound too. 0 means no bound of its own.",
		},
		{
			Path: under + ".min_throughput", Kind: settings.Number, Example: "5",
			Doc: "Characters a second that a stream brings at least, from its first token on, over throughput_window. Time that the caller takes to read does not count. 0 means no bound.",
		},
		{
			Path: under + ".throughput_window", Kind: settings.Duration, Low: ms, High: day, Example: "20s",
			Doc: "The time over which min_throughput is judged.",
		},
		{
			Path: under + ".hold", Kind: settings.Text, Example: "all",
			Doc: "How many useful pieces of a stream are held back before the first is passed on: until then a failing target is replaced unseen. all holds the whole answer, up to 1 MiB: no broken stream is ever seen, and the first token comes with the last.",
		},
		{
			Path: under + ".residency", Kind: settings.Text, Example: "eu",
			Doc: "The area that calls do not leave; see the residency of targets. A call may ask for a part of it in x-forebay-residency.",
		},
		{
			Path: under + ".simplified.model", Kind: settings.Text, Example: "small",
			Doc: "The model that the fallback simplified asks: a name under models.",
		},
		{
			Path: under + ".simplified.max_tokens", Kind: settings.Int, Low: 0, High: 1 << 30, Example: "300",
			Doc: "The longest answer that the fallback simplified asks for, in tokens. 0 means as the call says.",
		},
	}
}

// setCourse gives the defaults of courseKeys to those of the default operation: those
// of package pace, and that streams are passed on from their first useful piece.
func setCourse(keys []*settings.Key) {
	initial := map[string]string{
		"defaults.first_token_timeout": "60s", "defaults.min_throughput": "5", "defaults.throughput_window": "20s", "defaults.hold": "1",
	}
	for _, k := range keys {
		if text, ok := initial[k.Path]; ok {
			k.Initial = text
		}
	}
}
