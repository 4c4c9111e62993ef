package config_test

import (
	"fmt"

	"github.com/forebay-ai/forebay/config"
)

func ExampleRead() {
	f, err := config.Read(config.Sources{
		Content: []byte(`
profile: analysis
providers:
  local: {type: openai, base_url: "http://127.0.0.1:11434/v1"}
models:
  haiku: {targets: [{provider: local, model: llama3.2}]}
`),
		Path:    "forebay.yaml",
		Environ: []string{"MAX_QUEUE_SIZE=200"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range f.Origins() {
		switch v.Key {
		case "queue.max", "limits.max_concurrent", "retry.max", "models.haiku.targets[0].model":
			fmt.Printf("%s = %s (%s)\n", v.Key, v.Value, v.Origin)
		}
	}
	cfg, err := f.Forebay()
	fmt.Println(len(cfg.Providers), len(cfg.Operations), err)
	// Output:
	// models.haiku.targets[0].model = llama3.2 (forebay.yaml:6:46)
	// queue.max = 200 (environment MAX_QUEUE_SIZE)
	// limits.max_concurrent = 10 (profile analysis)
	// retry.max = 3 (default)
	// 1 4 <nil>
}

func ExampleFaults() {
	_, err := config.Read(config.Sources{
		Content: []byte("queue:\n  max: 10\n  max_aeg: 5s\n"),
		Path:    "forebay.yaml", Environ: []string{}, Upstreams: []string{"http://127.0.0.1:11434/v1"},
	})
	fmt.Println(err)
	// Output:
	// forebay.yaml:3:3: unknown key "max_aeg" in queue
	//     Did you mean "max_age"?
	//     3 |   max_aeg: ***
	//       |   ^
}
