package cloudwatch

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Bounds of PutMetricData: 1,000 data and 1 MB a request (API reference). Sizes here are
// upper bounds of the CBOR that the SDK sends, before it packs it.
const (
	mostData     = 1000
	mostBytes    = 1_000_000
	bytesADatum  = 160 // its members' names, time, unit and resolution
	bytesADim    = 24  // beside name and value
	bytesAValue  = 20  // two numbers of 9 bytes each
	bytesRequest = 1_000
)

// outcome is what became of a batch.
type outcome struct {
	done    int   // so many at the front need not be sent again
	refused int64 // so many of these were not taken
	err     error
}

// putData sends a batch by PutMetricData, in as many requests as it takes.
func (s *Sink) putData(ctx context.Context, batch []datum) outcome {
	var o outcome
	for o.done < len(batch) && o.err == nil {
		n := s.fitting(batch[o.done:])
		one := s.putSome(ctx, batch[o.done:o.done+n])
		o.done += one.done
		o.refused += one.refused
		o.err = one.err
	}
	return o
}

// fitting is how many at the front fit into one request: at least one. There are mostData at
// most.
func (s *Sink) fitting(batch []datum) int {
	size := bytesRequest + len(s.cfg.Namespace)
	for i := range batch {
		size += s.sizeOf(&batch[i])
		if i > 0 && size > mostBytes {
			return i
		}
	}
	return len(batch)
}

func (s *Sink) sizeOf(d *datum) int {
	size := bytesADatum + len(d.name) + bytesAValue*len(d.values)
	for _, list := range [][]dimension{s.fixed, d.by} {
		for _, one := range list {
			size += bytesADim + len(one.name) + len(one.value)
		}
	}
	return size
}

// putSome sends one request. What CloudWatch refuses as invalid is halved until the datum
// is found that it means, so that one does not take the others with it.
func (s *Sink) putSome(ctx context.Context, batch []datum) outcome {
	err := s.put(ctx, batch)
	if err == nil {
		return outcome{done: len(batch)}
	}
	if !invalid(err) {
		return outcome{err: err}
	}
	if len(batch) == 1 {
		s.cfg.Logger.Warn("CloudWatch refuses a metric", "metric", batch[0].name, "error", err)
		return outcome{done: 1, refused: 1}
	}
	half := len(batch) / 2
	first := s.putSome(ctx, batch[:half])
	if first.err != nil {
		return first
	}
	second := s.putSome(ctx, batch[half:])
	return outcome{done: first.done + second.done, refused: first.refused + second.refused, err: second.err}
}

func (s *Sink) put(ctx context.Context, batch []datum) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	in := &cloudwatch.PutMetricDataInput{Namespace: &s.cfg.Namespace, MetricData: make([]types.MetricDatum, 0, len(batch))}
	for i := range batch {
		in.MetricData = append(in.MetricData, s.wire(&batch[i]))
	}
	_, err := s.cfg.Client.PutMetricData(ctx, in, func(o *cloudwatch.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

// wire is d in the form of the API.
func (s *Sink) wire(d *datum) types.MetricDatum {
	out := types.MetricDatum{
		MetricName: &d.name, Timestamp: &d.at, Unit: types.StandardUnit(d.unit),
		StorageResolution: aws.Int32(int32(s.cfg.Resolution.Seconds())),
		Values:            make([]float64, 0, len(d.values)), Counts: make([]float64, 0, len(d.values)),
	}
	for _, v := range d.values {
		out.Values = append(out.Values, v.value)
		out.Counts = append(out.Counts, v.count)
	}
	for _, one := range slices.Concat(s.fixed, d.by) {
		out.Dimensions = append(out.Dimensions, types.Dimension{Name: &one.name, Value: &one.value})
	}
	return out
}

// invalid says that a request was refused for what is in it: it will be refused again.
func invalid(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "InvalidParameterValue", "InvalidParameterValueException", "InvalidParameterCombination", "InvalidParameterCombinationException",
			"MissingParameter", "MissingRequiredParameterException", "InvalidFormat", "InvalidFormatFault", "ValidationError", "ValidationException",
			"LimitExceeded", "LimitExceededException", "LimitExceededFault", "SerializationException":
			return true
		}
	}
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && response.HTTPStatusCode() == http.StatusRequestEntityTooLarge
}
