package config_test

import (
	"os"
	"testing"

	"github.com/forebay-ai/forebay/internal/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }
