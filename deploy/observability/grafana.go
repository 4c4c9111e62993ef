package observability

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Dashboard is the dashboard of Grafana (schema 39: version 10.4 and later) as JSON, to be
// imported as it is: which data source it reads is a variable. Its rows have the names of
// the pages of the gateway's own dashboard. No panel is empty while nothing happens.
func Dashboard() ([]byte, error) {
	var panels []any
	id, y := 0, 0
	for _, p := range pages() {
		id++
		panels = append(panels, map[string]any{
			"type": "row", "id": id, "title": p.name, "collapsed": false, "panels": []any{},
			"gridPos": place{24, 1, 0, y},
		})
		y++
		x, height := 0, 0
		for _, q := range p.panels {
			if x+q.width > 24 {
				x, y, height = 0, y+height, 0
			}
			id++
			h := q.height()
			panels = append(panels, q.json(id, place{q.width, h, x, y}))
			x += q.width
			height = max(height, h)
		}
		y += height
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any{
		"title": "Forebay", "uid": "forebay", "tags": []string{"forebay", "genai"}, "schemaVersion": 39, "version": 1,
		"description": "Calls to AI models through Forebay. Generated: see package deploy/observability.",
		"editable":    true, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
		"time":       map[string]any{"from": "now-6h", "to": "now"},
		"templating": map[string]any{"list": variables()}, "annotations": map[string]any{"list": []any{}}, "links": []any{},
		"panels": panels,
	})
	if err != nil {
		return nil, fmt.Errorf("observability: the dashboard as JSON: %w", err)
	}
	return b.Bytes(), nil
}

// source is what the variable of the data source stands for.
func source() map[string]string {
	return map[string]string{"type": "prometheus", "uid": "${datasource}"}
}

func variables() []any {
	values := func(name, label, metric string) map[string]any {
		return map[string]any{
			"name": name, "label": label, "type": "query", "datasource": source(), "refresh": 2, "sort": 1,
			"query":      map[string]any{"query": "label_values(" + metric + ", " + name + ")", "refId": name},
			"includeAll": true, "multi": true, "allValue": ".*", "current": map[string]any{"text": "All", "value": "$__all"},
		}
	}
	return []any{
		map[string]any{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": map[string]any{}, "refresh": 1},
		values("instance", "Instance", "forebay_build_info"),
		values("operation", "Operation", "forebay_requests_total"),
	}
}

// place is where a panel stands.
type place struct {
	W int `json:"w"`
	H int `json:"h"`
	X int `json:"x"`
	Y int `json:"y"`
}

// height is in the grid's units of 30 pixels.
func (p panel) height() int {
	if p.kind == "stat" {
		return 4
	}
	return 8
}

func (p panel) json(id int, at place) map[string]any {
	targets := make([]any, len(p.queries))
	for i, q := range p.queries {
		targets[i] = map[string]any{"refId": string(rune('A' + i)), "datasource": source(), "expr": q.expr, "legendFormat": q.legend, "range": true}
	}
	return map[string]any{
		"id": id, "type": p.kind, "title": p.title, "description": p.doc, "gridPos": at, "datasource": source(), "targets": targets,
		"fieldConfig": map[string]any{"defaults": p.defaults(), "overrides": []any{}},
		"options":     p.options(),
	}
}

func (p panel) defaults() map[string]any {
	steps := []any{map[string]any{"color": "green", "value": nil}}
	if p.bad != 0 || p.worse != 0 {
		steps = append(steps, map[string]any{"color": "yellow", "value": p.bad}, map[string]any{"color": "red", "value": p.worse})
	}
	d := map[string]any{
		"unit": p.unit, "min": 0, "noValue": "0",
		"color":      map[string]any{"mode": "palette-classic"},
		"thresholds": map[string]any{"mode": "absolute", "steps": steps},
	}
	if p.kind != "timeseries" {
		d["color"] = map[string]any{"mode": "thresholds"}
	}
	if p.kind == "timeseries" {
		custom := map[string]any{"fillOpacity": 5, "showPoints": "never", "spanNulls": true}
		if p.stack {
			custom["fillOpacity"] = 30
			custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
		}
		d["custom"] = custom
	}
	if len(p.named) > 0 {
		words := map[string]any{}
		for i, w := range p.named {
			words[w.value] = map[string]any{"text": w.text, "color": w.colour, "index": i}
		}
		d["mappings"] = []any{map[string]any{"type": "value", "options": words}}
	}
	return d
}

func (p panel) options() map[string]any {
	reduce := map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	switch p.kind {
	case "stat":
		return map[string]any{"reduceOptions": reduce, "colorMode": "value", "graphMode": "area", "textMode": "auto"}
	case "bargauge":
		return map[string]any{"reduceOptions": reduce, "displayMode": "basic", "orientation": "horizontal"}
	case "state-timeline":
		return map[string]any{"mergeValues": true, "showValue": "auto", "legend": map[string]any{"displayMode": "list", "placement": "bottom"}}
	}
	return map[string]any{
		"legend":  map[string]any{"displayMode": "table", "placement": "right", "calcs": []string{"lastNotNull", "max"}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
}
