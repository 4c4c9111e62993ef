package config

import "github.com/forebay-ai/forebay/config/internal/settings"

// What a directory of texts holds stands at each key that names one, in these words.
const textFiles = "OPERATION.LOCALE.txt, OPERATION.txt, default.LOCALE.txt and default.txt, in UTF-8. " +
	"What follows the last point before .txt is the locale where it has the form of one (de, de-DE), unless the whole is the name of an operation. " +
	"A file may begin with a line of ---, a line such as version: 3 and another line of ---. Changed files are read again while the gateway runs."

// templatesDirKey stands with the keys of the top level.
func templatesDirKey() *settings.Key {
	return &settings.Key{
		Path: "templates_dir", Kind: settings.Text, Example: "templates",
		Doc: "A directory of prepared texts for all personas, relative to the file: " + textFiles,
	}
}

// One table on purpose: rows read best together.
func personaKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "personas.*.name", Kind: settings.Text, Example: "Der Profi",
			Doc: "What {{persona}} inserts. Without it, the persona's name here. The persona called default serves calls that name none, or one that is not configured.",
		},
		{
			Path: "personas.*.locale", Kind: settings.Text, Example: "de-DE",
			Doc: "The language of prepared texts for this persona, where a call asks for none.",
		},
		{
			Path: "personas.*.tone", Kind: settings.Text, Example: "factual, brief",
			Doc: "How texts address the persona; a note for their authors, which texts cannot insert.",
		},
		{
			Path: "personas.*.templates", Kind: settings.Text, Example: "templates/profi",
			Doc: "A directory of prepared texts for this persona alone, which go before all others, with the files of templates_dir.",
		},
		{
			Path: "templates.*.*", Kind: settings.Text, Example: "Please try again later. Support id: {{support_id}}",
			Doc: "Prepared texts by operation and locale, each of which may be default. They may use {{operation}}, {{persona}}, {{support_id}}, {{retry_after}} (in seconds) and the names under template_variables. One text stands here or in templates_dir, not in both.",
		},
		{
			Path: "template_variables.*", Kind: settings.Text, Example: "+49 89 1234567",
			Doc: "What prepared texts may insert besides, such as {{support_phone}}: names of 1 to 40 of a-z 0-9 _, at most 100 of them, and texts of at most 1024 bytes.",
		},
		{
			Path: "degrade.enabled", Kind: settings.Bool, Initial: "true", Env: "ENABLE_GRACEFUL_DEGRADATION",
			Doc: "Whether fallbacks are used at all. Without them a call that every target failed is an error.",
		},
	}
}
