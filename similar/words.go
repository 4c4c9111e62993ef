package similar

import "sync"

// language is what a text is taken to be written in. It decides what may be left
// out: "die" is an article in German and anything but in English.
type language uint8

const (
	unknown language = iota
	english
	german
)

// class says what a function word does. The classes name a difference; that there is
// one is found without them, since only what is known to be harmless is left out.
type class uint8

const (
	plain      class = iota
	negation         // not, without, kein
	question         // who, when, wie viel; and modal verbs
	comparison       // more, before, open: words whose opposite is as likely
	person           // I, your, ihm
	function         // the rest: articles, prepositions, auxiliaries
)

// words has the function words of a language, and those of the other classes. They are
// taken apart at their first use: most processes never look for similar requests.
var words = sync.OnceValue(func() map[language]map[string]class {
	return map[language]map[string]class{
		english: classes(
			"not no never none nobody nothing nowhere neither nor without cannot hardly barely except unless instead lack fail failed "+
				"n't dont doesnt didnt isnt arent wasnt werent wont cant couldnt wouldnt shouldnt hasnt havent hadnt non unable",
			"who whom whose what which when where why how whether if can could may might must shall should will would",
			"more less most least before after above below over under up down in out on off open close opened closed increase decrease raise "+
				"lower higher high low first last early late earlier later older newer old new larger smaller bigger big small longer shorter "+
				"long short faster slower fast slow better worse best worst enable disable start stop begin end add remove insert delete "+
				"allow deny accept reject include exclude buy sell send receive deposit withdraw credit debit true false always sometimes "+
				"only all some any every each both left right north south east west inside outside minimum maximum min max win lose "+
				"lock unlock activate deactivate install uninstall import export encrypt decrypt hot cold warm safe dangerous legal illegal "+
				"possible impossible to from with since until",
			"i me my mine myself you your yours yourself he him his she her hers it its we us our ours they them their theirs",
			"the a an this that these those there here am is are was were be been being do does did done have has had having and or but so because as at by for "+
				"of about into onto through between during against than then too very also just please let get got go",
		),
		german: classes(
			"nicht nichts nie niemals niemand nirgends nirgendwo kein keine keinen keinem keiner keines ohne weder noch außer statt anstatt "+
				"kaum mitnichten keinesfalls keineswegs ungern doch sondern",
			"wer wen wem wessen was welche welcher welches welchen welchem wann wo woher wohin warum wieso weshalb wie wieviel wozu womit "+
				"wodurch ob wenn falls kann kannst können könnt konnte konnten könnte könnten könntest darf darfst dürfen dürfte muss musst "+
				"müssen müsste musste soll sollst sollen sollte sollten will willst wollen wollte möchte möchten möchtest würde würden",
			"mehr weniger meist meisten wenigsten mindestens höchstens vor nach über unter auf ab oben unten innen außen hoch niedrig höher "+
				"niedriger tiefer erste letzte früh spät früher später älter jünger neuer alt neu größer kleiner groß klein länger kürzer lang "+
				"kurz schneller langsamer schnell langsam besser schlechter beste schlechteste öffnen schließen erhöhen senken steigen sinken "+
				"heben starten stoppen beginnen enden hinzufügen entfernen einfügen löschen erlauben verbieten annehmen ablehnen kaufen "+
				"verkaufen senden empfangen einzahlen abheben einschalten ausschalten aktivieren deaktivieren sperren entsperren installieren "+
				"deinstallieren verschlüsseln entschlüsseln links rechts norden süden osten westen warm kalt heiß gewinnen verlieren wahr "+
				"falsch immer manchmal nur alle einige jeder jede jedes beide möglich unmöglich legal illegal sicher gefährlich zu von mit "+
				"seit bis aus an ein",
			"ich mir mich mein meine meinen meinem meiner meines du dir dich dein deine deinen deinem deiner deines er ihm ihn sein seine "+
				"seinen seinem seiner seines sie ihr ihre ihren ihrem ihrer ihres ihnen es wir uns unser unsere unseren unserem unserer euch euer "+
				"eure euren man sich",
			"der die das den dem des eine einen einem einer eines dieser diese dieses diesen diesem jener jene bin bist ist sind seid war waren warst "+
				"gewesen hat habe haben hast hatte hatten habt wird werden werde wurde wurden worden und oder aber denn weil dass als auch "+
				"so in im ins am beim zum zur vom bei für gegen durch um während wegen zwischen da dort hier dann bitte mal",
		),
	}
})

// classes makes a table of five lists, of which the first to name a word decides.
func classes(negations, questions, comparisons, persons, functions string) map[string]class {
	table := map[string]class{}
	for _, list := range []struct {
		words string
		class class
	}{{negations, negation}, {questions, question}, {comparisons, comparison}, {persons, person}, {functions, function}} {
		for w := range fieldsOf(list.words) {
			if _, there := table[w]; !there {
				table[w] = list.class
			}
		}
	}
	return table
}

// languageOf is the language that most of the function words in units belong to: at
// least one, and twice as many as of the other language. Words of both count for
// neither.
func languageOf(units []unit) language {
	var hits [3]int
	for i := range units {
		if units[i].kind != kindWord {
			continue
		}
		_, en := words()[english][units[i].text]
		_, de := words()[german][units[i].text]
		switch {
		case en && !de:
			hits[english]++
		case de && !en:
			hits[german]++
		}
	}
	switch {
	case hits[english] > 0 && hits[english] >= 2*hits[german]:
		return english
	case hits[german] > 0 && hits[german] >= 2*hits[english]:
		return german
	}
	return unknown
}

// isFunctionWord reports whether w says little of what a text is about, in either
// language.
func isFunctionWord(w string) bool {
	en, de := words()[english][w], words()[german][w]
	return en == function || en == person || en == question || de == function || de == person || de == question
}

// mayAsk are the words other than question words that begin a question: verbs.
var mayAsk = map[language]map[string]bool{
	english: set("do does did is are was were am have has had can could may might must shall should will would"),
	german: set("ist sind bin bist seid war waren hat habe haben hast habt hatte hatten wird werden werde wirst wurde wurden kann kannst " +
		"können könnt konnte könnte könnten könntest darf darfst dürfen muss musst müssen soll sollst sollen sollte sollten will willst " +
		"wollen möchte möchten möchtest würde würden würdest gibt geht"),
}

// fragments are endings that an apostrophe joins to an English word; those whose
// meaning depends on the sentence ('s, 'd) are resolved where they can be.
var fragments = map[string]string{"'re": "are", "'ve": "have", "'ll": "will", "'m": "am"}

// contracted are English words written in one, with and without their apostrophes,
// and German prepositions with their article.
var contracted = map[language]map[string]string{
	english: {
		"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "cant": "can not", "dont": "do not",
		"doesnt": "does not", "didnt": "did not", "isnt": "is not", "arent": "are not", "wasnt": "was not", "werent": "were not",
		"couldnt": "could not", "wouldnt": "would not", "shouldnt": "should not", "hasnt": "has not", "havent": "have not",
		"hadnt": "had not", "im": "i am", "ive": "i have", "what's": "what is", "whats": "what is", "where's": "where is", "who's": "who is",
		"how's": "how is", "when's": "when is", "why's": "why is", "that's": "that is", "there's": "there is", "i'd": "i would",
	},
	german: {
		"im": "in dem", "ins": "in das", "am": "an dem", "ans": "an das", "zum": "zu dem", "zur": "zu der", "vom": "von dem",
		"beim": "bei dem", "fürs": "für das", "ums": "um das", "aufs": "auf das", "durchs": "durch das", "wieviel": "wie viel",
	},
}

// synonyms are words that mean the same wherever they stand.
var synonyms = map[language]map[string]string{
	english: {"okay": "ok", "percent": "%", "euro": "€", "euros": "€"},
	german:  {"prozent": "%", "euro": "€", "jedoch": "aber", "circa": "ca"},
}

// aboutWords are words of texts that may be about words: there a courtesy may be what
// the text is about ("Translate into German: thank you").
var aboutWords = set("translate translated translation translating say says said saying tell spell spelled pronounce mean means meaning " +
	"meant write writes written writing wrote reply replies respond response answer answers read quote word words phrase phrases sentence " +
	"sentences text texts message messages letter letters email emails mail note greet greeting greetings language languages rephrase " +
	"summarise summarize paraphrase correct proofread rewrite complete repeat print output echo type count english german french spanish " +
	"italian übersetze übersetzen übersetzt übersetzung sag sage sagen sagt gesagt heißt heißen hieß bedeutet bedeuten bedeutung schreib " +
	"schreibe schreiben schreibt geschrieben antworte antworten antwort lies lesen wort worte wörter satz sätze text texte nachricht " +
	"nachrichten brief briefe mail mails sprache sprachen begrüßung englisch englische deutsch deutsche französisch französische formuliere " +
	"korrigiere verbessere wiederhole ausgabe gib zähle buchstabiere")

func set(list string) map[string]bool {
	m := map[string]bool{}
	for w := range fieldsOf(list) {
		m[w] = true
	}
	return m
}
