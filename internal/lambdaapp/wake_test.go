package lambdaapp_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/internal/lambdaapp"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/dynamo"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// An environment that was frozen knows what others spent before it lets a call pass; where it does not learn of it the call
// passes, and it is said.
func TestBudgetsAfterAPause(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	endpoint := awstest.Dynalite(t)
	client := dynamodb.NewFromConfig(awstest.Config(endpoint))
	name := fmt.Sprintf("wake-%d-", time.Now().UnixNano())
	tables := dynamo.Config{Client: client, Ledger: name + "ledger", Control: name + "control"}
	awstest.Tables(t, client, dynamo.Schemas(tables))
	app, log, err := open(t, fmt.Sprintf(`
keys: [{name: web, secret: secret-of-web}]
providers: {up: {type: openai, base_url: %q}}
models: {m: {targets: [{provider: up, model: m}]}}
operations: {ask: {model: m}}
budgets: {all: {usd: 1, period: month, kind: hard}}
store: {dynamodb: {region: %s, endpoint: %q, ledger: %sledger, control: %[4]scontrol}}
`, model(t), awstest.Region, endpoint, name), lambdaapp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(n int, status int) {
		t.Helper()
		text, err := invoke(t, app, fmt.Sprintf(`{"operation":"ask","payload":{"q":%d}}`, n))
		if err != nil || !strings.HasPrefix(text, fmt.Sprintf(`{"statusCode":%d`, status)) {
			t.Errorf("%v %s; want %d\n%s", err, text, status, log)
		}
	}
	ask(1, 200)
	others, err := dynamo.Open(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := others.Ledger().Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{{
		Account: ledger.Account{Day: today, Tenant: "default", Operation: "ask", Provider: "up", Model: "m"},
		Amounts: ledger.Amounts{Calls: 1, MicroUSD: 2_000_000},
	}}}); err != nil {
		t.Fatal(err)
	}
	ask(2, 200) // the pause was short: nothing is read
	app.SetBudgetsAge(0)
	ask(3, 429)
	if err := others.Close(); err != nil {
		t.Fatal(err)
	}
}
