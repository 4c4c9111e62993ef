module github.com/forebay-ai/forebay/bench

go 1.26.0

replace github.com/forebay-ai/forebay => ../
