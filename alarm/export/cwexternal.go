package export

import (
	"maps"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// The namespaces of AWS's own metrics that are known here.
const (
	spaceLambda   = "AWS/Lambda"
	spaceDynamoDB = "AWS/DynamoDB"
	spaceBedrock  = "AWS/Bedrock"
)

// tableOperations are the calls of a table that DynamoDB counts throttled requests by: it
// has no sum of them. Those that Forebay's store makes; an alarm takes ten metrics.
func tableOperations() []string {
	return []string{"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem", "Scan"}
}

// BedrockAlarms are alarms on what Bedrock itself measures of its models, to be added to a
// profile where calls go there: each is an External definition.
func BedrockAlarms() []alarm.Definition {
	one := func(name, metric string, severity alarm.Severity, most float64, message, do string) alarm.Definition {
		return alarm.Definition{
			Name: name, Severity: severity, External: true,
			Measure: alarm.Measure{Metric: spaceBedrock + " " + metric, Stat: "sum", Window: time.Minute},
			Op:      ">", Threshold: most, Unit: "requests", M: 2, N: 3, Missing: alarm.MissingIsOK, Message: message, Do: do,
			Runbook: "docs/cloudwatch.md#" + name,
		}
	}
	return []alarm.Definition{
		one("bedrock-throttling", "InvocationThrottles", alarm.Warning, 10, "Bedrock refuses calls of a model: its quota of requests or tokens is spent.",
			"Lower limits.max_concurrent or the tokens a call may answer with, route to another inference profile, or have the quota raised."),
		one("bedrock-server-errors", "InvocationServerErrors", alarm.Critical, 5, "Bedrock fails by its own fault.",
			"See the AWS Health page of the Region; other targets of the model take the calls where there are some."),
		one("bedrock-client-errors", "InvocationClientErrors", alarm.Warning, 10, "Bedrock rejects calls of a model as invalid.",
			"See the log of calls for the rejected parameter, model or permission."),
	}
}

// addExternal makes the alarms of a definition on a metric of AWS: one for each function,
// table, index or model that it is measured of.
func (c *CloudWatch) addExternal(d alarm.Definition, cfg CloudWatchConfig) error {
	space, metric, _ := strings.Cut(d.Metric, " ")
	r := rendering{Definition: d, cfg: cfg, namespace: space, name: cfg.Prefix + d.Name, m: names.Metric{Name: metric, Scale: 1}}
	add := func(suffix string, dimensions map[string]string) {
		one := r
		one.dimensions = dimensions
		if suffix != "" {
			one.name += "-" + suffix
		}
		c.Alarms = append(c.Alarms, one.alarm())
	}
	switch {
	case space == spaceLambda && len(cfg.Functions) > 0: // without names, of all of the account: below
		for _, function := range cfg.Functions {
			add(function, map[string]string{"FunctionName": function})
		}
	case space == spaceBedrock:
		for _, model := range cfg.Models {
			add(model, map[string]string{"ModelId": model})
		}
		if len(cfg.Models) == 0 {
			c.leave(d, "no models are named")
		}
	case space == spaceDynamoDB && metric != "UserErrors": // which AWS counts for the whole account
		if metric == "ThrottledRequests" || metric == "SystemErrors" {
			r.operations = tableOperations()
		}
		for _, table := range cfg.Tables {
			c.addTable(table, metric, add)
		}
		if len(cfg.Tables) == 0 {
			c.leave(d, "no tables are named")
		}
	default:
		add("", nil)
	}
	return nil
}

// addTable makes the alarm of a table, and of its indexes where DynamoDB measures them by
// themselves: a table's figures do not have those of its indexes in them.
func (c *CloudWatch) addTable(table Table, metric string, add func(string, map[string]string)) {
	of := map[string]string{"TableName": table.Name}
	add(table.Name, of)
	if !strings.HasSuffix(metric, "ThrottleEvents") {
		return
	}
	for _, index := range table.Indexes {
		dimensions := maps.Clone(of)
		dimensions["GlobalSecondaryIndexName"] = index
		add(table.Name+"-"+index, dimensions)
	}
}
