package similar_test

import (
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/similar"
	"pgregory.net/rapid"
)

// alike are pairs whose answer is one.
var alike = [][2]string{
	// Spelling: white space, Unicode, punctuation, capitals at the beginning.
	{"How do I reset my password?", "how do i  reset my password ?"},
	{"Où est la gare", "Ou\u0300 est la gare"},
	{"My card is lost, what now?", "My card is lost what now?"},
	{"Can I top up by card?", "Can I top-up by card?"},
	{"Das Team, das gewann, fuhr heim.", "Das Team das gewann fuhr heim"},
	{"He called it “Dream”.", "He called it \"Dream\"."},
	{"Der Film „Dream“ lief 1961.", "Der Film „Dream” lief 1961."},
	{"It ran 1990 – 1995 in Rome.", "It ran 1990-1995 in Rome."},
	// Contractions.
	{"Why can't I log in?", "Why cannot I log in?"},
	{"What's the fee for a transfer?", "What is the fee for a transfer?"},
	{"I haven’t got the card", "I have not got the card"},
	{"Wie komme ich zum Bahnhof?", "Wie komme ich zu dem Bahnhof?"},
	{"Was gibt es im Haus?", "Was gibt es in dem Haus?"},
	// Numbers.
	{"Give me two reasons for it", "Give me 2 reasons for it"},
	{"Who was the third king of Rome?", "Who was the 3rd king of Rome?"},
	{"Als er sechzehn Jahre alt war, zog er um.", "Als er 16 Jahre alt war, zog er um."},
	{"Wer war der dritte König?", "Wer war der 3. König?"},
	{"What do you get for 1,000 points?", "What do you get for 1000 points?"},
	{"Was bekomme ich für 1.000 Punkte?", "Was bekomme ich für 1000 Punkte?"},
	{"Is 1,000,000 a square number?", "Is 1000000 a square number?"},
	{"Is there a fee of 5 percent?", "Is there a fee of 5%?"},
	{"Gibt es 5 % Rabatt für mich?", "Gibt es 5 Prozent Rabatt für mich?"},
	{"Do I get €20 for it?", "Do I get 20 euros for it?"},
	// Courtesies and frames.
	{"Please reset my password for the app", "Reset my password for the app"},
	{"Could you please reset the password of the app", "Could you reset the password of the app"},
	{"Hello! Where is my new card?", "Where is my new card?"},
	{"Where is my new card? Thanks in advance!", "Where is my new card?"},
	{"Hallo, wo ist meine neue Karte? Vielen Dank!", "Wo ist meine neue Karte?"},
	{"Kannst du mir bitte die Karte sperren?", "Kannst du mir die Karte sperren?"},
	{"How do I change my address?", "How can I change my address?"},
	{"How to change my address?", "How do I change my address?"},
	{"Can you tell me how to change my address?", "How to change my address?"},
	{"I would like to close my account", "I want to close my account"},
	{"I'd like to close my account", "I want to close my account"},
	{"Ich will mein Konto schließen", "Ich möchte mein Konto schließen"},
	{"red, green and blue are the colours", "red, green, blue are the colours"},
	{"Er mag Bach, Mozart und Haydn nicht.", "Er mag Bach, Mozart, Haydn nicht."},
}

func TestAgree(t *testing.T) {
	for _, p := range alike {
		if ok, d := similar.Agree(p[0], p[1]); !ok || d != similar.None {
			t.Errorf("%q and %q differ in %s, want them to agree", p[0], p[1], d)
		}
		if ok, d := similar.Agree(p[1], p[0]); !ok {
			t.Errorf("%q and %q differ in %s, want them to agree", p[1], p[0], d)
		}
	}
}

// different are pairs that need two answers, by what tells them apart first.
var different = map[similar.Difference][][2]string{
	similar.Numbers: {
		{"How do I buy 2 tickets?", "How do I buy 3 tickets?"},
		{"How do I buy two tickets?", "How do I buy three tickets?"},
		{"What is 1.000 in words?", "What is 1000 in words?"},
		{"Was ist 1,000 in Worten?", "Was ist 1000 in Worten?"},
		{"What is 1.5 of it?", "What is 15 of it?"},
		{"What is version 1.10 of it?", "What is version 1.1 of it?"},
		{"Who was the 3rd man?", "Who was the 3 man?"},
		{"Is it at 11:30 or later?", "Is it at 11:45 or later?"},
		{"Was geschah am 31. Oktober 2015?", "Was geschah am 13. Oktober 2015?"},
		{"Pay $20 to him", "Pay €20 to him"},
		{"Is it 5% of that?", "Is it 5 of that?"},
		{"Er kommt in zwei Tagen", "Er kommt in drei Tagen"},
		{"What is in the room on the first floor?", "What is in the room on the third floor?"},
	},
	similar.Negations: {
		{"What should I do to eat less?", "What should I not do to eat less?"},
		{"Why can I log in?", "Why can't I log in?"},
		{"Why does it work?", "Why doesn't it work?"},
		{"Tell me about life without you", "Tell me about life with you"},
		{"Ist das erlaubt?", "Ist das nicht erlaubt?"},
		{"Ich habe ein Konto", "Ich habe kein Konto"},
		{"Er kommt mit dem Hund", "Er kommt ohne den Hund"},
		{"Warum war er dort nie?", "Warum war er dort?"},
		{"No one is here", "Everyone is here"},
	},
	similar.Quotes: {
		{`What does "bank" mean?`, `What does "bark" mean?`},
		{`What does "Bank" mean?`, `What does "bank" mean?`},
		{"Was heißt „gehen“ auf Englisch?", "Was heißt „kommen“ auf Englisch?"},
		{"Who wrote 'Dream'?", "Who wrote Dream?"},
		{"Who made ``Dream''?", "Who made ``Drama''?"},
	},
	similar.Code: {
		{"What does `a && b` do?", "What does `a || b` do?"},
		{"What is wrong with ```\nif a:\n  b\n```", "What is wrong with ```\nif a:\nb\n```"},
	},
	similar.Identifiers: {
		{"Who is at a@example.com?", "Who is at b@example.com?"},
		{"What is at https://example.com/a?", "What is at https://example.com/A?"},
		{"Where is my order AB-1234?", "Where is my order AB-1235?"},
		{"What is new in v1.2.3?", "What is new in v1.2.4?"},
		{"What is in C:\\a.txt?", "What is in C:\\b.txt?"},
		{"How do I learn C++?", "How do I learn C#?"},
		{"Take 5g of it", "Take 5mg of it"},
		{"What does it cost in the U.S.A?", "What does it cost in the U.S?"},
	},
	similar.Names: {
		{"When was the mayor of Paris born?", "When was the mayor of London born?"},
		{"How do I make Polish food?", "How do I make polish food?"},
		{"What does it cost in the US?", "What does it cost in the us?"},
		{"Wann kommen Sie zu ihm?", "Wann kommen sie zu ihm?"},
		{"Wo wohnt der Bürgermeister?", "Wo wohnt der Baumeister?"},
	},
	similar.Persons: {
		{"Can I change my name?", "Can I change your name?"},
		{"Where is he?", "Where is she?"},
		{"Wie finde ich meinen Bruder?", "Wie finde ich deinen Bruder?"},
	},
	similar.Questions: {
		{"When did she go there?", "Where did she go there?"},
		{"Who was there?", "Why was there?"},
		{"How long is it?", "Is it long?"},
		{"Wann war das?", "Wo war das?"},
		{"Can I do that?", "Must I do that?"},
		{"It is open now", "It is open now?"},
		{"Er kann das machen", "Er muss das machen"},
	},
	similar.Comparisons: {
		{"What happens before the start of it?", "What happens after the start of it?"},
		{"Is it more than that?", "Is it less than that?"},
		{"How do I open an account?", "How do I close an account?"},
		{"What goes from the bank?", "What goes to the bank?"},
		{"Wie kann ich den Preis erhöhen?", "Wie kann ich den Preis senken?"},
		{"Was geschah vor dem Krieg?", "Was geschah nach dem Krieg?"},
		{"Is it possible to do that?", "Is it impossible to do that?"},
		{"Wie kann ich das Licht einschalten?", "Wie kann ich das Licht ausschalten?"},
	},
	similar.Order: {
		{"Does the dog bite the man?", "Does the man bite the dog?"},
		{"Is Rome nearer to Milan?", "Is Milan nearer to Rome?"},
		{"How far is it from Rome to Milan?", "How far is it from Milan to Rome?"},
		{"Wen schlug Peter, als Paul gewann?", "Wen schlug Paul, als Peter gewann?"},
		{"Was it announced in May and sold in June?", "Was it sold in May and announced in June?"},
		{"Den Hund beißt der Mann", "Der Hund beißt den Mann"},
		{"Die Studios gründete Herbert und leitete Markus.", "Die Studios gründete Markus und leitete Herbert."},
	},
	similar.Punctuation: {
		{"Hängen, nicht begnadigen!", "Hängen nicht, begnadigen!"},
		{"Delete it, all users stay", "Delete it all, users stay"},
		{"What do black and white mean?", "What do black white mean?"},
	},
	similar.Words: {
		{"Was war das große Haus?", "Was war das rote Haus?"},
		{"What is time?", "What is the time?"},
		{"How do I cancel it?", "How do I confirm it?"},
		{"Why is it unusual?", "Why is it usual?"},
	},
	similar.Symbols: {
		{"What is a > b here?", "What is a < b here?"},
		{"What is 2 * ( 3 + 4 ) now?", "What is 2 * 3 + 4 now?"},
		{"Is it -5 there?", "Is it 5 there?"},
		{"What is 5! here?", "What is 5 here?"},
		{"Was ist (das) hier?", "Was ist das hier?"},
		{"Is this fine?\n  a b", "Is this fine?\na b"},
		{"Sum a\t\tb here", "Sum a\tb here"},
		{"Is !done here?", "Is done here?"},
		{"Is it .NET there?", "Is it NET there?"},
	},
	similar.Language: {
		{"What is in the box?", "Was ist in der box?"},
	},
	similar.Length: {
		{strings.Repeat("a", similar.MaxText+1), "a"},
	},
}

func TestAgreeRefuses(t *testing.T) {
	for want, pairs := range different {
		for _, p := range pairs {
			if ok, d := similar.Agree(p[0], p[1]); ok || d != want {
				t.Errorf("%.80q and %.80q: agree %v, differ in %q, want %q", p[0], p[1], ok, d, want)
			}
		}
	}
}

// refused are pairs that need two answers, whatever they are told apart by.
var refused = [][2]string{
	// What looks like a courtesy is what the text is about.
	{"Translate into German: thank you", "Translate into German: hello"},
	{"Translate into German. Thank you.", "Translate into German."},
	{"How do you say please?", "How do you say?"},
	{"Hello. How do I say that in German?", "Hi. How do I say that in German?"},
	{"Thanks!", "Hello!"},
	{"Danke", "Hallo"},
	{"Was heißt bitte auf Englisch?", "Was heißt auf Englisch?"},
	{"How do I please my boss?", "How do I my boss?"},
	// What looks like a frame is not.
	{"How do I look?", "How can I look?"},
	{"Do you know?", "Tell me"},
	{"Let me know when it is here", "Tell me when it is here"},
	// What looks like an article is not.
	{"What does vitamin a do?", "What does vitamin do?"},
	{"Will I die of it?", "Will I of it?"},
	{"What are a few of them?", "What are few of them?"},
	// Languages that are not known.
	{"quanto costa", "quando costa"},
	{"un chat noir", "un noir chat"},
	{"これは本です", "これは本ですか"},
	// Small things.
	{"Take .5 of it", "Take 5 of it"},
	{"Is it a grade A- there?", "Is it a grade A there?"},
	{"Is 5 - 3 of it?", "Is 5 3 of it?"},
	{"Is it 5'' there?", "Is it 5' there?"},
	{"Is it 👍 there?", "Is it 👎 there?"},
	{"Is it x² there?", "Is it x there?"},
	{"Do *not* do it", "Do not do it"},
	{"Der Wert ist null", "Der Wert ist 0"},
	{"Does it cost 1 or 2?", "Does it cost 1, 2?"},
	{"What is re-sent here?", "What is resent here?"},
	{"", "a"},
}

func TestAgreeRefusesInDoubt(t *testing.T) {
	for _, p := range refused {
		for _, q := range [][2]string{p, {p[1], p[0]}} {
			if ok, _ := similar.Agree(q[0], q[1]); ok {
				t.Errorf("%q and %q agree, want them refused", q[0], q[1])
			}
		}
	}
}

// text draws texts that are like those of requests, and some that are not.
func text() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom(strings.Fields("the a how do I can you please not no is and und der die nicht kein Rome Paris password reset 1,000 1.000 2 two 3rd "+
			"zwei dritte can't I'd im zum „Dream“ \"x\" `code` a@b.c https://x.y/z C++ -5 5% €20 hi, Hallo, thanks! bitte ? . ! , – ( ) < > ' ’ ` `` ``` ″")),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for _, p := range rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces") {
			b.WriteString(p)
			b.WriteString(rapid.SampledFrom([]string{" ", " ", " ", "", "\n", ", "}).Draw(t, "between"))
		}
		return b.String()
	})
}

func TestAgreeIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := text().Draw(t, "a")
		b := rapid.OneOf(text(), rapid.Just(strings.ToLower(a)), rapid.Just("Hi! "+a), rapid.Just(a+" please")).Draw(t, "b")
		ok, d := similar.Agree(a, b)
		if back, e := similar.Agree(b, a); ok != back || d != e {
			t.Fatalf("%q and %q: %v %s, the other way round %v %s", a, b, ok, d, back, e)
		}
		if ok != (d == similar.None) {
			t.Fatalf("%q and %q: %v but %q", a, b, ok, d)
		}
	})
}

func TestTextAgreesWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := text().Draw(t, "a")
		// White space at the ends is no difference, and takes Agree past its short cut.
		if ok, d := similar.Agree(a, a+" "); !ok && d != similar.Length {
			t.Fatalf("%q differs from itself in %s", a, d)
		}
	})
}
