// Package prompts reads the public data sets that measurements of the cache use. They
// are not part of the repository: they lie in the folder data/prompts of the folder
// that FOREBAY_SHARED names, or else of a folder "shared" beside the repository.
package prompts

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ErrAbsent is returned where the data sets are not to be found.
var ErrAbsent = errors.New("the data sets are not here: put the folder \"shared\" beside the repository, or name it in FOREBAY_SHARED")

// Dir is the folder of the data sets.
func Dir() (string, error) {
	if dir := os.Getenv("FOREBAY_SHARED"); dir != "" {
		return dir + "/data/prompts", nil
	}
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for range 6 {
		dir := filepath.Join(at, "shared", "data", "prompts")
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
		at = filepath.Dir(at)
	}
	return "", ErrAbsent
}

// open opens a data set, unpacked.
func open(name string) (io.ReadCloser, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unpack %s: %w", name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// Pair is two sentences and whether people found that they mean the same.
type Pair struct {
	ID, A, B string
	Same     bool
}

// Paraphrases reads the German development set of PAWS-X: sentences that share most
// of their words. Rows whose translation is missing ("NS") are left out.
func Paraphrases() ([]Pair, error) {
	in, err := open("pawsx-de-dev.tsv.gz")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var pairs []Pair
	lines := bufio.NewScanner(in)
	for n := 0; lines.Scan(); n++ {
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("pawsx-de-dev: line %d has %d columns, want 4", n+1, len(f))
		}
		if n > 0 && f[1] != "NS" && f[2] != "NS" {
			pairs = append(pairs, Pair{ID: f[0], A: f[1], B: f[2], Same: f[3] == "1"})
		}
	}
	return pairs, lines.Err()
}

// Question is a customer's question and what it is about.
type Question struct{ Text, Category string }

// Questions reads the training set of banking77.
func Questions() ([]Question, error) {
	in, err := open("banking77-train.csv.gz")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("banking77-train: %d rows: %w", len(rows), err)
	}
	var all []Question
	for _, row := range rows[1:] {
		all = append(all, Question{row[0], row[1]})
	}
	return all, nil
}

// Turn is what a user said, and in which conversation. A set without conversations
// has a Turn of its own Dialogue each.
type Turn struct {
	Dialogue string
	Text     string
	// Context is what is known of what the assistant said before: for restaurant8k
	// what it had asked for, otherwise nothing.
	Context string
}

// RestaurantTurns reads restaurant8k: training set and test set.
func RestaurantTurns() ([]Turn, error) {
	in, err := open("restaurant8k.tar.gz")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var turns []Turn
	for files := tar.NewReader(in); ; {
		h, err := files.Next()
		if err == io.EOF {
			return turns, nil
		}
		if err != nil {
			return nil, fmt.Errorf("restaurant8k: %w", err)
		}
		// train_1 to train_8 are parts of train_0.
		if name := path.Base(h.Name); name != "train_0.json" && name != "test.json" {
			continue
		}
		var rows []struct {
			UserInput struct{ Text string }
			Context   struct{ RequestedSlots []string }
		}
		if err := json.NewDecoder(files).Decode(&rows); err != nil {
			return nil, fmt.Errorf("restaurant8k: %s: %w", h.Name, err)
		}
		for _, r := range rows {
			turns = append(turns, Turn{
				Dialogue: fmt.Sprint(len(turns)),
				Text:     r.UserInput.Text,
				Context:  strings.Join(r.Context.RequestedSlots, " "),
			})
		}
	}
}

// DialogueTurns reads the user's turns of the restaurant dialogues of SGD.
func DialogueTurns() ([]Turn, error) {
	in, err := open("sgd-restaurant-user-turns.jsonl.gz")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var turns []Turn
	type place struct {
		split, dialogue string
		turn            int
	}
	seen := map[place]bool{} // a turn is there once for each service that it touches
	for rows := json.NewDecoder(in); ; {
		var r struct {
			Split     string `json:"split"`
			Dialogue  string `json:"dialogue_id"`
			Turn      int    `json:"turn"`
			Utterance string `json:"utterance"`
		}
		if err := rows.Decode(&r); err == io.EOF {
			return turns, nil
		} else if err != nil {
			return nil, fmt.Errorf("sgd-restaurant: %w", err)
		}
		at := place{r.Split, r.Dialogue, r.Turn}
		if !seen[at] {
			seen[at] = true
			turns = append(turns, Turn{Dialogue: r.Split + " " + r.Dialogue, Text: r.Utterance})
		}
	}
}

// BenchTurns reads the questions of MT-bench, two turns each.
func BenchTurns() ([]Turn, error) {
	in, err := open("mt_bench-question.jsonl")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var turns []Turn
	for rows := json.NewDecoder(in); ; {
		var r struct {
			ID    int      `json:"question_id"`
			Turns []string `json:"turns"`
		}
		if err := rows.Decode(&r); err == io.EOF {
			return turns, nil
		} else if err != nil {
			return nil, fmt.Errorf("mt_bench: %w", err)
		}
		for _, text := range r.Turns {
			turns = append(turns, Turn{Dialogue: fmt.Sprint(r.ID), Text: text})
		}
	}
}
