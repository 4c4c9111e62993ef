package monitor

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// TablesSample is what the tables of DynamoDB cost that a process shares with others. What
// it counts starts with the process and never falls.
type TablesSample struct {
	// Calls are what calls consumed, by their names, which are a closed set: "queue.insert".
	Calls map[string]TableCalls
	// Connections are open now. Opened counts those that were made, and Reused the calls
	// that went over one that was there already.
	Connections, Opened, Reused int64
}

// TableCalls is what calls of one name consumed.
type TableCalls struct {
	// Calls counts all, Throttled those that were refused for want of capacity, and Failed
	// those that failed otherwise; a condition that does not hold is no failure.
	Calls, Throttled, Failed int64
	// ReadUnits and WriteUnits are the capacity units that DynamoDB said it took.
	ReadUnits, WriteUnits float64
}

// tableDescs describes the metrics of TablesSample.
type tableDescs struct {
	calls, throttled, failed, units, connections, opened, reused *prometheus.Desc
}

func newTableDescs(d declare) tableDescs {
	return tableDescs{
		calls:       d.desc("dynamodb_calls_total", "Calls of DynamoDB, each attempt by itself.", "call"),
		throttled:   d.desc("dynamodb_throttled_total", "Calls that DynamoDB refused for want of capacity.", "call"),
		failed:      d.desc("dynamodb_failed_total", "Calls of DynamoDB that failed otherwise.", "call"),
		units:       d.desc("dynamodb_units_total", "Capacity units that calls of DynamoDB consumed; failed conditions, which it charges as well, are not in it.", "call", "kind"),
		connections: d.desc("dynamodb_connections", "Open connections to DynamoDB."),
		opened:      d.desc("dynamodb_connections_opened_total", "Connections to DynamoDB that were made."),
		reused:      d.desc("dynamodb_connections_reused_total", "Calls of DynamoDB that went over a connection that was there already."),
	}
}

func (d tableDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.calls, d.throttled, d.failed, d.units, d.connections, d.opened, d.reused}
}

// collectTables asks the first source that knows: a process has one set of tables.
func (p *pull) collectTables(e emitter, sources []Source) {
	at := slices.IndexFunc(sources, func(s Source) bool { return s.Tables != nil })
	if at < 0 {
		return
	}
	var s TablesSample
	if !p.monitor.ask(func() { s = sources[at].Tables() }) {
		return
	}
	d := p.monitor.metrics.pulled.tables
	for name, c := range s.Calls {
		e.counter(d.calls, float64(c.Calls), name)
		e.counter(d.throttled, float64(c.Throttled), name)
		e.counter(d.failed, float64(c.Failed), name)
		e.counter(d.units, c.ReadUnits, name, "read")
		e.counter(d.units, c.WriteUnits, name, "write")
	}
	e.gauge(d.connections, float64(s.Connections))
	e.counter(d.opened, float64(s.Opened))
	e.counter(d.reused, float64(s.Reused))
}
