package simulated

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/forebay-ai/forebay/llm"
)

// faultList is what GET /simulated/faults answers.
type faultList struct {
	Faults []FaultState `json:"faults"`
}

func (p *Provider) serveFaults(w http.ResponseWriter, _ *http.Request) {
	writeValue(w, faultList{p.Faults()})
}

// replaceFaults sets the faults of a PUT, and none for a DELETE.
func (p *Provider) replaceFaults(w http.ResponseWriter, r *http.Request) {
	var faults []Fault
	if r.Method == http.MethodPut && !readValue(w, r, &faults) {
		return
	}
	if err := p.SetFaults(faults); err != nil {
		writeError(w, llm.Errorf(llm.CallerInvalidRequest, "%v", err))
		return
	}
	p.serveFaults(w, r)
}

// serveCalls shows the log, and empties it for a DELETE.
func (p *Provider) serveCalls(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		p.ResetCalls()
	}
	writeValue(w, p.Calls())
}

// serveConfig shows the settings, and changes those that a PUT names.
func (p *Provider) serveConfig(w http.ResponseWriter, r *http.Request) {
	settings := p.Settings()
	if r.Method == http.MethodPut {
		if !readValue(w, r, &settings) {
			return
		}
		if err := p.Set(settings); err != nil {
			writeError(w, llm.Errorf(llm.CallerInvalidRequest, "%v", err))
			return
		}
	}
	writeValue(w, settings)
}

// readValue reads the one JSON value of a body, without members that nobody
// knows. It answers the request and reports false where that fails.
func readValue(w http.ResponseWriter, r *http.Request, value any) bool {
	body, e := readBody(w, r)
	if e != nil {
		writeError(w, e)
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(value)
	if err == nil && !errors.Is(d.Decode(new(json.RawMessage)), io.EOF) {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		writeError(w, llm.Errorf(llm.CallerInvalidRequest, "%v", err))
		return false
	}
	return true
}

func writeValue(w http.ResponseWriter, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		writeError(w, llm.Errorf(llm.ForebayInternal, "%v", err))
		return
	}
	writeJSON(w, http.StatusOK, append(body, '\n'))
}
