// Package observability makes the files with which others watch Forebay: a dashboard for
// Grafana, a scrape configuration for Prometheus, one for the OpenTelemetry collector, and
// the reference of metrics among the docs. Each is made from what the code says of itself,
// committed as it was made, and compared with that by a test; run the package's tests with
// -update to write them anew. Nothing of it runs in the gateway; the command "forebay alarms
// export" prints the dashboard.
package observability
