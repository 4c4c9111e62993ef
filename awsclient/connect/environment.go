package connect

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// appID is in the user agent of each call.
const appID = "forebay"

// compressFrom is from how many bytes on the SDK compresses the bodies of services that take
// that: the default of the SDK's own loader.
const compressFrom = 10240

// errProfile is for a profile where there are no files to look it up in.
var errProfile = errors.New("profile: a function on Lambda calls AWS with the role in its environment; leave the profile out, and give that role the permissions")

// Chain looks for credentials as AWS's tools do: environment, shared files, web identity,
// container, instance. It begins anew each time, so that what was changed in a file or in
// the environment counts. In a program that is built with the tag lambda.norpc it takes
// those of the environment, which are what Lambda provides, and refuses a Profile. It is
// safe for concurrent use.
type Chain struct {
	// Region is where a role is assumed, where the files say so. Empty means what AWS's
	// environment says.
	Region string
	// Profile is the profile of AWS's files. Empty means AWS_PROFILE, or the default one.
	Profile string
}

// environment is what the variables say that Lambda sets, and those beside them that are
// about endpoints and certificates.
func environment(_ context.Context, o Options) (aws.Config, error) {
	if o.Profile != "" {
		return aws.Config{}, errProfile
	}
	client, err := trusting(awshttp.NewBuildableClient(), os.Getenv("AWS_CA_BUNDLE"))
	cfg := aws.Config{
		Region: cmp.Or(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")), Credentials: variables{}, HTTPClient: client,
		RetryMaxAttempts: o.Attempts, AppID: appID, RequestMinCompressSizeBytes: compressFrom, ConfigSources: []any{variables{}},
	}
	if o.Credentials != nil {
		cfg.Credentials = o.Credentials
	}
	ignored, err2 := flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
	if base := cmp.Or(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL")); base != "" && (o.Endpoint != "" || !ignored) {
		cfg.BaseEndpoint = &base
	}
	_, err3 := flag(fips)
	_, err4 := flag(dualStack)
	mode, err5 := accountIDMode()
	cfg.AccountIDEndpointMode = mode
	return cfg, errors.Join(err, err2, err3, err4, err5)
}

// trusting is client with the certificates of a file of PEM, in place of the system's.
func trusting(client *awshttp.BuildableClient, bundle string) (*awshttp.BuildableClient, error) {
	if bundle == "" {
		return client, nil
	}
	text, err := os.ReadFile(bundle)
	if err != nil {
		return client, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return client, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate in PEM", bundle)
	}
	return client.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = roots }), nil
}

const (
	fips      = "AWS_USE_FIPS_ENDPOINT"
	dualStack = "AWS_USE_DUALSTACK_ENDPOINT"
)

// flag is a variable that is true or false, in any case of letters; false where it is not set.
func flag(name string) (bool, error) {
	switch value := os.Getenv(name); {
	case value == "" || strings.EqualFold(value, "false"):
		return false, nil
	case strings.EqualFold(value, "true"):
		return true, nil
	default:
		return false, fmt.Errorf("%s: %.20q is neither true nor false", name, value)
	}
}

// accountIDMode is whether the account's number is part of hosts.
func accountIDMode() (aws.AccountIDEndpointMode, error) {
	const name = "AWS_ACCOUNT_ID_ENDPOINT_MODE"
	switch mode := aws.AccountIDEndpointMode(strings.ToLower(os.Getenv(name))); mode {
	case "":
		return aws.AccountIDEndpointModePreferred, nil
	case aws.AccountIDEndpointModePreferred, aws.AccountIDEndpointModeRequired, aws.AccountIDEndpointModeDisabled:
		return mode, nil
	default:
		return "", fmt.Errorf("%s: %.20q is not preferred, required or disabled", name, mode)
	}
}

// variables are the credentials of the environment, and what else of it the clients of
// services ask for one by one (aws.Config.ConfigSources).
type variables struct{}

// Retrieve implements aws.CredentialsProvider. Lambda's credentials do not change while a
// process lives, and what signs with them reads them each time.
func (variables) Retrieve(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		AccountID: os.Getenv("AWS_ACCOUNT_ID"), Source: "environment",
	}
	if !c.HasKeys() {
		return aws.Credentials{}, errors.New("there are no credentials in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which Lambda sets")
	}
	return c, nil
}

// ProviderSources implements aws.CredentialProviderSource: it is part of the user agent.
func (variables) ProviderSources() []aws.CredentialSource {
	return []aws.CredentialSource{aws.CredentialSourceEnvVars}
}

// GetServiceBaseEndpoint is AWS_ENDPOINT_URL_<SERVICE>.
func (variables) GetServiceBaseEndpoint(_ context.Context, sdkID string) (string, bool, error) {
	endpoint := os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	return endpoint, endpoint != "", nil
}

// GetIgnoreConfiguredEndpoints is AWS_IGNORE_CONFIGURED_ENDPOINT_URLS.
func (variables) GetIgnoreConfiguredEndpoints(context.Context) (ignored, found bool, err error) {
	ignored, err = flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
	return ignored, ignored, err
}

// GetUseFIPSEndpoint is AWS_USE_FIPS_ENDPOINT.
func (variables) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	on, err := flag(fips)
	if !on {
		return aws.FIPSEndpointStateUnset, false, err
	}
	return aws.FIPSEndpointStateEnabled, true, nil
}

// GetUseDualStackEndpoint is AWS_USE_DUALSTACK_ENDPOINT.
func (variables) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	on, err := flag(dualStack)
	if !on {
		return aws.DualStackEndpointStateUnset, false, err
	}
	return aws.DualStackEndpointStateEnabled, true, nil
}
