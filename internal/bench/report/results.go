package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"sonde/internal/bench/measure"
)

// Column is one measured tool.
type Column struct {
	Key     string `json:"key"`
	Title   string `json:"title"`
	Version string `json:"version,omitempty"` // as its package or itself gives it
}

// Results is everything one run has measured.
type Results struct {
	Machine string   `json:"machine"`
	Columns []Column `json:"columns"`
	// Samples holds, by row and by column key, one number for each round, in the row's unit.
	Samples map[string]map[string][]float64 `json:"samples"`
	// Notes are facts a reader of the table needs, a sentence each.
	Notes []string `json:"notes,omitempty"`
	// Failures are rounds that gave no number, a sentence each.
	Failures []string `json:"failures,omitempty"`
}

// Add notes a sample of a row for a column.
func (r *Results) Add(row, column string, value float64) {
	if r.Samples == nil {
		r.Samples = map[string]map[string][]float64{}
	}
	if r.Samples[row] == nil {
		r.Samples[row] = map[string][]float64{}
	}
	r.Samples[row][column] = append(r.Samples[row][column], value)
}

// Fail notes that a tool gave no figure, and says so in the log.
func (r *Results) Fail(log io.Writer, what, tool string, err error) {
	failure := fmt.Sprintf("%s, %s: %v", what, tool, err)
	fmt.Fprintln(log, failure)
	r.Failures = append(r.Failures, failure)
}

// Of sums up the samples of a row for a column; false when there are none.
func (r *Results) Of(row, column string) (measure.Summary, bool) {
	samples := r.Samples[row][column]
	return measure.Summarize(samples), len(samples) > 0
}

// WriteJSON writes the results of one or more runs to a file.
func WriteJSON(path string, results ...*Results) error {
	data, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
