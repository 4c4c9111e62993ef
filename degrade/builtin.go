package degrade

// The built-in texts say three things and nothing else: that this is a prepared
// answer, why, and what to do with the support id. They promise no result, because
// nothing has looked at the request.

func builtinPersonas() map[string]Persona {
	return map[string]Persona{
		// The persona of the specification's example call.
		"Der Profi": {
			ID:     "Der Profi",
			Name:   "Der Profi",
			Locale: "de-DE",
			Tone:   "sachlich, knapp, per Sie",
		},
	}
}

// builtinTemplates covers the general case and the four operations that the
// specification names. The text under "" is the English one.
func builtinTemplates() map[string]map[string]string {
	texts := map[string]map[string]string{
		"": {
			"en": "This is a prepared answer: the AI model is not available at the moment, so your request was not processed. " +
				"Please try again later. Support id: {{support_id}}",
			"de": "Dies ist eine vorbereitete Antwort: Das KI-Modell ist zurzeit nicht verfügbar, Ihre Anfrage wurde nicht bearbeitet. " +
				"Bitte versuchen Sie es später noch einmal. Support-Kennung: {{support_id}}",
		},
		"vc-analysis": {
			"en": "This is a prepared answer: the visibility check could not be run, because the AI model is not available at the moment. " +
				"It contains no findings about your business. Please start the check again later. Support id: {{support_id}}",
			"de": "Dies ist eine vorbereitete Antwort: Der Sichtbarkeits-Check konnte nicht durchgeführt werden, weil das KI-Modell zurzeit nicht verfügbar ist. " +
				"Sie enthält keine Ergebnisse zu Ihrem Betrieb. Bitte starten Sie den Check später noch einmal. Support-Kennung: {{support_id}}",
		},
		"content-generation": {
			"en": "This is a prepared answer: no content was written, because the AI model is not available at the moment. " +
				"Please do not publish this text. Try again later. Support id: {{support_id}}",
			"de": "Dies ist eine vorbereitete Antwort: Es wurde kein Inhalt erstellt, weil das KI-Modell zurzeit nicht verfügbar ist. " +
				"Bitte veröffentlichen Sie diesen Text nicht. Versuchen Sie es später noch einmal. Support-Kennung: {{support_id}}",
		},
		"business-framework": {
			"en": "This is a prepared answer: the business analysis could not be made, because the AI model is not available at the moment. " +
				"It contains no assessment and no recommendation. Please request the analysis again later. Support id: {{support_id}}",
			"de": "Dies ist eine vorbereitete Antwort: Die Geschäftsanalyse konnte nicht erstellt werden, weil das KI-Modell zurzeit nicht verfügbar ist. " +
				"Sie enthält keine Bewertung und keine Empfehlung. Bitte fordern Sie die Analyse später noch einmal an. Support-Kennung: {{support_id}}",
		},
		"persona-detection": {
			"en": "This is a prepared answer: no persona was detected, because the AI model is not available at the moment. " +
				"Please go on with the default persona. Support id: {{support_id}}",
			"de": "Dies ist eine vorbereitete Antwort: Es wurde keine Persona erkannt, weil das KI-Modell zurzeit nicht verfügbar ist. " +
				"Bitte fahren Sie mit der Standard-Persona fort. Support-Kennung: {{support_id}}",
		},
	}
	for _, byLocale := range texts {
		byLocale[""] = byLocale["en"]
	}
	return texts
}
