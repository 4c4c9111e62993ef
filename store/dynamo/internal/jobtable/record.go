package jobtable

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc64"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// The attributes of a job's control item. spec and status are the record, each with a checksum; what else
// there is serves conditions, indexes and people, and has to agree with it.
const (
	attrSpec       = "spec"       // B: what was accepted
	attrRecord     = "record"     // B: what changes
	attrStatus     = "status"     // S: as in backlog.State
	attrLeaseUntil = "leaseUntil" // N: microseconds; absent without one
	attrPayload    = "payload"    // B: where it is small
	attrPayloadRef = "payloadRef" // S: names its parts where it is not
	attrResult     = "result"     // B: where it is small
	attrResultRef  = "resultRef"  // S: names its parts where it is not
	attrDamaged    = "damaged"    // S: why the job is set apart
	attrVoid       = "void"       // SS: no job will come under this ID by the reservations of these names

	attrOperation = "operation"
	attrPriority  = "priority"
	attrUser      = "userId" // S: a hash of tenant and user
	attrTimestamp = "timestamp"
	attrTimeoutMs = "timeoutMs"
	attrRetries   = "retryCount"
)

// recordVersion is the first byte of spec and record.
const recordVersion = 1

// noTime is the zero time in a record.
const noTime = math.MinInt64

// badRecord says what is wrong with an item that could be read, without its values.
type badRecord string

// Error returns the sentence.
func (e badRecord) Error() string { return string(e) }

// sumTable makes sums that differ for any two values that are one run of up to 64 flipped bits apart.
var sumTable = crc64.MakeTable(crc64.ECMA)

// sealed appends the checksum of a record of a job's.
func sealed(id backlog.ID, b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, sumOf(id, b))
}

func sumOf(id backlog.ID, b []byte) uint64 {
	sum := crc64.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(id)), sumTable)
	return crc64.Update(sum, sumTable, b)
}

// micros is how a time is kept: to the microsecond, cut.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

func timeAt(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// encodeSpec makes the record of what was accepted.
func encodeSpec(id backlog.ID, s *backlog.Spec) []byte {
	b := append(make([]byte, 0, 256), recordVersion)
	for _, text := range []string{s.Tenant, s.User, s.Key, s.Operation, s.Endpoint, s.Model, s.CustomID} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	for _, n := range []int64{micros(s.Enqueued), int64(s.Timeout), int64(s.Retention), int64(s.Bytes)} {
		b = binary.AppendVarint(b, n)
	}
	keyed := s.Idempotency != [32]byte{}
	b = append(b, byte01(s.Webhook), byte01(keyed))
	if keyed {
		b = append(b, s.Idempotency[:]...)
	}
	return sealed(id, append(b, s.Digest[:]...))
}

// encodeStatus makes the record of what changes.
func encodeStatus(id backlog.ID, s *backlog.Status) []byte {
	b := append(make([]byte, 0, 160), recordVersion, byte(s.State), byte(s.Band.Index()), byte01(s.Hook.Delivered))
	for _, n := range []int64{int64(s.Attempt), int64(s.Retries), int64(s.Deaths), int64(s.Hook.Attempts)} {
		b = binary.AppendVarint(b, n)
	}
	for _, t := range []time.Time{s.NotBefore, s.Deadline, s.LeaseUntil, s.Started, s.Finished, s.Keep, s.ResultUntil, s.Hook.Due} {
		b = binary.AppendVarint(b, micros(t))
	}
	for _, text := range []string{s.Worker, string(s.Kind), s.Message} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return sealed(id, b)
}

func byte01(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// reader takes a record apart. What is not there reads as zero, and spoils it.
type reader struct {
	b       []byte
	spoiled bool
}

// unseal checks the version and sum of a record.
func unseal(id backlog.ID, b []byte) (*reader, error) {
	if len(b) < 9 || b[0] != recordVersion {
		return nil, badRecord("a record is missing, or of another version")
	}
	body := b[:len(b)-8]
	if sumOf(id, body) != binary.LittleEndian.Uint64(b[len(b)-8:]) {
		return nil, badRecord("the checksum of a record is wrong")
	}
	return &reader{b: body[1:]}, nil
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.spoiled, r.b = true, nil
		return nil
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) text() string {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.spoiled = true
		return ""
	}
	r.b = r.b[size:]
	return string(r.take(n))
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.spoiled = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) time() time.Time { return timeAt(r.number()) }

// decodeSpec reads what encodeSpec made.
func decodeSpec(id backlog.ID, b []byte) (s backlog.Spec, err error) {
	r, err := unseal(id, b)
	if err != nil {
		return s, err
	}
	for _, text := range []*string{&s.Tenant, &s.User, &s.Key, &s.Operation, &s.Endpoint, &s.Model, &s.CustomID} {
		*text = r.text()
	}
	s.Enqueued = r.time()
	s.Timeout, s.Retention, s.Bytes = time.Duration(r.number()), time.Duration(r.number()), int(r.number())
	s.Webhook = r.octet() == 1
	if r.octet() == 1 {
		copy(s.Idempotency[:], r.take(32))
	}
	copy(s.Digest[:], r.take(32))
	if r.spoiled || len(r.b) > 0 {
		return s, badRecord("a record is cut, or too long")
	}
	return s, nil
}

// decodeStatus reads what encodeStatus made.
func decodeStatus(id backlog.ID, b []byte) (s backlog.Status, err error) {
	r, err := unseal(id, b)
	if err != nil {
		return s, err
	}
	s.State = backlog.State(r.octet())
	band := int(r.octet())
	s.Hook.Delivered = r.octet() == 1
	for _, n := range []*int{&s.Attempt, &s.Retries, &s.Deaths, &s.Hook.Attempts} {
		*n = int(r.number())
	}
	for _, t := range []*time.Time{&s.NotBefore, &s.Deadline, &s.LeaseUntil, &s.Started, &s.Finished, &s.Keep, &s.ResultUntil, &s.Hook.Due} {
		*t = r.time()
	}
	s.Worker, s.Kind, s.Message = r.text(), llm.Kind(r.text()), r.text()
	if r.spoiled || len(r.b) > 0 || band >= len(llm.Priorities) || s.State < backlog.Queued || s.State > backlog.Dead {
		return s, badRecord("a record is cut, too long, or of no meaning")
	}
	s.Band = llm.Priorities[band]
	return s, nil
}

// decodeJob reads a control item. The error, a badRecord, says what is wrong with it.
func decodeJob(it calls.Item) (backlog.Job, error) {
	name, _ := calls.Text(it, AttrID)
	id, err := backlog.ParseID(name)
	if err != nil {
		return backlog.Job{}, badRecord("its ID is none")
	}
	j := backlog.Job{ID: id}
	spec, _ := calls.Raw(it, attrSpec)
	if j.Spec, err = decodeSpec(id, spec); err != nil {
		return backlog.Job{}, err
	}
	record, _ := calls.Raw(it, attrRecord)
	if j.Status, err = decodeStatus(id, record); err != nil {
		return backlog.Job{}, err
	}
	status, _ := calls.Text(it, attrStatus)
	attempt, _ := calls.Number(it, AttrAttempt)
	lease, leased := calls.Number(it, attrLeaseUntil)
	if !leased {
		lease = noTime
	}
	if status != j.State.String() || attempt != int64(j.Attempt) || lease != micros(j.LeaseUntil) {
		return backlog.Job{}, badRecord("what conditions are checked by is not what the record says")
	}
	return j, nil
}

// userHash names a user of a tenant to those who look at the table without saying who it is.
func userHash(tenant, user string) string {
	b := binary.AppendUvarint(nil, uint64(len(tenant)))
	sum := sha256.Sum256(append(append(b, tenant...), user...))
	return hex.EncodeToString(sum[:8])
}

// scoreOf is where a queued job stands in the index of those that can be claimed: the time of its acceptance, or of
// its next attempt, and the offset of its band, in milliseconds. The time is that of the ID, which every change knows.
func scoreOf(id backlog.ID, s *backlog.Status) types.AttributeValue {
	j := backlog.Job{ID: id, Spec: backlog.Spec{Enqueued: idTime(id)}, Status: *s}
	if s.NotBefore.After(j.Enqueued) {
		j.Enqueued = s.NotBefore
	}
	return calls.Num(backlog.Config{}.PriorityScore(&j).UnixMilli())
}

// idTime is when an ID was drawn: its upper bits are milliseconds since 2025.
func idTime(id backlog.ID) time.Time {
	return time.UnixMilli(1735689600000 + int64(id>>22))
}

// idAt is the smallest ID that is drawn at a time; one before 2025 is none.
func idAt(t time.Time) backlog.ID {
	return backlog.ID(max(t.UnixMilli()-1735689600000, 0) << 22)
}

// now is the time as items have it.
func now() time.Time { return time.Now().UTC() }
