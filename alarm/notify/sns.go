package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/awsclient/connect"
	"github.com/forebay-ai/forebay/llm"
)

// SNSClient is what an SNS uses of the client of Amazon SNS; *sns.Client is one.
type SNSClient interface {
	Publish(ctx context.Context, in *sns.PublishInput, with ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// SNSConfig configures NewSNS.
type SNSConfig struct {
	// Name is the notifier's. Empty means "sns".
	Name string
	// Topic is the topic's ARN. One that ends in .fifo is a FIFO topic.
	Topic string
	// Client publishes, in the topic's Region. Nil means one with what AWS's environment
	// says: credentials are looked for at the first notice.
	Client SNSClient
	// Timeout bounds one attempt. Zero means 10 s.
	Timeout time.Duration
}

const snsTimeout = 10 * time.Second

// topicARN is the ARN of a topic: partition, Region, account, name (256 characters at most,
// .fifo included).
var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:([A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo)$`)

// TopicRegion is the Region of a topic, out of its ARN; empty where that is none.
func TopicRegion(topic string) string {
	if parts := topicARN.FindStringSubmatch(topic); parts != nil {
		return parts[1]
	}
	return ""
}

// Validate returns every fault of c, joined; each names its key.
func (c SNSConfig) Validate() error {
	var faults []error
	if err := nameFault(cmp.Or(c.Name, "sns")); err != nil {
		faults = append(faults, err)
	}
	if TopicRegion(c.Topic) == "" {
		faults = append(faults, fmt.Errorf("topic: %.300q is not the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts", c.Topic))
	}
	if c.Timeout < 0 {
		faults = append(faults, errors.New("timeout is negative"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("notifier %.70q: %w", cmp.Or(c.Name, "sns"), errors.Join(faults...))
	}
	return nil
}

// SNS publishes notices to a topic of Amazon SNS. Subscribers by mail get the text that
// Mail sends, telephones one line, and everybody else JSON; filters of subscriptions find
// severity, state, source and alarm in the message's attributes.
type SNS struct {
	name, topic string
	client      SNSClient
	timeout     time.Duration
}

// NewSNS returns a notifier, or every fault of cfg, joined.
func NewSNS(cfg SNSConfig) (*SNS, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	name := cmp.Or(cfg.Name, "sns")
	if cfg.Client == nil {
		// It reads files and environment, and waits for nobody.
		loaded, err := connect.Load(context.Background(), connect.Options{Region: TopicRegion(cfg.Topic), Attempts: 1, Concurrency: 1})
		if err != nil {
			return nil, fmt.Errorf("notifier %.70q: %w", name, err)
		}
		cfg.Client = sns.NewFromConfig(loaded)
	}
	return &SNS{name: name, topic: cfg.Topic, client: cfg.Client, timeout: cmp.Or(cfg.Timeout, snsTimeout)}, nil
}

// Name returns the notifier's name.
func (s *SNS) Name() string { return s.name }

// Notify publishes n once. An error with NoRetry says that another try is no use: there is
// no such topic, or this role may not publish to it. A try whose answer was lost and that
// is made again arrives twice, but for a FIFO topic, which knows the notice by its id.
func (s *SNS) Notify(ctx context.Context, n alarm.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	in, err := s.message(n)
	if err != nil {
		return &llm.Error{Kind: llm.ForebayInternal, Message: "the notice cannot be written as JSON", NoRetry: true, Err: err}
	}
	// The Dispatcher repeats; the SDK must not do so as well.
	_, err = s.client.Publish(ctx, in, func(o *sns.Options) { o.Retryer = aws.NopRetryer{} })
	if err == nil {
		return nil
	}
	return snsRefusal(err)
}

// snsRefusal is the error for a notice that was not taken.
func snsRefusal(err error) *llm.Error {
	refusal := &llm.Error{Kind: llm.ForebayUnavailable, Message: "SNS did not take the notice", Err: err}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && response.Response != nil {
		refusal.Status = response.HTTPStatusCode()
		refusal.RetryAfter = llm.RetryAfter(response.Response.Header, time.Now())
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return refusal
	}
	// Query APIs write codes with and without Exception at their ends.
	code := strings.TrimSuffix(api.ErrorCode(), "Exception")
	refusal.Message += ": " + oneLine(code, 80)
	switch code {
	case "NotFound", "ResourceNotFound":
		refusal.NoRetry, refusal.Fix = true, "There is no such topic in this account and Region: correct alarms.topic or the notifier's topic, or create it."
	case "AuthorizationError", "AccessDenied", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSecurity":
		refusal.NoRetry, refusal.Fix = true, "Let this role publish to the topic (sns:Publish), in its own policy or in the topic's."
	case "KMSAccessDenied", "KMSDisabled", "KMSNotFound", "KMSInvalidState", "KMSOptInRequired":
		refusal.NoRetry, refusal.Fix = true, "The topic is encrypted: this role needs kms:Decrypt and kms:GenerateDataKey for a key that is enabled."
	case "InvalidParameter", "InvalidParameterValue", "Validation":
		refusal.NoRetry, refusal.Fix = true, "SNS refuses the message itself; see the error's text."
	}
	return refusal
}
