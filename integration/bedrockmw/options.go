package bedrockmw

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/forebay-ai/forebay/llm"
)

// directives say which answers a call may share: those of its region and endpoint, or none.
func (g *gate) directives(o *original) llm.CacheDirectives {
	options := o.options()
	if options == nil || !alike(&g.own, options) {
		return llm.CacheDirectives{NoRead: true, NoWrite: true}
	}
	return llm.CacheDirectives{Namespace: place(options)}
}

// place is where a call with these options goes: other places have other answers.
func place(o *bedrockruntime.Options) string {
	name := o.Region
	if o.BaseEndpoint != nil {
		name += " " + *o.BaseEndpoint
	}
	if o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled {
		name += " fips"
	}
	if o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled {
		name += " dualstack"
	}
	return name
}

// alike says that a call is made as its client's other calls are: as the same caller, by the
// same rules of where to, and with nothing done to it on the way that is not done to them.
func alike(own, call *bedrockruntime.Options) bool {
	//lint:ignore SA1019 where a program still gives one, it says where the call goes
	if !same(own.EndpointResolver, call.EndpointResolver) {
		return false
	}
	return same(own.Credentials, call.Credentials) && same(own.BearerAuthTokenProvider, call.BearerAuthTokenProvider) &&
		same(own.EndpointResolverV2, call.EndpointResolverV2) && same(own.AuthSchemeResolver, call.AuthSchemeResolver) &&
		slices.EqualFunc(own.AuthSchemes, call.AuthSchemes, func(a, b smithyhttp.AuthScheme) bool { return same(a, b) }) &&
		slices.Equal(own.AuthSchemePreference, call.AuthSchemePreference) &&
		len(own.APIOptions) == len(call.APIOptions) && // functions cannot be compared, but options add or remove them
		intercepted(own.Interceptors, call.Interceptors)
}

// intercepted says that both have the same interceptors, in each of the lists there are.
func intercepted(own, call smithyhttp.InterceptorRegistry) bool {
	a, b := reflect.ValueOf(own), reflect.ValueOf(call)
	for i := range a.NumField() {
		x, y := a.Field(i), b.Field(i)
		if x.Kind() != reflect.Slice || !x.CanInterface() || x.Len() != y.Len() {
			return false
		}
		for j := range x.Len() {
			if !same(x.Index(j).Interface(), y.Index(j).Interface()) {
				return false
			}
		}
	}
	return true
}

// same says that a and b are one and the same; of what cannot be compared it is not known.
func same(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

// nameable makes of a client's options such that a call's can be told from.
func nameable(o *bedrockruntime.Options) {
	if p := o.Credentials; p != nil && !reflect.ValueOf(p).Comparable() { // a function is not
		o.Credentials = &credentials{p}
	}
	if p := o.BearerAuthTokenProvider; p != nil && !reflect.ValueOf(p).Comparable() {
		o.BearerAuthTokenProvider = &tokens{p}
	}
	o.AuthSchemes = watched(o.AuthSchemes)
}

type credentials struct{ aws.CredentialsProvider }

type tokens struct{ bearer.TokenProvider }

// optionsKey finds in a context where the options of a call are to be put.
type optionsKey struct{}

// errSeen ends the steps of a stack that were gone through to see its options.
var errSeen = errors.New("bedrockmw: the options were seen")

// options are those of the call, with what was given for it alone. Nil says that they cannot
// be seen. The SDK shows them to authentication schemes only, in two steps that do no more
// than to choose a scheme and to find who has its credentials: those two are gone through
// here, up to there.
func (o *original) options() *bedrockruntime.Options {
	choose, ok := o.stack.Finalize.Get("ResolveAuthScheme")
	identify, known := o.stack.Finalize.Get("GetIdentity")
	if !ok || !known {
		return nil
	}
	var seen *bedrockruntime.Options
	ctx := context.WithValue(o.ctx, optionsKey{}, &seen)
	end := middleware.FinalizeHandlerFunc(func(context.Context, middleware.FinalizeInput) (out middleware.FinalizeOutput, m middleware.Metadata, err error) {
		return out, m, errSeen
	})
	_, _, _ = choose.HandleFinalize(ctx, middleware.FinalizeInput{}, middleware.FinalizeHandlerFunc(
		func(ctx context.Context, in middleware.FinalizeInput) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return identify.HandleFinalize(ctx, in, end)
		})) // what fails here fails again, and is told, when the call is sent
	return seen
}

// watched are schemes that let options be seen. Each is like itself alone, whatever it is of.
func watched(schemes []smithyhttp.AuthScheme) []smithyhttp.AuthScheme {
	var all []smithyhttp.AuthScheme
	for _, s := range schemes {
		all = append(all, &watchedScheme{s})
	}
	return all
}

type watchedScheme struct{ smithyhttp.AuthScheme }

// IdentityResolver implements smithyhttp.AuthScheme.
func (s *watchedScheme) IdentityResolver(o auth.IdentityResolverOptions) auth.IdentityResolver {
	r := s.AuthScheme.IdentityResolver(o)
	options, ok := o.(bedrockruntime.Options)
	if r == nil || !ok {
		return r
	}
	return &watchedResolver{r, options}
}

type watchedResolver struct {
	auth.IdentityResolver
	options bedrockruntime.Options
}

// GetIdentity implements auth.IdentityResolver.
func (r *watchedResolver) GetIdentity(ctx context.Context, p smithy.Properties) (auth.Identity, error) {
	if into, ok := ctx.Value(optionsKey{}).(**bedrockruntime.Options); ok {
		*into = &r.options
		return nil, errSeen
	}
	return r.IdentityResolver.GetIdentity(ctx, p)
}
