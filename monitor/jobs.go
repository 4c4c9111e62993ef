package monitor

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// JobEvent is what happened to a durable job. The set is closed.
type JobEvent string

// The events.
const (
	JobAccepted      JobEvent = "accepted"
	JobRefused       JobEvent = "refused"
	JobClaimed       JobEvent = "claimed"
	JobCompleted     JobEvent = "completed"
	JobFailed        JobEvent = "failed"
	JobTimeout       JobEvent = "timeout"
	JobCancelled     JobEvent = "cancelled"
	JobDead          JobEvent = "dead"
	JobRetried       JobEvent = "retried"
	JobLostLease     JobEvent = "lost_lease"
	JobFenced        JobEvent = "fenced" // a result that came after its lease was lost, and was thrown away
	JobHookDelivered JobEvent = "hook_delivered"
	JobHookFailed    JobEvent = "hook_failed"
	JobDamaged       JobEvent = "damaged"
)

// JobEvents lists the events.
func JobEvents() []JobEvent {
	return []JobEvent{
		JobAccepted, JobRefused, JobClaimed, JobCompleted, JobFailed, JobTimeout, JobCancelled, JobDead,
		JobRetried, JobLostLease, JobFenced, JobHookDelivered, JobHookFailed, JobDamaged,
	}
}

// Job is one event in a job's life.
type Job struct {
	Event    JobEvent
	Priority llm.Priority
	// Wait is from the job's acceptance to its first claim, told with JobClaimed. Run
	// is from its last claim to its end. Zero or negative means that it does not apply.
	Wait, Run time.Duration
}

// RecordJob counts an event, under the same conditions as Record. An event outside
// the set is left out.
func (m *Monitor) RecordJob(j *Job) {
	i := j.Priority.Index()
	s := m.metrics.jobs.series()
	c, ok := s.events[jobKey{j.Event, i}]
	if !ok {
		return
	}
	c.Inc()
	if j.Wait > 0 {
		s.waits[i].Observe(j.Wait.Seconds())
	}
	if j.Run > 0 {
		s.runs[i].Observe(j.Run.Seconds())
	}
}

// JobSample is the state of the durable queue.
type JobSample struct {
	// Queued and Processing count jobs, and Oldest is how long the oldest queued one
	// has been there, by llm.Priority.Index.
	Queued, Processing [len(llm.Priorities)]int
	Oldest             [len(llm.Priorities)]time.Duration
	// Bytes is what the queued ones hold.
	Bytes int64
	// Dead and Damaged count dead letters and jobs whose record cannot be read.
	Dead, Damaged int
	// Up says that the store takes changes.
	Up bool
}

type jobKey struct {
	event JobEvent
	band  int
}

// jobMetrics is every metric of durable jobs.
type jobMetrics struct {
	total     *prometheus.CounterVec
	wait, run *prometheus.HistogramVec

	// series are the children of these. They are all made at once when the first is
	// needed: there, at zero, from the first scrape on where there is a durable queue,
	// and no part of the scrape of those who have none.
	series func() *jobSeries
}

type jobSeries struct {
	events      map[jobKey]prometheus.Counter
	waits, runs [len(llm.Priorities)]prometheus.Observer
}

func newJobMetrics(d declare) *jobMetrics {
	j := &jobMetrics{
		total: d.counters("job_events_total", "What happened to durable jobs.", "event", "priority"),
		wait: d.histograms("job_wait_seconds", "Time from a job's acceptance to its first claim.",
			callBuckets, "priority"),
		run: d.histograms("job_run_seconds", "Time from a job's last claim to its end.",
			callBuckets, "priority"),
	}
	j.series = sync.OnceValue(j.makeSeries)
	return j
}

func (j *jobMetrics) makeSeries() *jobSeries {
	s := &jobSeries{events: map[jobKey]prometheus.Counter{}}
	for i, p := range llm.Priorities {
		s.waits[i], s.runs[i] = j.wait.WithLabelValues(p.String()), j.run.WithLabelValues(p.String())
		for _, e := range JobEvents() {
			s.events[jobKey{e, i}] = j.total.WithLabelValues(string(e), p.String())
		}
	}
	return s
}

func (j *jobMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{j.total, j.wait, j.run}
}

// jobDescs describes the metrics whose values are asked for at a scrape.
type jobDescs struct {
	jobs, oldest, bytes, dead, damaged, up *prometheus.Desc
}

func newJobDescs(desc func(name, help string, labels ...string) *prometheus.Desc) jobDescs {
	return jobDescs{
		jobs:    desc("jobs", "Durable jobs that are not at their end.", "state", "priority"),
		oldest:  desc("jobs_oldest_seconds", "How long the oldest queued job has been there.", "priority"),
		bytes:   desc("jobs_bytes", "Bytes of the payloads of queued jobs."),
		dead:    desc("jobs_dead", "Dead letters: jobs that were given up and are kept."),
		damaged: desc("jobs_damaged", "Jobs whose record cannot be read; they are set apart."),
		up:      desc("jobs_store_up", "Whether the store of jobs takes changes (1) or is being recovered (0)."),
	}
}

func (d jobDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.jobs, d.oldest, d.bytes, d.dead, d.damaged, d.up}
}

// collectJobs asks the sources for the state of their queues. Most have none.
func (p *pull) collectJobs(e emitter, sources []Source) {
	d := p.monitor.metrics.pulled.jobs
	for _, src := range sources {
		if src.Jobs == nil {
			continue
		}
		var s JobSample
		if !p.monitor.ask(func() { s = src.Jobs() }) {
			return
		}
		for i, priority := range llm.Priorities {
			e.gauge(d.jobs, float64(s.Queued[i]), "queued", priority.String())
			e.gauge(d.jobs, float64(s.Processing[i]), "processing", priority.String())
			e.gauge(d.oldest, s.Oldest[i].Seconds(), priority.String())
		}
		e.gauge(d.bytes, float64(s.Bytes))
		e.gauge(d.dead, float64(s.Dead))
		e.gauge(d.damaged, float64(s.Damaged))
		e.gauge(d.up, oneIf(s.Up))
		return // one queue a process: series of several would collide
	}
}
