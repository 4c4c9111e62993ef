package queuedb

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// record is a row of jobs. What it is read into has the types of the columns, so a
// value of another type is noticed.
type record struct {
	id                                                    int64
	tenant, user, key, operation, endpoint, model, custom string
	enqueued, timeout, retention, bytes                   int64
	idempotency, digest                                   []byte
	webhook, specSum                                      int64

	state, band                            string
	attempt, retries, deaths               int64
	notBefore, deadline, leaseUntil        int64
	worker                                 string
	started, finished                      int64
	kind, message                          string
	keep, resultUntil                      int64
	hookAttempts, hookDelivered, statusSum int64
	hookDue, due                           int64
	payload, result                        string
}

// The words for where a content is. No two of them are one flipped bit apart.
const (
	contentNone = "none"
	contentKept = "kept"
	contentGone = "gone"
)

// noTime is the zero time in a record; NULL in the file.
const noTime = math.MinInt64

// never is when a job is due of which nothing is ever to be removed.
const never = math.MaxInt64

// dest is where the jobColumns of a row go.
func (r *record) dest() []any {
	return []any{
		&r.id, &r.tenant, &r.user, &r.key, &r.operation, &r.endpoint, &r.model, &r.custom, &r.enqueued, &r.timeout, &r.retention, &r.bytes,
		&r.idempotency, &r.digest, &r.webhook, &r.specSum,
		&r.state, &r.band, &r.attempt, &r.retries, &r.deaths, &r.notBefore, &r.deadline, &r.leaseUntil, &r.worker, &r.started, &r.finished,
		&r.kind, &r.message, &r.keep, &r.resultUntil, &r.hookAttempts, &r.hookDelivered, &r.statusSum,
		&r.hookDue, &r.due, &r.payload, &r.result,
	}
}

// setSpec takes what never changes from a job.
func (r *record) setSpec(j *backlog.Job) {
	r.id = int64(j.ID)
	r.tenant, r.user, r.key, r.operation = j.Tenant, j.User, j.Key, j.Operation
	r.endpoint, r.model, r.custom = j.Endpoint, j.Model, j.CustomID
	r.enqueued, r.timeout, r.retention, r.bytes = micros(j.Enqueued), int64(j.Timeout), int64(j.Retention), int64(j.Bytes)
	r.idempotency, r.digest = nil, j.Digest[:]
	if j.Idempotency != [32]byte{} {
		r.idempotency = j.Idempotency[:]
	}
	r.webhook = number01(j.Webhook)
	r.specSum = r.sumSpec()
}

// setStatus takes the rest, but for the words about contents.
func (r *record) setStatus(id backlog.ID, s *backlog.Status) {
	r.id = int64(id)
	r.state, r.band = s.State.String(), s.Band.String()
	r.attempt, r.retries, r.deaths = int64(s.Attempt), int64(s.Retries), int64(s.Deaths)
	r.notBefore, r.deadline, r.leaseUntil = micros(s.NotBefore), micros(s.Deadline), micros(s.LeaseUntil)
	r.worker, r.started, r.finished = s.Worker, micros(s.Started), micros(s.Finished)
	r.kind, r.message = string(s.Kind), s.Message
	r.keep, r.resultUntil = micros(s.Keep), micros(s.ResultUntil)
	r.hookDue, r.hookAttempts, r.hookDelivered = micros(s.Hook.Due), int64(s.Hook.Attempts), number01(s.Hook.Delivered)
	r.statusSum = r.sumStatus()
	r.due = dueOf(s.State, r.keep, r.resultUntil)
}

// dueOf is when there is something to remove of a job.
func dueOf(s backlog.State, keep, resultUntil int64) int64 {
	if !s.Final() {
		return 0
	}
	due := int64(never)
	for _, t := range []int64{keep, resultUntil} {
		if t != noTime {
			due = min(due, max(t, 1))
		}
	}
	return due
}

// specArgs and statusArgs are the values of specColumns and statusColumns.
func (r *record) specArgs(to []any) []any {
	return append(to, r.id, r.tenant, r.user, r.key, r.operation, r.endpoint, r.model, r.custom, moment(r.enqueued), r.timeout, r.retention, r.bytes,
		r.idempotency, r.digest, r.webhook, r.specSum)
}

func (r *record) statusArgs(to []any) []any {
	return append(to, r.state, r.band, r.attempt, r.retries, r.deaths, moment(r.notBefore), moment(r.deadline), moment(r.leaseUntil), r.worker, moment(r.started), moment(r.finished),
		r.kind, r.message, moment(r.keep), moment(r.resultUntil), r.hookAttempts, r.hookDelivered, r.statusSum)
}

// job checks a record that was read and gives the job. The error says what is wrong
// without the values.
func (r *record) job() (backlog.Job, error) {
	if r.sumSpec() != r.specSum {
		return backlog.Job{}, badRecord("the checksum of what was accepted is wrong")
	}
	if r.sumStatus() != r.statusSum {
		return backlog.Job{}, badRecord("the checksum of the status is wrong")
	}
	state, err := backlog.ParseState(r.state)
	if err != nil {
		return backlog.Job{}, badRecord("there is no such state")
	}
	band, err := llm.ParsePriority(r.band)
	if err != nil {
		return backlog.Job{}, badRecord("there is no such band")
	}
	known := (r.payload == contentKept || r.payload == contentGone) &&
		(r.result == contentNone || r.result == contentKept || r.result == contentGone)
	if !known || state.Final() != (r.due > 0) || r.due < 0 || len(r.digest) != 32 || len(r.idempotency)%32 != 0 {
		return backlog.Job{}, badRecord("its values do not go together")
	}
	j := backlog.Job{ID: backlog.ID(r.id), Spec: backlog.Spec{
		Tenant: r.tenant, User: r.user, Key: r.key, Operation: r.operation, Endpoint: r.endpoint, Model: r.model, CustomID: r.custom,
		Enqueued: timeAt(r.enqueued), Timeout: time.Duration(r.timeout), Retention: time.Duration(r.retention), Bytes: int(r.bytes),
		Webhook: r.webhook == 1,
	}, Status: backlog.Status{
		State: state, Band: band, Attempt: int(r.attempt), Retries: int(r.retries), Deaths: int(r.deaths),
		NotBefore: timeAt(r.notBefore), Deadline: timeAt(r.deadline), LeaseUntil: timeAt(r.leaseUntil), Worker: r.worker,
		Started: timeAt(r.started), Finished: timeAt(r.finished), Kind: llm.Kind(r.kind), Message: r.message,
		Keep: timeAt(r.keep), ResultUntil: timeAt(r.resultUntil),
		Hook: backlog.Hook{Due: timeAt(r.hookDue), Attempts: int(r.hookAttempts), Delivered: r.hookDelivered == 1},
	}}
	copy(j.Idempotency[:], r.idempotency)
	copy(j.Digest[:], r.digest)
	return j, nil
}

// sumBytes is room for what a sum is made of, without an allocation as a rule.
const sumBytes = 768

func (r *record) sumSpec() int64 {
	var room [sumBytes]byte
	b := sumInts(room[:0], r.id, r.enqueued, r.timeout, r.retention, r.bytes, r.webhook)
	b = sumTexts(b, r.tenant, r.user, r.key, r.operation, r.endpoint, r.model, r.custom)
	b = append(append(sumInts(b, int64(len(r.idempotency))), r.idempotency...), r.digest...)
	return sumOf(b)
}

func (r *record) sumStatus() int64 {
	var room [sumBytes]byte
	b := sumInts(room[:0], r.id, r.attempt, r.retries, r.deaths, r.notBefore, r.deadline, r.leaseUntil, r.started, r.finished,
		r.keep, r.resultUntil, r.hookDue, r.hookAttempts, r.hookDelivered)
	return sumOf(sumTexts(b, r.state, r.band, r.worker, r.kind, r.message))
}

func sumInts(b []byte, values ...int64) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func sumTexts(b []byte, values ...string) []byte {
	for _, v := range values {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

// sumTable makes sums that differ for any two values that are one run of up to 64
// flipped bits apart.
var sumTable = crc64.MakeTable(crc64.ECMA)

func sumOf(b []byte) int64 { return int64(crc64.Checksum(b, sumTable)) }

// micros is how a time is kept in a record.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

// moment is how it is kept in the file.
func moment(micros int64) any {
	if micros == noTime {
		return nil
	}
	return micros
}

func timeAt(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func number01(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// damageOf says in a few words, without values, why a row could not be read.
func damageOf(err error) string {
	if sqlfile.Unreadable(err) {
		return sqlfile.ErrUnreadable.Error()
	}
	if code := sqlfile.CodeOf(err); code != 0 {
		return fmt.Sprintf("SQLite cannot read its page (code %d)", code)
	}
	return err.Error()
}
